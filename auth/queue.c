/*
 * Who is hashed next: a bounded queue with a turn for each network of clients. Part of postern-auth.
 * Invariant: however many passwords one network tries, a client of another waits for at most one of
 * its jobs; and however many networks try, a client who is known waits for at most one job of theirs for each known one.
 */
#include "queue.h"

#include <stdlib.h>

#include "err.h"

struct queue_network {
	TAILQ_ENTRY(queue_network)	entry;
	TAILQ_HEAD(, queue_job)		jobs;
	size_t				n;
	struct netaddr			address;
	bool				known;
};

void
queue_init(struct queue *q)
{
	*q = (struct queue){ .known_next = true };
	TAILQ_INIT(&q->networks[0]);
	TAILQ_INIT(&q->networks[1]);
}

static struct queue_network *
find_network(struct queue *q, const struct netaddr *client, bool known)
{
	struct netaddr address = netaddr_network(client, 24, 64);
	struct queue_network *network;

	TAILQ_FOREACH(network, &q->networks[known], entry) {
		if (netaddr_is_equal(&network->address, &address))
			return network;
	}
	if ((network = calloc(1, sizeof(*network))) == NULL)
		return NULL;
	network->address = address;
	network->known = known;
	TAILQ_INIT(&network->jobs);
	TAILQ_INSERT_TAIL(&q->networks[known], network, entry);
	return network;
}

int
queue_put(struct queue *q, struct queue_job *job, bool again)
{
	struct queue_network *network;

	if (!again && (job->known ? q->nknown >= QUEUE_KNOWN_MAX : q->n - q->nknown >= QUEUE_MAX))
		return ERR_BUSY;
	if ((network = find_network(q, &job->client, job->known)) == NULL)
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
	q->nknown += job->known;
	return ERR_OK;
}

struct queue_job *
queue_take(struct queue *q)
{
	bool known = TAILQ_EMPTY(&q->networks[!q->known_next]) ? q->known_next :
	    TAILQ_EMPTY(&q->networks[q->known_next]) ? !q->known_next : q->known_next;
	struct queue_network *network = TAILQ_FIRST(&q->networks[known]);
	struct queue_job *job;

	if (network == NULL)
		return NULL;
	q->known_next = !known;
	job = TAILQ_FIRST(&network->jobs);
	TAILQ_REMOVE(&q->networks[known], network, entry);
	TAILQ_INSERT_TAIL(&q->networks[known], network, entry);
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
	q->nknown -= job->known;
	if (--network->n != 0)
		return;
	TAILQ_REMOVE(&q->networks[network->known], network, entry);
	free(network);
}
