/*
 * Destinations: the table of them, and how much each may be given at a time. Pure; run by postern-spool's loop. Invariant: one that
 * has parts, or something under way, stays at its address.
 */
#include "destination.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "message_relay.h"
#include "str.h"

#define WINDOW_FIRST 2
#define KEPT_MS (2 * 60 * 1000)		/* after its last part has gone: what is known of it may soon be of use again */
#define SWEPT_AT_ONCE 64		/* buckets */

static struct destination **
bucket(struct destinations *t, const char *route, const char *domain)
{
	uint64_t h = 1469598103934665603ULL;	/* FNV-1a, without ASCII case */

	for (const char *p = route; *p != 0; p++)
		h = (h ^ (uint8_t)(*p | 0x20)) * 1099511628211ULL;
	h = (h ^ 0xff) * 1099511628211ULL;
	for (const char *p = domain; *p != 0; p++)
		h = (h ^ (uint8_t)(*p | 0x20)) * 1099511628211ULL;
	return &t->buckets[h % DESTINATION_BUCKETS];
}

struct destination *
destination_get(struct destinations *t, const char *route, const char *domain, unsigned limit, uint64_t now_ms)
{
	struct destination **at = bucket(t, route, domain), *d = *at;
	size_t n = strlen(route), m = strlen(domain);

	while (d != NULL && (strcmp(d->name, route) != 0 || !str_is_equal_nocase(d->domain, strlen(d->domain), domain, m)))
		d = d->next;
	if (d == NULL) {
		if ((d = calloc(1, sizeof(*d) + n + m + 2)) == NULL)
			return NULL;
		memcpy(d->name, route, n);
		memcpy(d->name + n + 1, domain, m);
		d->domain = d->name + n + 1;
		d->window = WINDOW_FIRST;
		d->is_ours = strcmp(route, DESTINATION_NO_ROUTE) == 0 || strcmp(route, DESTINATION_REPORT) == 0;
		d->next = *at;
		*at = d;
		t->n++;
	}
	d->limit = limit != 0 ? limit : 1;
	d->used_ms = now_ms;
	return d;
}

void
destination_sweep(struct destinations *t, uint64_t now_ms)
{
	for (int i = 0; i < SWEPT_AT_ONCE; i++) {
		struct destination **at = &t->buckets[t->sweep++ % DESTINATION_BUCKETS], *d;

		while ((d = *at) != NULL) {
			if (d->parts != NULL || d->in_flight != 0 || now_ms < d->used_ms + KEPT_MS || now_ms < d->dead_until_ms) {
				at = &d->next;
				continue;
			}
			*at = d->next;
			free(d->reason);
			free(d);
			t->n--;
		}
	}
}

bool
destination_is_dead(const struct destination *d, uint64_t now_ms)
{
	return now_ms < d->dead_until_ms && d->reason != NULL;
}

bool
destination_has_room(const struct destination *d)
{
	/* After a failure one has to try first. */
	unsigned most = d->failures != 0 ? 1 : d->window;

	return d->in_flight < (most < 2 * d->limit ? most : 2 * d->limit);
}

void
destination_note_success(struct destination *d)
{
	if (d->window < 2 * d->limit)
		d->window++;
}

bool
destination_note_alive(struct destination *d)
{
	bool was_dead = d->failures != 0;

	if (was_dead)
		destination_clear(d);
	return was_dead;
}

void
destination_note_dead(struct destination *d, const struct ipc_finished *f, uint64_t until_ms)
{
	if (d->reason == NULL && (d->reason = malloc(sizeof(*d->reason))) == NULL)
		return;
	*d->reason = *f;
	d->failures++;
	d->window = 1;
	d->dead_until_ms = until_ms;
}

void
destination_clear(struct destination *d)
{
	free(d->reason);
	d->reason = NULL;
	d->failures = 0;
	d->dead_until_ms = 0;
}
