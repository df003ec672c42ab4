#ifndef AUTH_DEADLINES_H
#define AUTH_DEADLINES_H

#include <stdint.h>
#include <sys/queue.h>

/* A moment at which something is to be done; lives in its owner's structure, zero-initialised. */
struct deadline {
	TAILQ_ENTRY(deadline)	  entry;
	uint64_t		  at;		/* io_now_ms(); 0: not set */
	void			(*pass)(void *owner);
	void			 *owner;
};

TAILQ_HEAD(deadlines, deadline);

void	deadlines_init(struct deadlines *d);

/* Sets it, or sets it anew. */
void	deadline_set(struct deadlines *d, struct deadline *one, uint64_t at);
void	deadline_clear(struct deadlines *d, struct deadline *one);

/* Milliseconds from now to the first, at most max. */
int	deadlines_wait(const struct deadlines *d, uint64_t now, int max);

/* Clears and calls all that have passed. They may set new ones. */
void	deadlines_run(struct deadlines *d, uint64_t now);

#endif
