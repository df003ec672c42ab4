#ifndef IPC_MESSAGE_DATA_H
#define IPC_MESSAGE_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "wire.h"

/* What a worker tells postern-spool of a message that it has opened, and spool auth when none came of it. A part of ipc.h. */

/* IPC_ABORT: what the worker says, which is noted and not believed. */
enum abort_reason {
	ABORT_LEFT,		/* the client went away or gave up, or the service ends */
	ABORT_OCTETS,		/* its client was answered 554, as for the next but ABORT_TOO_BIG and ABORT_ATTACHMENT: 552 */
	ABORT_TOO_BIG, ABORT_ATTACHMENT, ABORT_MALFORMED, ABORT_LINE,
	ABORT_TROUBLE,		/* 451 */
};
void	ipc_put_abort(struct wire_out *w, enum abort_reason reason);
int	ipc_get_abort(struct wire_in *w, enum abort_reason *reason);

/* IPC_DATA: the octets are all that follows the kind; 1 to IPC_DATA_MAX. */
void	ipc_put_data(struct wire_out *w, const void *p, size_t n);
int	ipc_get_data(struct wire_in *w, const uint8_t **p, size_t *n);

struct ipc_commit {
	uint32_t	t;
	uint64_t	size;	/* octets sent by IPC_DATA since IPC_OPEN; another number is a bad frame */
};
void	ipc_put_commit(struct wire_out *w, const struct ipc_commit *m);
int	ipc_get_commit(struct wire_in *w, struct ipc_commit *m);

struct ipc_refused {
	uint64_t	session;
	uint32_t	t;
};
void	ipc_put_refused(struct wire_out *w, const struct ipc_refused *m);
int	ipc_get_refused(struct wire_in *w, struct ipc_refused *m);

#endif
