/*
 * The parts of a message: which of its recipients go where, and what becomes of them. Run by postern-spool's loop. Invariant: every
 * recipient that waits has a part, and a part has at least one recipient that waits, or is one of ours.
 */
#include "part.h"

#include <stdio.h>
#include <string.h>

#include "active.h"
#include "conf.h"
#include "destination.h"
#include "err.h"
#include "io.h"
#include "queue.h"
#include "spooler.h"
#include "str.h"
#include "tally.h"
#include "trace.h"

#define REST_MOST_MS (15 * 60 * 1000)
#define NO_ROUTE_MS (5 * 60 * 1000)
#define RETURNED_MS 1000		/* relay is full, or going */

uint64_t
part_rest_ms(const struct conf *c, unsigned failures)
{
	uint64_t rest = conf_retry_ms(c, failures);

	return rest < REST_MOST_MS ? rest : REST_MOST_MS;
}

/* The domain of an address, "" for none; a quoted local part may hold an '@'. */
static const char *
domain_of(const char *address)
{
	const char *at = strrchr(address, '@');

	return at != NULL ? at + 1 : "";
}

static const struct conf_route *
find_route(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->nroutes; i++)
		if (strcmp(c->routes[i].name, name) == 0)
			return &c->routes[i];
	return NULL;
}

static struct destination *
find_destination(struct active *a, size_t index, uint64_t now_ms)
{
	struct spooler *sp = a->sp;
	const struct conf *c = &sp->service.conf;
	const char *domain = domain_of(a->envelope.recipients[index].address);
	const struct conf_route *r = a->state.route != NULL ? find_route(c, a->state.route) :
	    conf_find_route(c, a->envelope.account, domain_of(a->envelope.sender), domain);

	if (r == NULL)
		return destination_get(&sp->queue.destinations, DESTINATION_NO_ROUTE, "", 1, now_ms);
	return destination_get(&sp->queue.destinations, r->name, r->kind == ROUTE_MX ? domain : "",
	    (unsigned)(r->sessions != 0 ? r->sessions : c->delivery_sessions_per_destination), now_ms);
}

void
part_drop(struct active *a, struct part *p)
{
	struct part **at = &a->entry->parts;

	while (*at != p)
		at = &(*at)->sibling;
	*at = p->sibling;
	schedule_remove(&a->sp->queue.schedule, p, io_now_ms());
}

static struct part *
add_part(struct active *a, struct destination *d, uint64_t due_ms, uint64_t now_ms)
{
	struct schedule *s = &a->sp->queue.schedule;
	struct part *p = schedule_add(s, a->entry, d, a->envelope.arrival_us);

	if (p == NULL)
		return NULL;
	p->sibling = a->entry->parts;
	a->entry->parts = p;
	p->tries = (uint16_t)(a->state.tries < UINT16_MAX ? a->state.tries : UINT16_MAX);
	schedule_wait(s, p, due_ms, now_ms);
	return p;
}

static struct part *
part_of(const struct active *a, const struct destination *d)
{
	struct part *p = a->entry->parts;

	while (p != NULL && p->destination != d)
		p = p->sibling;
	return p;
}

static bool
is_report_due(const struct state *s)
{
	for (size_t i = 0; i < s->nrecipients; i++)
		if (s->recipients[i].status == RECIPIENT_BOUNCED || s->recipients[i].is_success_due)
			return true;
	return false;
}

void
part_want_report(struct active *a, uint64_t due_ms)
{
	uint64_t now = io_now_ms();
	struct destination *d = destination_get(&a->sp->queue.destinations, DESTINATION_REPORT, "", 1, now);
	struct part *p = d != NULL ? part_of(a, d) : NULL;

	if (p != NULL)
		schedule_wait(&a->sp->queue.schedule, p, due_ms, now);
	else if (d != NULL)
		add_part(a, d, due_ms, now);
}

static bool
has_report_part(const struct active *a)
{
	for (const struct part *p = a->entry->parts; p != NULL; p = p->sibling)
		if (strcmp(p->destination->name, DESTINATION_REPORT) == 0)
			return true;
	return false;
}

/* When a part that was not in memory is due. */
static uint64_t
first_due(struct active *a, uint64_t now_ms)
{
	struct queue_entry *e = a->entry;

	return e->is_hurried ? now_ms : now_ms + settle_wait_ms(&a->sp->service.conf, a->state.tries, a->state.next_us, io_now_us());
}

int
part_route(struct active *a)
{
	struct queue_entry *e = a->entry;
	uint64_t now = io_now_ms(), due = first_due(a, now);
	struct part *p, *next;
	int err = ERR_OK;

	/* So that the part of a destination is found at once, however many there are. */
	for (p = e->parts; p != NULL; p = p->sibling)
		p->destination->found = p;
	for (size_t i = 0; i < a->envelope.nrecipients && err == ERR_OK; i++) {
		struct destination *d;

		a->to[i] = NULL;
		if (a->state.recipients[i].status != RECIPIENT_WAITING)
			continue;
		if ((d = find_destination(a, i, now)) == NULL ||
		    (d->found == NULL && (d->found = add_part(a, d, due, now)) == NULL)) {
			err = ERR_NOMEM;
			continue;
		}
		a->to[i] = d;
		d->found->is_wanted = true;
		if (e->is_hurried)
			destination_clear(d);
	}
	for (p = e->parts; p != NULL; p = next) {
		bool is_wanted = p->is_wanted || err != ERR_OK || (p->place == PART_TAKEN && p->step != STEP_BEGIN) ||
		    strcmp(p->destination->name, DESTINATION_REPORT) == 0;

		next = p->sibling;
		p->is_wanted = false;
		p->destination->found = NULL;
		if (!is_wanted)
			part_drop(a, p);
	}
	e->is_hurried = false;
	if (err == ERR_OK)
		e->generation = a->sp->queue.generation;
	if (is_report_due(&a->state) && !has_report_part(a))
		part_want_report(a, now);
	return err;
}

size_t
part_next_recipient(const struct active *a, const struct part *p, size_t from)
{
	while (from < a->envelope.nrecipients && (a->to[from] != p->destination || a->is_out[from] ||
	    a->state.recipients[from].status != RECIPIENT_WAITING))
		from++;
	return from;
}

static bool
is_last_hop(const struct active *a, const struct part *p)
{
	const struct conf_route *r = p != NULL ? find_route(&a->sp->service.conf, p->destination->name) : NULL;

	return r != NULL && (r->kind == ROUTE_LMTP || r->kind == ROUTE_DISCARD);
}

/* By the steady clock; INT64_MAX: nobody is to be told, or was told before. */
static int64_t
warn_time(const struct active *a)
{
	const struct conf *c = &a->sp->service.conf;

	if (c->delivery_warn_after == 0 || a->state.warned_us != 0 || !a->may_warn || a->envelope.sender[0] == 0)
		return INT64_MAX;
	return a->entry->born_ms + (int64_t)c->delivery_warn_after;
}

/* One attempt more that was not successful, once for all recipients of a part. */
static void
defer(struct active *a, struct part *p, uint64_t now_ms, bool is_attempt)
{
	const struct conf *c = &a->sp->service.conf;
	struct schedule *s = &a->sp->queue.schedule;

	if (!p->is_deferred) {
		p->is_deferred = true;
		if (is_attempt && p->tries < UINT16_MAX)
			p->tries++;
		p->due_ms = settle_due_ms(c, p->tries != 0 ? p->tries : 1, now_ms, warn_time(a), a->expires_ms);
		if (!is_attempt && p->due_ms > now_ms + NO_ROUTE_MS)
			p->due_ms = now_ms + NO_ROUTE_MS;
	}
	if (p->place == PART_WAITING)
		schedule_wait(s, p, p->due_ms, now_ms);
}

/* The number of the try that has just been made of a part; what was deferred has counted it already. */
static uint32_t
number_of_try(const struct part *p, bool is_attempt)
{
	return (uint32_t)p->tries + (is_attempt && !p->is_deferred);
}

static void
trace_settled(struct active *a, const struct part *p, size_t index, const struct ipc_outcome_of *o, const struct ipc_finished *f,
    enum settled settled)
{
	static const char *const events[] = { [SETTLED_DELIVERED] = "delivered", [SETTLED_DEFERRED] = "deferred",
	    [SETTLED_FAILED] = "failed", [SETTLED_EXPIRED] = "expired" };
	const struct state_recipient *r = &a->state.recipients[index];
	uint64_t now_us = io_now_us(), now_ms = io_now_ms(), age;
	uint32_t number = p != NULL ? number_of_try(p, f != NULL) : 0;
	char code[21], delay[32], next[28], tries[21];
	const char *to = a->envelope.recipients[index].address;

	tally_add((enum metric)(METRIC_DELIVERIES_DELIVERED + settled), 1);
	age = now_us > a->envelope.arrival_us ? (now_us - a->envelope.arrival_us) / 1000 : 0;
	snprintf(delay, sizeof(delay), "%llu.%03llu", (unsigned long long)age / 1000, (unsigned long long)age % 1000);
	if (p != NULL && settled == SETTLED_DEFERRED)
		str_put_time(next, now_us + 1000 * (p->due_ms > now_ms ? p->due_ms - now_ms : 0));
	trace_event(a->sp, a->id, a->envelope.session, events[settled], "to", to, "route", p != NULL ? p->destination->name : NULL,
	    "host", f != NULL && f->host[0] != 0 ? f->host : NULL, "address", f != NULL && f->address[0] != 0 ? f->address : NULL,
	    "tls", f != NULL && f->tls[0] != 0 ? f->tls : NULL, "stage", ipc_delivery_stage(o->stage),
	    "code", o->code != 0 ? str_put_u64(code, o->code) : NULL, "enhanced", r->enhanced, "reply", r->reply, "delay", delay,
	    "next", p != NULL && settled == SETTLED_DEFERRED ? next : NULL,
	    "tries", p != NULL ? str_put_u64(tries, number) : NULL, NULL);
	if (number > a->tries)
		a->tries = number;
	if (settled >= SETTLED_FAILED && r->status == RECIPIENT_REPORTED)
		trace_event(a->sp, a->id, a->envelope.session, "unreported", "to", to, "reason",
		    a->envelope.sender[0] == 0 ? "it has no sender; it is kept in failed/" : "its NOTIFY parameter asks for none", NULL);
}

static enum settled
settle(struct active *a, struct part *p, size_t index, const struct ipc_outcome_of *o, const struct ipc_finished *f, bool is_attempt)
{
	uint64_t now = io_now_ms();
	struct settling s = { .notify = a->envelope.recipients[index].notify, .is_null_sender = a->envelope.sender[0] == 0,
	    .is_expired = (int64_t)now >= a->expires_ms, .is_last_hop = is_last_hop(a, p), .now_us = io_now_us(), .finished = f };
	enum settled settled = settle_recipient(&a->state.recipients[index], o, &s);

	if (settled == SETTLED_DEFERRED && p != NULL) {
		defer(a, p, now, is_attempt);
		if ((int64_t)now >= warn_time(a) && settle_asks(s.notify, DSN_NOTIFY_DELAY))
			a->is_warning = true;
	}
	a->is_dirty = true;
	trace_settled(a, p, index, o, f, settled);
	return settled;
}

enum settled
part_settle(struct active *a, struct part *p, size_t index, const struct ipc_outcome_of *o, const struct ipc_finished *f)
{
	if (p == NULL && a->to[index] != NULL)
		p = part_of(a, a->to[index]);
	return settle(a, p, index, o, f, true);
}

void
part_settle_no_route(struct active *a, struct part *p)
{
	static const struct ipc_outcome_of none = { .verdict = DELIVERY_DEFERRED, .stage = DELIVERY_ROUTE, .enhanced = "4.4.4",
	    .reply = "no route leads there: smtpadm route add" };
	uint64_t now = io_now_ms();

	for (size_t i = part_next_recipient(a, p, 0); i < a->envelope.nrecipients; i = part_next_recipient(a, p, i + 1)) {
		const struct state_recipient *r = &a->state.recipients[i];

		if ((int64_t)now < a->expires_ms && (int64_t)now < warn_time(a) && r->time_us != 0 && r->stage == DELIVERY_ROUTE &&
		    r->reply != NULL && strcmp(r->reply, none.reply) == 0)
			defer(a, p, now, false);
		else
			settle(a, p, i, &none, NULL, false);
	}
	p->step = STEP_SETTLED;
}

static bool
has_waiting(const struct active *a, const struct part *p)
{
	for (size_t i = 0; i < a->envelope.nrecipients; i++)
		if (a->to[i] == p->destination && a->state.recipients[i].status == RECIPIENT_WAITING)
			return true;
	return false;
}

void
part_end(struct active *a, struct part *p)
{
	struct schedule *s = &a->sp->queue.schedule;
	uint64_t now = io_now_ms();

	p->step = STEP_BEGIN;
	if (!has_waiting(a, p))
		part_drop(a, p);
	else if (p->is_returned)
		schedule_wait(s, p, now + RETURNED_MS, now);
	else if (p->from == 0 || part_next_recipient(a, p, p->from) == a->envelope.nrecipients)
		schedule_wait(s, p, p->is_deferred ? p->due_ms : now + RETURNED_MS, now);
}
