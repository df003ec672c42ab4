#ifndef AUTH_COUNTERS_H
#define AUTH_COUNTERS_H

#include <stdint.h>
#include <sys/queue.h>

#define COUNTERS_BUCKETS 1024

struct counter;

/* A session that waits for another one of its account to end; lives in its owner's structure, zero-initialised. */
struct counter_waiter {
	TAILQ_ENTRY(counter_waiter)	  entry;
	struct counter			 *counter;	/* NULL: does not wait */
	uint64_t			  max;
	/* It now has the slot; must only take note of that. */
	void				(*ready)(void *owner);
	void				 *owner;
};

/* How many sessions each account has. */
struct counters {
	struct counter	*buckets[COUNTERS_BUCKETS];
};

/* Takes a slot of an account that may have max. ERR_BUSY when there is none, ERR_NOMEM. */
int	counters_take(struct counters *c, uint64_t account, uint64_t max);

/* Waits for one after ERR_BUSY, with w->max, ready and owner set. ERR_NOMEM. */
int	counters_wait(struct counters *c, uint64_t account, struct counter_waiter *w);
void	counters_cancel(struct counters *c, struct counter_waiter *w);

/* How many slots an account has taken. */
uint64_t counters_count(const struct counters *c, uint64_t account);

/* Gives a slot back; who waits longest gets it. */
void	counters_release(struct counters *c, uint64_t account);

#endif
