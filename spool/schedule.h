#ifndef SPOOL_SCHEDULE_H
#define SPOOL_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct destination;
struct queue_entry;

/* Those recipients of a message that go to one destination: what is scheduled. */
struct part {
	struct queue_entry	*entry;
	struct destination	*destination;
	struct part		*sibling;		/* the next of the message */
	struct part		*previous, *next;	/* of the destination, all of them */
	struct part		*sooner, *later;	/* in the destination's row of those that are ready */
	uint64_t		 due_ms;		/* by the steady clock */
	uint64_t		 order;			/* among those that are due at the same time: its arrival */
	size_t			 at;			/* in the heap */
	uint16_t		 tries;			/* attempts that did not finish it */
	uint16_t		 from;			/* taken: its recipients below this have had their turn */
	enum part_place {
		PART_OUT,		/* nowhere yet */
		PART_WAITING,		/* in the heap, until it is due */
		PART_READY,		/* in its destination's row */
		PART_TAKEN,		/* given out */
	}			 place : 8;
	enum part_step {
		STEP_BEGIN,		/* taken: its message is to be read, signed, given to relay */
		STEP_UNDER_WAY,		/* with relay */
		STEP_SETTLED,		/* its results are in the state, which is not on the disk yet */
		STEP_WRITING,		/* and being written */
	}			 step : 8;
	bool			 is_record;	/* taken without a delivery: only noted, or looked at */
	bool			 is_stalled;	/* waits because its destination was dead */
	bool			 is_returned;	/* relay gave it back untried */
	bool			 is_deferred;	/* it has counted an attempt more, since it was taken */
	bool			 is_wanted;	/* while the message is routed */
};

/*
 * When which part's turn comes. Pure: the clock is the caller's. Order: by due time among the parts of a destination; destinations take
 * turns. Zero-initialise.
 */
struct schedule {
	struct part		**heap;		/* that wait, the next one first */
	size_t			 n, room, nparts;
	struct destination	*rings[3];	/* the last one served, by enum ring; NULL: empty */
	size_t			 in_flight;	/* parts given out to relay */
	size_t			 recording;	/* parts given out that need no relay */
};

/* Makes a part of a message for a destination, neither waiting nor ready. NULL: no memory. */
struct part *schedule_add(struct schedule *s, struct queue_entry *e, struct destination *d, uint64_t order);
/* Takes it out of everything and frees it; its entry's list is the caller's. */
void	schedule_remove(struct schedule *s, struct part *p, uint64_t now_ms);

/* It is not due before due_ms; a taken one is given back by this. */
void	schedule_wait(struct schedule *s, struct part *p, uint64_t due_ms, uint64_t now_ms);
/* Readies what is due. */
void	schedule_wake(struct schedule *s, uint64_t now_ms);

/* The next part that may be given to relay; or that is only to be noted, as its destination is dead or none. NULL: none. */
struct part *schedule_take(struct schedule *s, uint64_t now_ms);
struct part *schedule_take_record(struct schedule *s, uint64_t now_ms);

/* A destination's state has changed: looks again whether it may give out. */
void	schedule_review(struct schedule *s, struct destination *d, uint64_t now_ms);

/* A session with a destination could be had again: what waited only for that is due now. */
void	schedule_revive(struct schedule *s, struct destination *d, uint64_t now_ms);

/* Milliseconds until something is due, at most wait_ms. */
int	schedule_next_ms(const struct schedule *s, uint64_t now_ms, int wait_ms);

#endif
