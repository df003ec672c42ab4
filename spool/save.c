/*
 * What has happened to a message goes to the disk: its state, or its removal when all is done. Run by postern-spool's loop; the
 * writing by its commit threads. Invariant: who told of a result hears that it was taken when it is on stable storage; what the
 * disk refuses stays in memory and is written again each second.
 */
#include "save.h"

#include <errno.h>
#include <string.h>

#include "active.h"
#include "deliver.h"
#include "destination.h"
#include "err.h"
#include "io.h"
#include "leave.h"
#include "link.h"
#include "log.h"
#include "part.h"
#include "queue.h"
#include "spooler.h"
#include "str.h"
#include "trace.h"
#include "transaction.h"

#define RETRY_MS 1000		/* what the disk did not take */

static void
submit(struct active *a, int (*perform)(void *), void (*finish)(void *))
{
	a->job = (struct job){ .owner = a, .perform = perform, .finish = finish };
	pool_submit(&a->sp->pool, &a->job, JOB_CALL);
}

/* What is settled is on the disk, or there was nothing to write. */
void
save_end(struct active *a, enum part_step step)
{
	struct part *next;

	for (struct part *p = a->entry->parts; p != NULL; p = next) {
		next = p->sibling;
		if (p->place == PART_TAKEN && p->step == step)
			part_end(a, p);
	}
}

void
active_left(struct active *a)
{
	struct spooler *sp = a->sp;
	struct queue_entry *e = a->entry;
	char tries[21];

	deliver_mark_writing(a);
	deliver_answer(a, true);
	str_put_u64(tries, a->tries > a->state.tries ? a->tries : a->state.tries);
	trace_event(sp, a->id, a->envelope.session, "done", "tries", tries, "folder", a->is_set_aside ? "failed" : NULL, NULL);
	waiting_subtract(&sp->waiting, a->envelope.account, a->envelope.message_size);
	link_tell_usage(sp);
	active_free(a);
	queue_forget(sp, e);
}

void
save_log_refused(const struct active *a, const char *event, int err, int error)
{
	log_event(LOG_LEVEL_ERROR, a->envelope.session, event, "id", a->id, "error", err == ERR_NOMEM ? "out of memory" : strerror(error),
	    "hint", "it is tried again each second; nothing of the message is given out meanwhile", NULL);
}

void
active_stayed(struct active *a, int err, int error)
{
	if (a->retry_ms == 0)
		save_log_refused(a, "spool.remove_failed", err, error);
	a->is_leaving = false;
	a->retry_ms = io_now_ms() + RETRY_MS;
}

/* The texts of the state as it is now, with the times by the clock on the wall. */
static int
put_state(struct active *a)
{
	uint64_t now = io_now_ms(), next = UINT64_MAX, due;

	for (const struct part *p = a->entry->parts; p != NULL; p = p->sibling) {
		bool is_later = p->place == PART_WAITING || (p->place == PART_TAKEN && p->step != STEP_BEGIN && p->is_deferred);

		if (p->destination->is_ours && strcmp(p->destination->name, DESTINATION_NO_ROUTE) != 0)
			continue;
		due = is_later && p->due_ms > now ? p->due_ms : now;
		next = due < next ? due : next;
		if (p->tries > a->state.tries)
			a->state.tries = p->tries;
	}
	a->state.next_us = next != UINT64_MAX && next > now ? io_now_us() + 1000 * (next - now) : 0;
	buf_reset(&a->text);
	a->text_is_precious = state_is_precious(&a->state);
	return state_put(&a->state, &a->text);
}

/* In a commit thread. The first state of a message takes it from new/ to cur/; no promise depends on that. */
static int
write_state(void *owner)
{
	struct active *a = owner;
	struct spooler *sp = a->sp;
	int err = transaction_replace_state(&sp->dirs, a->id, a->text.data, a->text.len, a->text_is_precious, &sp->state_sync);

	a->error = errno;
	if (err == ERR_OK && !a->is_in_cur &&
	    transaction_move(sp->dirs.fds[SPOOL_NEW], a->file, sp->dirs.fds[SPOOL_CUR], a->file) == ERR_OK)
		a->is_in_cur = a->is_moved = true;
	return err;
}

static void
take_back(struct active *a, int err, int error)
{
	if (a->retry_ms == 0)
		save_log_refused(a, "spool.state_not_written", err, error);
	a->retry_ms = io_now_ms() + RETRY_MS;
	a->is_dirty = true;
	deliver_answer(a, false);
	for (struct part *p = a->entry->parts; p != NULL; p = p->sibling)
		if (p->place == PART_TAKEN && p->step == STEP_WRITING)
			p->step = STEP_SETTLED;
}

static void
finish_write(void *owner)
{
	struct active *a = owner;

	if (a->job.err != ERR_OK) {
		take_back(a, a->job.err, a->error);
		return;
	}
	a->retry_ms = 0;
	deliver_answer(a, true);
	save_end(a, STEP_WRITING);
	active_step(a);
}

static void
mark_writing(struct active *a)
{
	deliver_mark_writing(a);
	for (struct part *p = a->entry->parts; p != NULL; p = p->sibling)
		if (p->place == PART_TAKEN && p->step == STEP_SETTLED)
			p->step = STEP_WRITING;
	a->is_dirty = false;
}

/* In a commit thread: one without a sender whom failures could be told is kept for the admin. */
static int
set_aside(void *owner)
{
	struct active *a = owner;
	const struct spool_dirs *d = &a->sp->dirs;
	int err = transaction_replace_state(d, a->id, a->text.data, a->text.len, true, &a->sp->state_sync);

	if (err == ERR_OK)
		err = transaction_move(d->fds[a->is_in_cur ? SPOOL_CUR : SPOOL_NEW], a->file, d->fds[SPOOL_FAILED], a->file);
	/* It was moved before, and what comes after it did not work. */
	if (err == ERR_SYSTEM && errno == ENOENT)
		err = ERR_OK;
	if (err == ERR_OK)
		err = transaction_sync_folder(d->fds[SPOOL_FAILED]);
	if (err == ERR_OK)
		err = folder_sync_wait(a->is_in_cur ? &a->sp->cur_sync : &a->sp->new_sync);
	a->error = errno;
	return err;
}

static void
finish_set_aside(void *owner)
{
	struct active *a = owner;

	if (a->job.err != ERR_OK) {
		take_back(a, a->job.err, a->error);
		return;
	}
	log_event(LOG_LEVEL_WARNING, a->envelope.session, "message.set_aside", "id", a->id, "folder", "failed", "reason",
	    "it failed and has no sender to be told", NULL);
	a->is_set_aside = true;
	active_left(a);
}

static bool
has_failed_untold(const struct active *a)
{
	for (size_t i = 0; i < a->state.nrecipients && a->envelope.sender[0] == 0; i++)
		if (a->state.recipients[i].status == RECIPIENT_REPORTED)
			return true;
	return false;
}

/* All is done, or the state is to be written: begins that. False: neither. */
bool
save_begin(struct active *a)
{
	bool is_done = state_is_done(&a->state) && !deliver_is_under_way(a);

	if (!a->is_dirty && !is_done)
		return false;
	if (is_done && !has_failed_untold(a)) {
		a->is_leaving = true;
		leave_add(a->sp, a);
		leave_run(a->sp);
		return true;
	}
	if (put_state(a) != ERR_OK) {
		take_back(a, ERR_NOMEM, 0);
		return true;
	}
	mark_writing(a);
	submit(a, is_done ? set_aside : write_state, is_done ? finish_set_aside : finish_write);
	return true;
}
