/*
 * Deliveries: what is given to relay, and the results that come back over a socket for each. Run by postern-spool's loop. What a
 * session process says has passed through a foreign server's hands: it can only settle the recipients of its own delivery.
 * Invariant: FINISHED is answered when the results are on stable storage, not before.
 */
#include "deliver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "active.h"
#include "conf.h"
#include "destination.h"
#include "err.h"
#include "io.h"
#include "log.h"
#include "part.h"
#include "queue.h"
#include "relay_link.h"
#include "settle.h"
#include "spooler.h"
#include "str.h"

#define DATAGRAMS_A_ROUND 128	/* that one delivery may have handled before the others' turn */

static void
unlink_delivery(struct delivery *d)
{
	struct delivery **at = &d->active->deliveries;

	while (*at != d)
		at = &(*at)->sibling;
	*at = d->sibling;
	if (d->previous != NULL)
		d->previous->next = d->next;
	else
		d->sp->deliveries = d->next;
	if (d->next != NULL)
		d->next->previous = d->previous;
}

static void
hang_up(struct delivery *d)
{
	if (d->is_watched)
		loop_remove(&d->sp->loop, &d->watch);
	d->is_watched = false;
	io_close(&d->watch.fd);
	io_close(&d->peer_fd);
}

static void
end(struct delivery *d)
{
	struct active *a = d->active;

	for (size_t i = 0; i < d->n; i++) {
		free(d->results[i]);
		if (a->is_out != NULL && d->indexes[i] < a->envelope.nrecipients)
			a->is_out[d->indexes[i]] = false;
	}
	relay_link_forget(d->sp, d);
	hang_up(d);
	unlink_delivery(d);
	free(d);
}

static struct delivery *
make(struct spooler *sp, struct active *a, int fd, uint64_t number)
{
	struct delivery *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	*d = (struct delivery){ .next = sp->deliveries, .sibling = a->deliveries, .sp = sp, .active = a, .number = number,
	    .began_ms = io_now_ms(), .watch = { .fd = fd }, .peer_fd = -1 };
	if (d->next != NULL)
		d->next->previous = d;
	sp->deliveries = d;
	a->deliveries = d;
	return d;
}

static void
log_end(const struct delivery *d, const struct ipc_finished *f, const size_t counts[4])
{
	const struct destination *to = d->part != NULL ? d->part->destination : NULL;
	char delivered[21], deferred[21], failed[21], code[21], ms[21];

	log_event(LOG_LEVEL_INFO, d->active->envelope.session, "delivery", "id", d->active->id, "route", to != NULL ? to->name : NULL,
	    "domain", to != NULL && to->domain[0] != 0 ? to->domain : NULL, "host", f->host[0] != 0 ? f->host : NULL,
	    "tls", f->tls[0] != 0 ? f->tls : NULL,
	    "delivered", str_put_u64(delivered, counts[SETTLED_DELIVERED]), "deferred", str_put_u64(deferred, counts[SETTLED_DEFERRED]),
	    "failed", str_put_u64(failed, counts[SETTLED_FAILED] + counts[SETTLED_EXPIRED]),
	    "stage", ipc_delivery_stage(f->outcome.stage), "code", f->outcome.code != 0 ? str_put_u64(code, f->outcome.code) : NULL,
	    "reply", f->outcome.reply[0] != 0 ? f->outcome.reply : NULL, "ms", str_put_u64(ms, io_now_ms() - d->began_ms), NULL);
}

/* What it says of the destination. */
static void
judge_destination(struct delivery *d, const struct ipc_finished *f, bool has_delivered)
{
	struct spooler *sp = d->sp;
	struct schedule *s = &sp->queue.schedule;
	struct destination *to = d->part->destination;
	uint64_t now = io_now_ms();

	if (f->is_dead && f->outcome.verdict == DELIVERY_DEFERRED) {
		/* Others that were under way beside it have met the same trouble: it counts once. */
		if (!destination_is_dead(to, now))
			destination_note_dead(to, f, now + part_rest_ms(&sp->service.conf, to->failures + 1));
		d->part->is_stalled = true;
	} else if (f->outcome.verdict != DELIVERY_RETURNED) {
		d->part->is_stalled = false;
		if (destination_note_alive(to))
			schedule_revive(s, to, now);
		if (has_delivered)
			destination_note_success(to);
	}
	schedule_review(s, to, now);
}

/* All has been said: f of those that had no RESULT. is_broken: nothing was said, the socket has just ended. */
static void
conclude(struct delivery *d, const struct ipc_finished *f, bool is_broken)
{
	static const struct ipc_outcome_of returned = { .verdict = DELIVERY_RETURNED };
	struct active *a = d->active;
	size_t counts[4] = { 0 };
	bool is_returned = f->outcome.verdict == DELIVERY_RETURNED;

	for (size_t i = 0; i < d->n; i++) {
		const struct ipc_outcome_of *o = d->results[i] != NULL ? d->results[i] : is_returned ? &returned : &f->outcome;

		a->is_out[d->indexes[i]] = false;
		if (o->verdict == DELIVERY_RETURNED || a->state.recipients[d->indexes[i]].status != RECIPIENT_WAITING)
			continue;
		counts[part_settle(a, d->part, d->indexes[i], o, f)]++;
	}
	if (!is_returned)
		log_end(d, f, counts);
	if (d->part != NULL) {
		if (!is_broken)
			judge_destination(d, f, counts[SETTLED_DELIVERED] != 0);
		d->part->is_returned = is_returned;
		d->part->step = STEP_SETTLED;
		/* Of others than its own recipients it can say that nothing goes there, never that they have it. */
		if (f->is_dead && !is_returned && f->outcome.verdict != DELIVERY_DELIVERED)
			deliver_settle_part(a, d->part, &f->outcome, f);
	}
	/* Relay may give it back before it has all of it. */
	relay_link_forget(d->sp, d);
	d->carriage = CARRIAGE_SETTLED;
	if (d->is_watched)
		loop_remove(&d->sp->loop, &d->watch);
	d->is_watched = false;
	active_step(a);
}

static void
break_off(struct delivery *d)
{
	static const struct ipc_finished broken = { .outcome = { .verdict = DELIVERY_DEFERRED, .stage = DELIVERY_CONNECT,
	    .enhanced = "4.4.2", .reply = "the session with the next hop broke off" } };

	conclude(d, &broken, true);
}

static void
drop_bad(struct delivery *d, const char *what, const char *kind)
{
	log_event(LOG_LEVEL_ALARM, d->active->envelope.session, "relay.bad_frame", "what", what, "kind", kind, "id", d->active->id, NULL);
	hang_up(d);
	break_off(d);
}

static int
take_result(struct delivery *d, struct wire_in *body)
{
	static struct ipc_result r;
	int err = ipc_get_result(body, &r);

	if (err != ERR_OK)
		return err;
	for (size_t i = 0; i < d->n; i++) {
		if (d->indexes[i] != r.index)
			continue;
		if (d->results[i] == NULL && (d->results[i] = malloc(sizeof(*d->results[i]))) == NULL)
			return ERR_NOMEM;
		*d->results[i] = r.outcome;
		return ERR_OK;
	}
	return ERR_DENIED;
}

/* The next datagram; false: it is concluded, or there is none. */
static bool
take_next(struct delivery *d)
{
	static struct ipc_finished f;
	struct ipc_message m;
	int err = ipc_recv(d->watch.fd, IPC_SPOOL_FROM_DELIVERY, d->sp->small, sizeof(d->sp->small), false, &m);

	if (err == ERR_BUSY)
		return false;
	if (err == ERR_CLOSED || err == ERR_SYSTEM) {
		hang_up(d);
		break_off(d);
		return false;
	}
	if (err == ERR_OK && m.kind == IPC_RESULT && (err = take_result(d, &m.body)) == ERR_OK)
		return true;
	if (err == ERR_OK && (err = ipc_get_finished(&m.body, &f)) == ERR_OK && f.number != d->number)
		err = ERR_DENIED;
	if (err != ERR_OK)
		drop_bad(d, err_text(err), ipc_kind_name(m.kind));
	else
		conclude(d, &f, false);
	return false;
}

static void
handle_socket(void *owner, uint32_t events)
{
	struct delivery *d = owner;

	(void)events;
	for (int i = 0; i < DATAGRAMS_A_ROUND && take_next(d); i++)
		continue;
}

static int
listen_to(struct delivery *d)
{
	d->watch.handle = handle_socket;
	d->watch.owner = d;
	if (loop_add(&d->sp->loop, &d->watch, EPOLLIN) != ERR_OK)
		return ERR_SYSTEM;
	d->is_watched = true;
	return ERR_OK;
}

int
deliver_begin(struct active *a, struct part *p)
{
	struct spooler *sp = a->sp;
	struct delivery *d;
	int fds[2];

	if (part_next_recipient(a, p, p->from) == a->envelope.nrecipients)
		return ERR_NOTFOUND;
	if (ipc_pair(fds) != ERR_OK)
		return ERR_SYSTEM;
	if ((d = make(sp, a, fds[0], sp->next_number++)) == NULL) {
		io_close(&fds[0]);
		io_close(&fds[1]);
		return ERR_NOMEM;
	}
	d->part = p;
	d->peer_fd = fds[1];
	if (listen_to(d) != ERR_OK) {
		end(d);
		return ERR_SYSTEM;
	}
	for (size_t i = part_next_recipient(a, p, p->from); i < a->envelope.nrecipients && d->n < RELAY_RECIPIENTS_MAX;
	    i = part_next_recipient(a, p, i + 1)) {
		d->indexes[d->n++] = (uint16_t)i;
		a->is_out[i] = true;
		p->from = (uint16_t)(i + 1);
	}
	p->step = STEP_UNDER_WAY;
	relay_link_send(sp, d);
	return ERR_OK;
}

void
deliver_take_up(struct spooler *sp, const struct ipc_underway *u, int fd)
{
	struct queue_entry *e = queue_find(&sp->queue, u->id);
	struct delivery *d;

	/* Without a message its session process sees the end of the socket, and sends nothing if it has not done so yet. */
	if (e == NULL || active_open(sp, e) != ERR_OK || e->active->is_leaving ||
	    (d = make(sp, e->active, fd, u->number)) == NULL) {
		log_event(LOG_LEVEL_WARNING, 0, "delivery.unknown", "id", u->id, NULL);
		io_close(&fd);
		return;
	}
	d->carriage = CARRIAGE_SENT;
	d->n = u->n;
	memcpy(d->indexes, u->indexes, u->n * sizeof(u->indexes[0]));
	active_step(e->active);
}

/* Whether they are recipients of the message, each of them once. */
static bool
are_ours(const struct delivery *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->indexes[i] >= d->active->envelope.nrecipients || d->active->is_out[d->indexes[i]])
			return false;
	return true;
}

void
deliver_listen(struct active *a)
{
	struct delivery *next;

	for (struct delivery *d = a->deliveries; d != NULL; d = next) {
		next = d->sibling;
		if (d->is_watched || d->carriage != CARRIAGE_SENT)
			continue;
		if (!are_ours(d) || listen_to(d) != ERR_OK) {
			log_event(LOG_LEVEL_ALARM, 0, "relay.bad_frame", "what", "recipients", "kind", "UNDERWAY", "id", a->id, NULL);
			d->n = 0;
			end(d);
			continue;
		}
		for (size_t i = 0; i < d->n; i++)
			a->is_out[d->indexes[i]] = true;
	}
}

void
deliver_mark_writing(struct active *a)
{
	for (struct delivery *d = a->deliveries; d != NULL; d = d->sibling)
		if (d->carriage == CARRIAGE_SETTLED)
			d->carriage = CARRIAGE_WRITING;
}

void
deliver_answer(struct active *a, bool is_written)
{
	struct delivery *next;

	for (struct delivery *d = a->deliveries; d != NULL; d = next) {
		struct ipc_delivery m = { .number = d->number, .is_open = true };
		uint8_t data[32];
		struct wire_out w;

		next = d->sibling;
		if (d->carriage != CARRIAGE_WRITING)
			continue;
		if (!is_written) {
			d->carriage = CARRIAGE_SETTLED;
			continue;
		}
		wire_out_init(&w, data, sizeof(data));
		ipc_put_delivery(&w, IPC_FINISHED_ANSWER, &m);
		/* Who does not hear it any more has ended. */
		if (d->watch.fd >= 0)
			ipc_send(d->watch.fd, &w, NULL, 0, false);
		end(d);
	}
}

void
deliver_give_back(struct delivery *d)
{
	struct active *a = d->active;

	if (d->part != NULL) {
		d->part->is_returned = true;
		d->part->step = STEP_SETTLED;
	}
	end(d);
	active_step(a);
}

void
deliver_drop(struct delivery *d)
{
	end(d);
}

bool
deliver_is_under_way(const struct active *a)
{
	for (const struct delivery *d = a->deliveries; d != NULL; d = d->sibling)
		if (d->carriage == CARRIAGE_UNSENT || d->carriage == CARRIAGE_SENT)
			return true;
	return false;
}

void
deliver_settle_part(struct active *a, struct part *p, const struct ipc_outcome_of *o, const struct ipc_finished *f)
{
	for (size_t i = part_next_recipient(a, p, p->from); i < a->envelope.nrecipients; i = part_next_recipient(a, p, i + 1)) {
		part_settle(a, p, i, o, f);
		p->from = (uint16_t)(i + 1);
	}
	p->step = STEP_SETTLED;
	a->is_dirty = true;
}
