/*
 * How many messages an account or a credential has begun in the last hour, counted by the minute. Part of postern-auth.
 * Invariant: never more than the limit in any 60 minutes, since the minute that has begun counts beside 60 whole ones.
 */
#include "rates.h"

#include <stdlib.h>

#include "err.h"

#define MINUTE_MS 60000
#define MINUTES 61
#define BUCKETS 1024

struct rate {
	struct rate	*next;		/* in its bucket */
	enum rate_of	 of;
	uint64_t	 id;
	uint64_t	 minute;	/* the newest that is counted; older ones stand before it, modulo MINUTES */
	uint32_t	 counts[MINUTES];
};

struct rates {
	struct rate	*buckets[BUCKETS];
};

int
rates_open(struct rates **r)
{
	*r = calloc(1, sizeof(**r));
	return *r != NULL ? ERR_OK : ERR_NOMEM;
}

static struct rate **
find(struct rates *r, enum rate_of of, uint64_t id)
{
	struct rate **at = &r->buckets[(id * 2 + of) % BUCKETS];

	while (*at != NULL && ((*at)->id != id || (*at)->of != of))
		at = &(*at)->next;
	return at;
}

/* What was counted in a minute, as seen from now on. */
static uint32_t
count_of(const struct rate *one, uint64_t minute)
{
	return minute <= one->minute && minute + MINUTES > one->minute ? one->counts[minute % MINUTES] : 0;
}

static const struct rate *
look(const struct rates *r, enum rate_of of, uint64_t id)
{
	const struct rate *one = r->buckets[(id * 2 + of) % BUCKETS];

	while (one != NULL && (one->id != id || one->of != of))
		one = one->next;
	return one;
}

/* All that counts now, and the first minute of those. */
static uint64_t
sum_of(const struct rate *one, uint64_t now, uint64_t *first)
{
	uint64_t sum = 0;

	*first = now >= MINUTES - 1 ? now - (MINUTES - 1) : 0;
	for (uint64_t minute = *first; minute <= now; minute++)
		sum += count_of(one, minute);
	return sum;
}

uint64_t
rates_count(const struct rates *r, enum rate_of of, uint64_t id, uint64_t now_ms)
{
	const struct rate *one = look(r, of, id);
	uint64_t first;

	return one != NULL ? sum_of(one, now_ms / MINUTE_MS, &first) : 0;
}

uint64_t
rates_wait(const struct rates *r, enum rate_of of, uint64_t id, uint64_t limit, uint64_t now_ms)
{
	const struct rate *one = look(r, of, id);
	uint64_t now = now_ms / MINUTE_MS, sum, first;

	if (one == NULL || (sum = sum_of(one, now, &first)) < limit)
		return 0;
	/* The oldest ones go first. */
	for (; first < now && sum >= limit; first++)
		sum -= count_of(one, first);
	return (first + (sum >= limit) + MINUTES - 1) * MINUTE_MS - now_ms;
}

int
rates_take(struct rates *r, enum rate_of of, uint64_t id, uint64_t now_ms)
{
	struct rate **at = find(r, of, id), *one = *at;
	uint64_t now = now_ms / MINUTE_MS;

	if (one == NULL) {
		if ((one = calloc(1, sizeof(*one))) == NULL)
			return ERR_NOMEM;
		one->of = of;
		one->id = id;
		one->minute = now;
		*at = one;
	}
	if (now >= one->minute + MINUTES)
		one->minute = now - MINUTES;
	while (one->minute < now)
		one->counts[++one->minute % MINUTES] = 0;
	one->counts[now % MINUTES]++;
	return ERR_OK;
}

void
rates_give_back(struct rates *r, enum rate_of of, uint64_t id, uint64_t at_ms, uint64_t now_ms)
{
	struct rate *one = *find(r, of, id);
	uint64_t minute = at_ms / MINUTE_MS;

	if (one != NULL && minute + MINUTES > now_ms / MINUTE_MS && count_of(one, minute) != 0)
		one->counts[minute % MINUTES]--;
}

void
rates_sweep(struct rates *r, uint64_t now_ms)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct rate **at = &r->buckets[i]; *at != NULL;) {
			struct rate *one = *at;

			if (one->minute + MINUTES > now_ms / MINUTE_MS) {
				at = &one->next;
				continue;
			}
			*at = one->next;
			free(one);
		}
	}
}
