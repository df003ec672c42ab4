/*
 * How many sessions each account has, and who waits for one of them to end. Part of postern-auth.
 * Invariant: an account is here while it has a session or a waiter.
 */
#include "counters.h"

#include <stdlib.h>

#include "err.h"

struct counter {
	struct counter				*next;		/* in its bucket */
	uint64_t				 account, n;
	TAILQ_HEAD(counter_waiters, counter_waiter)	 waiters;
};

static struct counter **
find(struct counters *c, uint64_t account)
{
	struct counter **at = &c->buckets[account % COUNTERS_BUCKETS];

	while (*at != NULL && (*at)->account != account)
		at = &(*at)->next;
	return at;
}

static struct counter *
find_or_make(struct counters *c, uint64_t account)
{
	struct counter **at = find(c, account);

	if (*at == NULL && (*at = calloc(1, sizeof(**at))) != NULL) {
		(*at)->account = account;
		TAILQ_INIT(&(*at)->waiters);
	}
	return *at;
}

static void
free_unused(struct counters *c, uint64_t account)
{
	struct counter **at = find(c, account), *one = *at;

	if (one == NULL || one->n != 0 || !TAILQ_EMPTY(&one->waiters))
		return;
	*at = one->next;
	free(one);
}

int
counters_take(struct counters *c, uint64_t account, uint64_t max)
{
	struct counter *one = find_or_make(c, account);

	if (one == NULL)
		return ERR_NOMEM;
	/* Nobody overtakes those who wait. */
	if (one->n >= max || !TAILQ_EMPTY(&one->waiters)) {
		free_unused(c, account);
		return ERR_BUSY;
	}
	one->n++;
	return ERR_OK;
}

int
counters_wait(struct counters *c, uint64_t account, struct counter_waiter *w)
{
	struct counter *one = find_or_make(c, account);

	if (one == NULL)
		return ERR_NOMEM;
	w->counter = one;
	TAILQ_INSERT_TAIL(&one->waiters, w, entry);
	return ERR_OK;
}

void
counters_cancel(struct counters *c, struct counter_waiter *w)
{
	struct counter *one = w->counter;

	if (one == NULL)
		return;
	TAILQ_REMOVE(&one->waiters, w, entry);
	w->counter = NULL;
	free_unused(c, one->account);
}

void
counters_release(struct counters *c, uint64_t account)
{
	struct counter *one = *find(c, account);
	struct counter_waiter *w;

	if (one == NULL)
		return;
	one->n--;
	while ((w = TAILQ_FIRST(&one->waiters)) != NULL && one->n < w->max) {
		TAILQ_REMOVE(&one->waiters, w, entry);
		w->counter = NULL;
		one->n++;
		w->ready(w->owner);
	}
	free_unused(c, account);
}

uint64_t
counters_count(const struct counters *c, uint64_t account)
{
	const struct counter *one = c->buckets[account % COUNTERS_BUCKETS];

	while (one != NULL && one->account != account)
		one = one->next;
	return one != NULL ? one->n : 0;
}
