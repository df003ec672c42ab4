#ifndef SPOOL_STATE_H
#define SPOOL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message_relay.h"
#include "spool.h"

struct buf;

/*
 * What delivery knows of a message beside its file, which never changes: the file state/ID of the spool, postern-spool(5). It is
 * there from the first attempt on that did not finish the message, and after an admin's wish. One put and one get, pure.
 */
enum recipient_status {
	RECIPIENT_WAITING,	/* not tried yet, or to be tried again */
	RECIPIENT_DELIVERED,
	RECIPIENT_BOUNCED,	/* failed for good; the report to the sender is still to be made */
	RECIPIENT_REPORTED,	/* failed for good, and told, or nobody was to be told */
	RECIPIENT_REMOVED,	/* by an admin */
};

struct state_recipient {
	enum recipient_status	status;
	bool			is_success_due;	/* NOTIFY=SUCCESS: the report of success is still to be made */
	bool			is_relayed;	/* delivered to a server that does not report itself */
	enum delivery_stage	stage;
	uint16_t		code;		/* of the last attempt, as in struct ipc_outcome_of */
	uint64_t		time_us;	/* of the last attempt, 0: none */
	char			*enhanced, *reply, *host, *tls;	/* malloc'd, or NULL for none */
};

struct state {
	uint32_t	tries;			/* rounds of attempts so far */
	uint64_t	next_us;		/* when the next is due, microseconds since 1970; 0: at once */
	uint64_t	warned_us;		/* when the sender was told of the delay; 0: not yet */
	uint64_t	expires_us;		/* 0: by delivery.expire */
	char		*route;			/* smtpadm queue reroute: the name of the route for all its recipients, or NULL */
	char		*hold;			/* smtpadm queue hold: its reason, or NULL */
	size_t		nrecipients;		/* as in the envelope, in its order */
	struct state_recipient *recipients;
};

/* The reply of a recipient that an admin has returned (smtpadm queue bounce), with code 0. */
#define STATE_RETURNED_REPLY "returned by the administrator"

/* All recipients waiting. ERR_NOMEM. */
int	state_init(struct state *s, size_t nrecipients);
void	state_free(struct state *s);

/* Whether no recipient waits, and no report is due. */
bool	state_is_done(const struct state *s);
/* Whether it holds what may not be forgotten: a recipient that is not waiting, or an admin's wish. */
bool	state_is_precious(const struct state *s);

/* ERR_NOMEM. */
int	state_put(const struct state *s, struct buf *b);
/* *s is to be freed also after an error. ERR_CORRUPT, ERR_VERSION, ERR_NOMEM. */
int	state_get(const void *p, size_t n, size_t nrecipients, struct state *s);

/* Reads the state of a message, all waiting when there is none. ERR_CORRUPT, ERR_VERSION, ERR_NOMEM, ERR_SYSTEM. */
int	state_read(const struct spool_dirs *d, const char *id, size_t nrecipients, struct state *s);

/*
 * Replaces the state file of a message; a precious one is on stable storage when it answers ERR_OK. Blocks. By postern-spool, or with the
 * lock held. ERR_FULL, ERR_SYSTEM: the old one stands.
 */
int	state_write(const struct spool_dirs *d, const char *id, const struct state *s);
/* Removes it, unsynced; one that is not there is no error. */
void	state_remove(const struct spool_dirs *d, const char *id);

#endif
