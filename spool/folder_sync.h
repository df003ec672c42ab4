#ifndef SPOOL_FOLDER_SYNC_H
#define SPOOL_FOLDER_SYNC_H

#include <pthread.h>
#include <stdbool.h>

struct folder_sync_waiter;

/* fsync of one folder, shared by the threads that need it at the same time. */
struct folder_sync {
	int				 fd;
	pthread_mutex_t			 mutex;
	pthread_cond_t			 finished;
	bool				 running;
	struct folder_sync_waiter	*waiting;	/* for the next round */
};

/* ERR_SYSTEM. */
int	folder_sync_init(struct folder_sync *f, int fd);

/* Returns when an fsync that started after this call has finished. ERR_FULL, ERR_SYSTEM, with errno. */
int	folder_sync_wait(struct folder_sync *f);

#endif
