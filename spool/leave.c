/*
 * The end of messages that are done with. Run by postern-spool's loop and, the removal itself, by its commit threads. Invariant:
 * nobody is told that a message is done before its file is gone for good; its state goes after it, so that no crash makes it be
 * delivered again.
 */
#include "leave.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "active.h"
#include "err.h"
#include "folder_sync.h"
#include "io.h"
#include "spooler.h"
#include "state.h"

#define FORGET_AT_ONCE 256

/* By the journal: the names, instead of their folders. */
static int
forget(struct leaving *l, struct journal *journal)
{
	const char *names[FORGET_AT_ONCE];
	size_t n = 0;
	int err = ERR_OK;

	for (const struct active *a = l->batch; a != NULL && err == ERR_OK; a = a->next_leaving) {
		if (a->error == 0)
			names[n++] = a->file;
		if (n != 0 && (n == FORGET_AT_ONCE || a->next_leaving == NULL)) {
			err = journal_forget(journal, names, n);
			n = 0;
		}
	}
	if (err != ERR_OK)
		l->error = errno;
	return err;
}

static int
sync_folder(struct leaving *l, struct folder_sync *f, bool is_touched)
{
	int err = is_touched ? folder_sync_wait(f) : ERR_OK;

	if (err != ERR_OK)
		l->error = errno;
	return err;
}

/* In a commit thread. */
static int
perform(void *owner)
{
	struct spooler *sp = owner;
	struct leaving *l = &sp->leaving;
	bool has_new = false, has_cur = false;

	for (struct active *a = l->batch; a != NULL; a = a->next_leaving) {
		int folder = sp->dirs.fds[a->is_in_cur ? SPOOL_CUR : SPOOL_NEW];

		/* One that is not there was removed before, and not synced. */
		a->error = unlinkat(folder, a->file, 0) == 0 || errno == ENOENT ? 0 : errno;
		has_new |= !a->is_in_cur || a->is_moved;
		has_cur |= a->is_in_cur;
	}
	if (sp->dirs.journal != NULL)
		l->err = forget(l, sp->dirs.journal);
	else if ((l->err = sync_folder(l, &sp->new_sync, has_new)) == ERR_OK)
		l->err = sync_folder(l, &sp->cur_sync, has_cur);
	for (struct active *a = l->batch; a != NULL && l->err == ERR_OK; a = a->next_leaving)
		if (a->error == 0)
			state_remove(&sp->dirs, a->id);
	return l->err;
}

static void
finish(void *owner)
{
	struct spooler *sp = owner;
	struct leaving *l = &sp->leaving;
	struct active *a, *next;

	for (a = l->batch; a != NULL; a = next) {
		next = a->next_leaving;
		if (l->err != ERR_OK)
			active_stayed(a, l->err, l->error);
		else if (a->error != 0)
			active_stayed(a, ERR_SYSTEM, a->error);
		else
			active_left(a);
	}
	l->batch = NULL;
	leave_run(sp);
}

void
leave_add(struct spooler *sp, struct active *a)
{
	a->next_leaving = sp->leaving.waiting;
	sp->leaving.waiting = a;
}

void
leave_run(struct spooler *sp)
{
	struct leaving *l = &sp->leaving;

	if (l->waiting == NULL || l->job.kind != JOB_NONE)
		return;
	l->batch = l->waiting;
	l->waiting = NULL;
	l->job = (struct job){ .owner = sp, .perform = perform, .finish = finish };
	pool_submit(&sp->pool, &l->job, JOB_CALL);
}
