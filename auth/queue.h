#ifndef AUTH_QUEUE_H
#define AUTH_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "netaddr.h"

#define QUEUE_MAX 1024		/* jobs of clients from networks that nobody knows */
#define QUEUE_KNOWN_MAX 250	/* jobs of others, beside them */
#define QUEUE_NETWORK_MAX 128	/* jobs of one network of clients */

struct queue_network;

/* A job that waits; lives in its owner's structure. */
struct queue_job {
	TAILQ_ENTRY(queue_job)	 entry;
	struct queue_network	*network;	/* NULL: does not wait */
	struct netaddr		 client;
	bool			 known;		/* its account has logged in from there */
};

TAILQ_HEAD(queue_networks, queue_network);

struct queue {
	struct queue_networks	networks[2];	/* those with jobs, unknown and known; the first has its turn */
	size_t			n, nknown;	/* jobs; known ones among them */
	bool			known_next;	/* whose turn it is */
};

void	queue_init(struct queue *q);

/* Puts a job behind those of its client's network, or with `again` before them. ERR_BUSY when there are too many, ERR_NOMEM. */
int	queue_put(struct queue *q, struct queue_job *job, bool again);

/* The next job, a known and an unknown one in turn, and each network in its turn; NULL when none waits. */
struct queue_job *queue_take(struct queue *q);

/* Takes a job out wherever it stands; does nothing if it does not wait. */
void	queue_remove(struct queue *q, struct queue_job *job);

#endif
