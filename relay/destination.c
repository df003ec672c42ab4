/*
 * Destinations: what waits for each, how many sessions it has, when another is opened. Run by postern-relay. Invariant: a delivery
 * waits here only while a session may still come of it; when the last way to one has failed, all that wait are told why.
 */
#include <string.h>

#include "err.h"
#include "io.h"
#include "relay.h"
#include "str.h"

/* Before another session is opened beside those that are: one of them may be about to say that it is free. */
#define GRACE_MS 10

const struct conf_route *
destination_route(const struct relay *r, const struct destination *t)
{
	return &r->service->conf.routes[t->route];
}

static size_t
limit_of(const struct relay *r, const struct destination *t)
{
	uint64_t own = destination_route(r, t)->sessions;

	return (size_t)(own != 0 ? own : r->service->conf.delivery_sessions_per_destination);
}

static struct delivery *
take_first(struct destination *t)
{
	struct delivery *d = t->first;

	t->first = d->next;
	if (t->first == NULL)
		t->last = NULL;
	d->next = NULL;
	t->nwaiting--;
	return d;
}

static void
put_first(struct destination *t, struct delivery *d)
{
	d->next = t->first;
	t->first = d;
	if (t->last == NULL)
		t->last = d;
	t->nwaiting++;
}

static void
put_last(struct destination *t, struct delivery *d)
{
	d->next = NULL;
	if (t->last != NULL)
		t->last->next = d;
	else
		t->first = d;
	t->last = d;
	t->nwaiting++;
}

static struct destination *
find(struct relay *r, size_t route, const char *domain)
{
	size_t n = strlen(domain);
	struct destination *t;

	for (t = r->destinations; t != NULL; t = t->next)
		if (t->route == route && str_is_equal_nocase(t->domain, strlen(t->domain), domain, n))
			return t;
	if ((t = unshared_get(r->unshared)) == NULL)
		return NULL;
	t->relay = r;
	t->route = route;
	str_fmt(t->domain, sizeof(t->domain), "%s", domain);
	t->next = r->destinations;
	r->destinations = t;
	return t;
}

static bool
is_used(const struct destination *t)
{
	return t->nwaiting != 0 || t->nsessions != 0 || t->nattempts != 0;
}

static void
drop_unused(struct relay *r)
{
	struct destination **p = &r->destinations;

	while (*p != NULL) {
		struct destination *t = *p;

		if (is_used(t)) {
			p = &t->next;
			continue;
		}
		*p = t->next;
		unshared_drop(r->unshared, t);
	}
}

static void
finish_all(struct relay *r, struct destination *t)
{
	while (t->first != NULL)
		delivery_finish(r, take_first(t), &t->reason);
}

void
destination_failed(struct relay *r, struct destination *t)
{
	/* Those that have a session, or may still get one, go on. */
	if (t->nsessions == 0 && t->nattempts == 0)
		finish_all(r, t);
	else
		t->open_ms = io_now_ms() + r->service->conf.delivery_connect_timeout;
}

static void
open_more(struct relay *r, struct destination *t)
{
	while (t->nattempts < t->nwaiting && t->nsessions + t->nattempts < limit_of(r, t)) {
		if ((t->nsessions != 0 || t->nattempts != 0) && io_now_ms() < t->open_ms)
			return;
		if (r->nsessions + r->nattempts >= r->service->conf.delivery_sessions && !outbound_evict(r))
			return;
		if (attempt_start(r, t) != ERR_OK)
			return;
	}
}

void
destination_pump(struct relay *r, struct destination *t)
{
	struct outbound *o;

	while (t->first != NULL && (o = outbound_find_idle(r, t)) != NULL) {
		struct delivery *d = take_first(t);

		if (outbound_give(r, o, d) != ERR_OK)
			put_first(t, d);
	}
	if (t->first != NULL && !r->is_stopping)
		open_more(r, t);
}

void
destination_pump_all(struct relay *r)
{
	for (struct destination *t = r->destinations; t != NULL; t = t->next)
		if (t->first != NULL)
			destination_pump(r, t);
	drop_unused(r);
}

void
destination_take(struct relay *r, struct delivery *d, size_t route, const char *domain)
{
	struct destination *t = find(r, route, domain);

	if (t == NULL) {
		delivery_return(r, d);
		return;
	}
	if (t->nsessions != 0 && t->first == NULL && t->open_ms < io_now_ms() + GRACE_MS)
		t->open_ms = io_now_ms() + GRACE_MS;
	put_last(t, d);
	destination_pump(r, t);
}

void
destination_empty_all(struct relay *r)
{
	for (struct destination *t = r->destinations; t != NULL; t = t->next)
		while (t->first != NULL)
			delivery_return(r, take_first(t));
}
