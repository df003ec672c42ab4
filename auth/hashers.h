#ifndef AUTH_HASHERS_H
#define AUTH_HASHERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop.h"
#include "queue.h"

struct sandbox;

#define HASHERS_ANSWER_MAX 1024	/* octets of a child's answer */

/* A password to be compared with a hash; lives in its owner's structure until done() was called or it was cancelled. */
struct hash_job {
	struct queue_job	  waiting;	/* its client is filled in by the owner */
	struct hasher		 *hasher;	/* that computes it now, or NULL */
	const char		 *hash, *password;	/* hash "": a new one is to be made */
	char			 *made;		/* room for that one, REGISTRY_HASH_MAX; else NULL */
	size_t			  password_len;
	/* Called when its turn has come, unless NULL: true when its owner has settled it without a child, and it is gone. */
	bool			(*settle)(struct hash_job *job);
	/*
	 * result: 1 matches, 0 does not; else nothing is known: ERR_NOMEM, ERR_SYNTAX (an unknown hash), ERR_CLOSED (the
	 * child died of it).
	 */
	void			(*done)(struct hash_job *job, int result);
	void			 *owner;
};

/* A child, as its parent sees it. */
struct hasher {
	struct hashers		*pool;
	struct loop_watch	 watch;		/* fd -1: it is dead */
	pid_t			 pid;
	struct hash_job		*job;		/* that it computes; NULL also if that was cancelled */
	bool			 busy;
	uint32_t		 number;	/* of the question that it was sent */
};

struct hashers {
	struct hasher	*hashers;
	size_t		 n, alive, unreaped;	/* unreaped: lost, but not known to have ended */
	struct queue	 queue;
	struct loop	*loop;
	uint32_t	 next_number;
};

/*
 * Forks n children, each of which takes the sandbox and only computes from then on; returns when all have said that they are
 * ready. Before anything is opened that they must not have. ERR_SYSTEM, ERR_NOMEM, ERR_DENIED (no sandbox).
 */
int	hashers_start(struct hashers *h, size_t n, const struct sandbox *sandbox, uint32_t *parts);

/* Lets the loop watch them. ERR_SYSTEM. */
int	hashers_watch(struct hashers *h, struct loop *loop);

/* Queues a job; `again` for another hash of one that was accepted before. ERR_BUSY when too many wait, ERR_NOMEM. */
int	hashers_submit(struct hashers *h, struct hash_job *job, bool again);

/* Forgets a job, queued or being computed; done() is not called any more. */
void	hashers_cancel(struct hashers *h, struct hash_job *job);

/* Takes note of the ends of those that were lost. */
void	hashers_reap(struct hashers *h);

/* The child's part: questions from fd until its end, then ends the process. */
void	hasher_run(int fd, const struct sandbox *sandbox) __attribute__((noreturn));

#endif
