#ifndef SPOOL_SETTLE_H
#define SPOOL_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc.h"
#include "message_relay.h"
#include "state.h"

struct conf;

/* What decides, beside its outcome, what becomes of a recipient after an attempt. */
struct settling {
	const char			*notify;	/* its NOTIFY parameter, NULL: none */
	bool				 is_null_sender;
	bool				 is_expired;	/* it is not tried any more */
	bool				 is_last_hop;	/* the route brings it to the mailbox (or to nothing) */
	uint64_t			 now_us;
	const struct ipc_finished	*finished;	/* of the delivery, NULL: there was none, or it broke off */
};

enum settled { SETTLED_DELIVERED, SETTLED_DEFERRED, SETTLED_FAILED, SETTLED_EXPIRED };

/* Writes an outcome into a recipient that was waiting. Texts for which there is no memory are left out. */
enum settled settle_recipient(struct state_recipient *r, const struct ipc_outcome_of *o, const struct settling *s);

/* Whether a NOTIFY parameter (RFC 3461, 4.1; NULL: none was given) asks for reports of a kind. */
bool	settle_asks(const char *notify, enum dsn_notify what);

/*
 * When an attempt is to be made after so many that were not successful: by delivery.retry, but not behind the moments at which the sender is
 * to be told of the delay (warn_ms) or it is given up (expires_ms), so that one attempt is made right then. All by the steady
 * clock; warn_ms INT64_MAX: never.
 */
uint64_t settle_due_ms(const struct conf *c, unsigned tries, uint64_t now_ms, int64_t warn_ms, int64_t expires_ms);

/*
 * How long to wait, at a start, for the moment that a state names. The clock may have been put back meanwhile: never longer than a step
 * of the schedule.
 */
uint64_t settle_wait_ms(const struct conf *c, unsigned tries, uint64_t next_us, uint64_t now_us);

#endif
