/*
 * Messages with which something is being done: read, given out part by part, their state written, reported on, and let go. Run by
 * postern-spool's loop; what may block by its commit threads, one job at a time for a message. Invariant: between two readings of a message its
 * state in memory is the true one; a recipient that it calls settled is never given out again, whether the disk has taken that or not.
 */
#include "active.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "deliver.h"
#include "destination.h"
#include "err.h"
#include "io.h"
#include "log.h"
#include "notice.h"
#include "part.h"
#include "queue.h"
#include "relay_link.h"
#include "save.h"
#include "sign.h"
#include "spooler.h"
#include "str.h"

#define RETRY_MS 1000
#define UNREADABLE_MS 60000	/* a message that can't be read at the moment */
#define REPORT_PATIENCE_MS 30000	/* for other recipients of the message, whose turn may come: one report for all */

static void
submit(struct active *a, int (*perform)(void *), void (*finish)(void *))
{
	a->job = (struct job){ .owner = a, .perform = perform, .finish = finish };
	pool_submit(&a->sp->pool, &a->job, JOB_CALL);
}

void
active_free(struct active *a)
{
	if (a->previous != NULL)
		a->previous->next = a->next;
	else
		a->sp->actives = a->next;
	if (a->next != NULL)
		a->next->previous = a->previous;
	if (a->entry != NULL) {
		a->entry->active = NULL;
		a->entry->is_in_cur = a->is_in_cur;
		a->entry->is_moved = a->is_moved;
	}
	sign_forget(a);
	spool_envelope_free(&a->envelope);
	state_free(&a->state);
	buf_free(&a->text);
	io_close(&a->fd);
	free(a->to);
	free(a->is_out);
	free(a);
}

bool
active_has_taken(const struct active *a)
{
	for (const struct part *p = a->entry->parts; p != NULL; p = p->sibling)
		if (p->place == PART_TAKEN)
			return true;
	return false;
}

bool
active_is_busy(const struct active *a)
{
	return a->is_read || a->deliveries != NULL || active_has_taken(a);
}

void
active_detach(struct active *a)
{
	a->entry->active = NULL;
	a->entry = NULL;
}

/* In a commit thread. It is looked for where it was last, then in the other folder. */
static int
read_message(void *owner)
{
	struct active *a = owner;
	const struct spool_dirs *d = &a->sp->dirs;
	int err;

	for (int i = 0; i < 2 && a->fd < 0; i++) {
		if (i == 1)
			a->is_in_cur = !a->is_in_cur;
		a->fd = openat(d->fds[a->is_in_cur ? SPOOL_CUR : SPOOL_NEW], a->file,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
		if (a->fd < 0 && errno != ENOENT) {
			a->error = errno;
			return errno == ELOOP ? ERR_CORRUPT : ERR_SYSTEM;
		}
	}
	if (a->fd < 0)
		return ERR_NOTFOUND;
	if ((err = spool_read_envelope(a->fd, &a->envelope)) == ERR_OK)
		err = strcmp(a->envelope.id, a->id) == 0 ? state_read(d, a->id, a->envelope.nrecipients, &a->state) : ERR_CORRUPT;
	a->error = errno;
	return err;
}

/* It can't be read: now (it is tried again), or at all. */
static void
give_up(struct active *a, int err)
{
	struct spooler *sp = a->sp;
	struct queue_entry *e = a->entry;
	bool is_for_good = err == ERR_NOTFOUND || err == ERR_CORRUPT || err == ERR_VERSION;
	uint64_t now = io_now_ms();

	log_event(err == ERR_NOTFOUND ? LOG_LEVEL_WARNING : LOG_LEVEL_ALARM, 0, err == ERR_NOTFOUND ? "message.gone" : "message.unreadable",
	    "id", a->id, "file", a->file, "reason", err == ERR_SYSTEM ? strerror(a->error) : err_text(err), "hint",
	    is_for_good ? "it is not delivered" : "it is tried again", NULL);
	while (a->deliveries != NULL)
		deliver_drop(a->deliveries);
	active_free(a);
	if (is_for_good) {
		queue_forget(sp, e);
		return;
	}
	for (struct part *p = e->parts; p != NULL; p = p->sibling)
		if (p->place == PART_TAKEN)
			schedule_wait(&sp->queue.schedule, p, now + UNREADABLE_MS, now);
	if (e->parts == NULL)
		queue_unroute(sp, e, now + UNREADABLE_MS);
}

static void
set_expiry(struct active *a)
{
	const struct conf *c = &a->sp->service.conf;
	uint64_t us = a->state.expires_us;

	if (us == 0)
		a->expires_ms = a->entry->born_ms + (int64_t)c->delivery_expire;
	else
		a->expires_ms = a->entry->born_ms + ((int64_t)us - (int64_t)a->envelope.arrival_us) / 1000;
	for (size_t i = 0; i < a->envelope.nrecipients && !a->may_warn; i++)
		a->may_warn = settle_asks(a->envelope.recipients[i].notify, DSN_NOTIFY_DELAY);
}

static void
finish_read(void *owner)
{
	struct active *a = owner;
	int err = a->job.err;

	a->sp->queue.reading--;
	if (a->entry == NULL) {
		active_free(a);
		return;
	}
	if (err == ERR_OK && ((a->to = calloc(a->envelope.nrecipients, sizeof(struct destination *))) == NULL ||
	    (a->is_out = calloc(a->envelope.nrecipients, sizeof(*a->is_out))) == NULL))
		err = ERR_NOMEM;
	if (err == ERR_OK) {
		set_expiry(a);
		err = part_route(a);
	}
	if (err != ERR_OK) {
		give_up(a, err);
		return;
	}
	a->is_read = true;
	active_step(a);
}

int
active_open(struct spooler *sp, struct queue_entry *e)
{
	struct active *a;

	if (e->active != NULL)
		return ERR_OK;
	if ((a = calloc(1, sizeof(*a))) == NULL)
		return ERR_NOMEM;
	*a = (struct active){ .next = sp->actives, .sp = sp, .entry = e, .is_in_cur = e->is_in_cur, .is_moved = e->is_moved, .fd = -1 };
	if (a->next != NULL)
		a->next->previous = a;
	sp->actives = a;
	queue_get_id(e, a->id);
	memcpy(a->file, e->file, strlen(e->file) + 1);
	buf_init(&a->text, SIZE_MAX);
	e->active = a;
	sp->queue.reading++;
	submit(a, read_message, finish_read);
	return ERR_OK;
}

/* Nothing stands in the way of a part but the relay. */
static void
begin_part(struct active *a, struct part *p)
{
	struct destination *d = p->destination;
	uint64_t now = io_now_ms();
	int err;

	if (p->is_record && !d->is_ours && !destination_is_dead(d, now)) {
		schedule_wait(&a->sp->queue.schedule, p, now, now);
	} else if (d->is_ours) {
		part_settle_no_route(a, p);
	} else if (destination_is_dead(d, now)) {
		p->is_stalled = true;
		deliver_settle_part(a, p, &d->reason->outcome, d->reason);
	} else if (!relay_link_is_ready(a->sp) || a->sp->draining) {
		schedule_wait(&a->sp->queue.schedule, p, now, now);
	} else if (sign_begin(a) && (err = deliver_begin(a, p)) != ERR_OK) {
		/* No recipient: they are all in a delivery of an earlier process. */
		p->is_returned = err != ERR_NOTFOUND;
		p->step = STEP_SETTLED;
	}
}

/* Whether something of it is given out, or will be in a moment; the part for reports aside. */
static bool
is_idle(const struct active *a, struct part **report, bool *has_ready)
{
	bool is_quiet = a->deliveries == NULL;

	*report = NULL;
	*has_ready = false;
	for (struct part *p = a->entry->parts; p != NULL; p = p->sibling) {
		if (strcmp(p->destination->name, DESTINATION_REPORT) == 0)
			*report = p;
		else if (p->place == PART_TAKEN)
			is_quiet = false;
		else if (p->place == PART_READY)
			*has_ready = true;
	}
	return is_quiet;
}

/* Tells the sender what is to be told. False: nothing is, or not now. */
static bool
report(struct active *a)
{
	struct part *p;
	bool has_ready;

	if (!is_idle(a, &p, &has_ready)) {
		/* Its place is for others meanwhile. */
		if (p != NULL && p->place == PART_TAKEN)
			part_want_report(a, io_now_ms() + RETRY_MS);
		return false;
	}
	if (!notice_is_due(a))
		return false;
	if (has_ready && (p == NULL || p->place != PART_TAKEN)) {
		if (p == NULL)
			part_want_report(a, io_now_ms() + REPORT_PATIENCE_MS);
		return false;
	}
	if (notice_begin(a) != ERR_OK) {
		if (a->retry_ms == 0)
			save_log_refused(a, "report.not_stored", ERR_NOMEM, 0);
		a->retry_ms = io_now_ms() + RETRY_MS;
	}
	return true;
}

/* Nothing is to be done with it any more for the moment. */
static void
release(struct active *a)
{
	struct spooler *sp = a->sp;
	struct queue_entry *e = a->entry;
	struct part *p;
	bool has_ready;

	if (!is_idle(a, &p, &has_ready))
		return;
	if (p != NULL && !notice_is_due(a))
		part_drop(a, p);
	active_free(a);
	if (e->generation != sp->queue.generation)
		queue_unroute(sp, e, 0);
}

void
active_step(struct active *a)
{
	struct part *next;

	if (!a->is_read || a->is_leaving || a->job.kind != JOB_NONE || (a->retry_ms != 0 && io_now_ms() < a->retry_ms))
		return;
	/* Not while a thread looks at the state. */
	deliver_listen(a);
	if (save_begin(a))
		return;
	/* What has nothing to be written. */
	deliver_mark_writing(a);
	deliver_answer(a, true);
	save_end(a, STEP_SETTLED);
	/* Other routes are in force since it was read. Without memory for them release() sees to it. */
	if (a->entry->generation != a->sp->queue.generation && a->deliveries == NULL && part_route(a) != ERR_OK)
		a->entry->generation = 0;
	for (struct part *p = a->entry->parts; p != NULL && a->job.kind == JOB_NONE; p = next) {
		next = p->sibling;
		if (p->place == PART_TAKEN && p->step == STEP_BEGIN && strcmp(p->destination->name, DESTINATION_REPORT) != 0)
			begin_part(a, p);
	}
	if (a->job.kind != JOB_NONE || save_begin(a))
		return;
	save_end(a, STEP_SETTLED);
	if (!report(a))
		release(a);
}

void
active_tick(struct spooler *sp, uint64_t now_ms)
{
	struct active *next;

	for (struct active *a = sp->actives; a != NULL; a = next) {
		next = a->next;
		if (a->retry_ms != 0 && now_ms >= a->retry_ms && a->job.kind == JOB_NONE && !a->is_leaving)
			active_step(a);
	}
}
