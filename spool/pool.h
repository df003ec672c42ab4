#ifndef SPOOL_POOL_H
#define SPOOL_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct transaction;

enum job_kind { JOB_NONE, JOB_WRITE, JOB_COMMIT, JOB_DISCARD, JOB_CONTROL, JOB_TRACE, JOB_CALL };

/*
 * Work on one message's file, or (JOB_CONTROL) what an admin asked for; lives in its owner's structure, which the thread owns
 * while the job is under way.
 */
struct job {
	enum job_kind		 kind;		/* JOB_NONE when none is under way */
	struct transaction	*transaction;
	struct buf		*data;
	void			*owner;
	/* JOB_CALL: what the thread does, its result in err; then, in the loop, once kind is JOB_NONE again. */
	int			(*perform)(void *owner);
	void			(*finish)(void *owner);
	int			 err;		/* the result */
	struct job		*next;
};

/* Threads that do what may block on the disk, so that the loop never does. */
struct pool {
	pthread_mutex_t	 mutex;
	pthread_cond_t	 has_work, is_running;
	size_t		 running;	/* threads that have begun */
	struct job	*first, *last;	/* to be done */
	struct job	*commits, *last_commit;	/* to be done many at once */
	bool		 is_committing;	/* a thread does so */
	struct job	*done;		/* newest first */
	int		 event_fd;	/* readable when done is not empty */
};

/* Returns when every thread runs, so that the sandbox can be sealed. ERR_SYSTEM. */
int	pool_start(struct pool *p, size_t threads);

void	pool_submit(struct pool *p, struct job *j, enum job_kind kind);

/* All finished jobs, a list by next in the order in which they finished, their kind still set. */
struct job *pool_take(struct pool *p);

#endif
