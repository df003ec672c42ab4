#ifndef WORKER_PASSAGE_H
#define WORKER_PASSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "body.h"
#include "reply.h"

struct session;

/* A message on its way from the client to the spool; DATA and BDAT share it. */
struct passage {
	struct body	body;
	bool		open;		/* the spool has had OPEN */
	bool		failed;		/* the spool was lost: read on, then 451 */
	uint64_t	passed;		/* octets sent to the spool */
	size_t		waiting;	/* octets gathered for the spool */
};

void	passage_begin(const struct session *s, struct passage *p);

/* Reads the message up to <CRLF>.<CRLF>, giving full chunks to the spool. Errors of the connection only (conn_fill()). */
int	passage_carry_lines(struct session *s, struct passage *p);

/* Reads n octets that belong to the message as they are. Errors as above. */
int	passage_carry_octets(struct session *s, struct passage *p, uint64_t n);

/* Whether it is refused already, so that its end needs not be waited for. */
bool	passage_is_refused(const struct session *s, const struct passage *p);

/* The message is whole: asks the spool for its promise, or refuses. The final reply. */
enum reply_id passage_end(struct session *s, struct passage *p);

/* The message will not be whole: drops what the spool has of it. */
void	passage_drop(struct session *s, struct passage *p);

#endif
