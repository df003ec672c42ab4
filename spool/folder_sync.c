/*
 * One fsync of a folder for all the renames that wait for it. Run by postern-spool's commit threads. Invariant: nobody is told
 * of a success by an fsync that had started before he asked.
 */
#include "folder_sync.h"

#include <errno.h>

#include "err.h"
#include "transaction.h"

struct folder_sync_waiter {
	struct folder_sync_waiter	*next;
	bool				 done;
	int				 err, error;
};

int
folder_sync_init(struct folder_sync *f, int fd)
{
	*f = (struct folder_sync){ .fd = fd };
	if (pthread_mutex_init(&f->mutex, NULL) != 0 || pthread_cond_init(&f->finished, NULL) != 0)
		return ERR_SYSTEM;
	return ERR_OK;
}

/* With the mutex held: leads one round for everybody who waits by now. */
static void
lead(struct folder_sync *f)
{
	struct folder_sync_waiter *round = f->waiting, *next;
	int err, error;

	f->waiting = NULL;
	f->running = true;
	pthread_mutex_unlock(&f->mutex);
	err = transaction_sync_folder(f->fd);
	error = errno;
	pthread_mutex_lock(&f->mutex);
	for (; round != NULL; round = next) {
		/* Its stack may be gone as soon as the mutex is free, not before. */
		next = round->next;
		round->err = err;
		round->error = error;
		round->done = true;
	}
	f->running = false;
	pthread_cond_broadcast(&f->finished);
}

int
folder_sync_wait(struct folder_sync *f)
{
	struct folder_sync_waiter self = { .done = false };

	pthread_mutex_lock(&f->mutex);
	self.next = f->waiting;
	f->waiting = &self;
	while (!self.done) {
		if (f->running)
			pthread_cond_wait(&f->finished, &f->mutex);
		else
			lead(f);
	}
	pthread_mutex_unlock(&f->mutex);
	errno = self.error;
	return self.err;
}
