#ifndef SPOOL_DESTINATION_H
#define SPOOL_DESTINATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ipc_finished;
struct part;

enum ring {
	RING_NONE,		/* nothing is ready, or no more may be given out now */
	RING_LIVE,		/* something is ready for relay */
	RING_RECORD,		/* something is ready that needs no relay */
};

/* Where messages go: a route, and for one of the kind mx a domain. Or a place of ours: its parts are looked at, never given out. */
struct destination {
	struct destination	*next;			/* in its bucket */
	struct destination	*before, *behind;	/* in its ring */
	enum ring		 ring;
	bool			 is_ours;
	struct part		*parts;
	struct part		*found;			/* of the message that is being routed */
	struct part		*ready_first, *ready_last;
	unsigned		 in_flight;		/* parts given out */
	unsigned		 window;		/* that may be, at the moment */
	unsigned		 limit;			/* sessions at most; as many again may be waiting at relay */
	unsigned		 failures;		/* times that no session could be had, one after the other */
	uint64_t		 dead_until_ms;		/* none is tried before */
	uint64_t		 used_ms;
	uint64_t		 hurried_ms;		/* by ETRN; 0: never */
	struct ipc_finished	*reason;		/* why it is dead; or NULL */
	const char		*domain;		/* in name; "" unless mx */
	char			 name[];		/* the route's */
};

#define DESTINATION_BUCKETS 4096

/* Zero-initialise. */
struct destinations {
	struct destination	*buckets[DESTINATION_BUCKETS];
	size_t			 n, sweep;
};

/* The names of ours, which no route can have. */
#define DESTINATION_NO_ROUTE "-"
#define DESTINATION_REPORT "+"

/* Finds or makes one; the domain without ASCII case. NULL: no memory. */
struct destination *destination_get(struct destinations *t, const char *route, const char *domain, unsigned limit, uint64_t now_ms);
/* Forgets those that have had nothing to do for a while: a piece of the table at each call. */
void	destination_sweep(struct destinations *t, uint64_t now_ms);

/* Whether what is due is only to be noted: no session could be had a moment ago. */
bool	destination_is_dead(const struct destination *d, uint64_t now_ms);
/* Whether another part may be given out. */
bool	destination_has_room(const struct destination *d);

/* A message was taken by it: it may have more at the same time. A session could be had: it is not dead (whether it was). */
void	destination_note_success(struct destination *d);
bool	destination_note_alive(struct destination *d);
/* No session could be had, and why. */
void	destination_note_dead(struct destination *d, const struct ipc_finished *f, uint64_t until_ms);
/* Nothing bad is known of it any more. */
void	destination_clear(struct destination *d);

#endif
