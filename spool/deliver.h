#ifndef SPOOL_DELIVER_H
#define SPOOL_DELIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "message_relay.h"

struct active;
struct part;
struct spooler;

/* One delivery: a message, a destination, and those of its recipients that relay was given at once. */
struct delivery {
	struct delivery		*previous, *next;	/* all of them */
	struct delivery		*sibling;		/* the next of the message */
	struct delivery		*behind;		/* in the row of those that relay is still to be given */
	struct spooler		*sp;
	struct active		*active;
	struct part		*part;			/* NULL: it was begun by an earlier process, or its part has gone */
	uint64_t		 number;
	uint64_t		 began_ms;
	struct loop_watch	 watch;			/* the socket for the results; fd -1: it has ended */
	bool			 is_watched;
	int			 peer_fd;		/* its other end, until relay has it; else -1 */
	enum carriage {
		CARRIAGE_UNSENT,	/* relay does not have all of it yet */
		CARRIAGE_SENT,
		CARRIAGE_SETTLED,	/* what became of it is in the state, which is not on the disk yet */
		CARRIAGE_WRITING,	/* and being written */
	}			 carriage;
	uint16_t		 nsent;			/* datagrams that relay was given of it */
	uint16_t		 n;
	uint16_t		 indexes[RELAY_RECIPIENTS_MAX];
	struct ipc_outcome_of	*results[RELAY_RECIPIENTS_MAX];	/* as they came, malloc'd */
};

/* Begins a delivery of the next recipients of a part that was taken. ERR_NOTFOUND: it has none; ERR_NOMEM, ERR_SYSTEM. */
int	deliver_begin(struct active *a, struct part *p);

/* A delivery that an earlier postern-spool had begun, and its socket, which it takes. */
void	deliver_take_up(struct spooler *sp, const struct ipc_underway *u, int fd);

/* The message was read, and no thread has it: results of those that were taken up may come. */
void	deliver_listen(struct active *a);

/* All that was being written is on the disk (or is not): the session processes are told. */
void	deliver_mark_writing(struct active *a);
void	deliver_answer(struct active *a, bool is_written);

/* Relay was not given all of it before its socket ended: as if it had never been begun. */
void	deliver_give_back(struct delivery *d);

/* Its message can't be read: it is dropped, its session process learns that by the end of the socket. */
void	deliver_drop(struct delivery *d);

/* Whether the message has one whose results are still to come. */
bool	deliver_is_under_way(const struct active *a);

/* No delivery: every waiting recipient of a part is settled by an outcome that is known already. */
void	deliver_settle_part(struct active *a, struct part *p, const struct ipc_outcome_of *o, const struct ipc_finished *f);

/*
 * What keys (or what stands for it) says about a message that asked for signatures by keys_link_sign(): whole DKIM-Signature
 * fields with their CRLFs, at most RELAY_SIGNATURES_MAX octets of them; or none (len 0), and why: a phrase for the trace.
 * It is delivered either way. A number that is not waiting is ignored.
 */
void	deliver_signed(struct spooler *sp, uint64_t number, const uint8_t *fields, size_t len, const char *why);

#endif
