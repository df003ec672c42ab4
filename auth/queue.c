/*
 * Who is hashed next: a bounded queue with a turn for each network of clients. Part of postern-auth.
 * Invariant: however many passwords one network tries, a client of another waits for at most one of
 * its jobs.
 */
#include "queue.h"

#include <stdlib.h>

#include "err.h"

struct queue_network {
	TAILQ_ENTRY(queue_network)	entry;
	TAILQ_HEAD(, queue_job)		jobs;
	size_t				n;
	struct netaddr			address;
};

void
queue_init(struct queue *q)
{
	TAILQ_INIT(&q->networks);
	q->n = 0;
}

static struct queue_network *
find_network(struct queue *q, const struct netaddr *client)
{
	struct netaddr address = netaddr_network(client, 24, 64);
	struct queue_network *network;

	TAILQ_FOREACH(network, &q->networks, entry) {
		if (netaddr_is_equal(&network->address, &address))
			return network;
	}
	if ((network = calloc(1, sizeof(*network))) == NULL)
		return NULL;
	network->address = address;
	TAILQ_INIT(&network->jobs);
	TAILQ_INSERT_TAIL(&q->networks, network, entry);
	return network;
}

int
queue_put(struct queue *q, struct queue_job *job, bool again)
{
	struct queue_network *network;

	if (q->n >= QUEUE_MAX && !again)
		return ERR_BUSY;
	if ((network = find_network(q, &job->client)) == NULL)
		return ERR_NOMEM;
	if (network->n >= QUEUE_NETWORK_MAX && !again)
		return ERR_BUSY;
	if (again)
		TAILQ_INSERT_HEAD(&network->jobs, job, entry);
	else
		TAILQ_INSERT_TAIL(&network->jobs, job, entry);
	job->network = network;
	network->n++;
	q->n++;
	return ERR_OK;
}

struct queue_job *
queue_take(struct queue *q)
{
	struct queue_network *network = TAILQ_FIRST(&q->networks);
	struct queue_job *job;

	if (network == NULL)
		return NULL;
	job = TAILQ_FIRST(&network->jobs);
	TAILQ_REMOVE(&q->networks, network, entry);
	TAILQ_INSERT_TAIL(&q->networks, network, entry);
	queue_remove(q, job);
	return job;
}

void
queue_remove(struct queue *q, struct queue_job *job)
{
	struct queue_network *network = job->network;

	if (network == NULL)
		return;
	TAILQ_REMOVE(&network->jobs, job, entry);
	job->network = NULL;
	q->n--;
	if (--network->n != 0)
		return;
	TAILQ_REMOVE(&q->networks, network, entry);
	free(network);
}
