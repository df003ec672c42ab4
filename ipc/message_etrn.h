#ifndef IPC_MESSAGE_ETRN_H
#define IPC_MESSAGE_ETRN_H

#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

/* ETRN (RFC 1985), between a worker and postern-spool. A part of ipc.h. */
#define ETRN_DOMAIN_MAX 256	/* with NUL */

struct ipc_etrn {
	char	domain[ETRN_DOMAIN_MAX];
	bool	subdomains;		/* and those below it */
};
void	ipc_put_etrn(struct wire_out *w, const struct ipc_etrn *m);
int	ipc_get_etrn(struct wire_in *w, struct ipc_etrn *m);

/* RFC 1985, 5.3 */
enum etrn_verdict {
	ETRN_STARTED,		/* 250: how much waits is not known */
	ETRN_NONE,		/* 251 */
	ETRN_PENDING,		/* 252: something waits, and was started */
	ETRN_COUNTED,		/* 253: so much of it */
	ETRN_UNABLE,		/* 458: delivery is paused, or there is no route */
	ETRN_NOT_ALLOWED,	/* 459 */
	ETRN_LOGIN_VOID,	/* 530 */
};
struct ipc_etrn_answer {
	enum etrn_verdict	verdict;
	uint32_t		messages;	/* ETRN_COUNTED */
};
void	ipc_put_etrn_answer(struct wire_out *w, const struct ipc_etrn_answer *m);
int	ipc_get_etrn_answer(struct wire_in *w, struct ipc_etrn_answer *m);

#endif
