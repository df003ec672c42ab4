/*
 * Which messages a queue command is about. Runs as the owner of the spool and only reads.
 */
#include "matches.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "out.h"

static int
keep(struct matches *ms, struct queue_message *m)
{
	struct queue_message *grown;

	if (ms->n == ms->size) {
		ms->size = ms->size != 0 ? ms->size * 2 : 64;
		if ((grown = realloc(ms->list, ms->size * sizeof(*grown))) == NULL)
			return ERR_NOMEM;
		ms->list = grown;
	}
	ms->list[ms->n++] = *m;
	return ERR_OK;
}

/* In failed/, where corrupt files are set aside, one is no news, unless that is the question. */
static void
complain(struct matches *ms, const struct queue_message *m, int err)
{
	if (ms->silent || (m->folder == SPOOL_FAILED && !ms->verify))
		return;
	ms->corrupt++;
	if (m->folder == SPOOL_FAILED)
		out_fix("smtpadm queue remove --state failed");
	else
		out_fix("smtpadm queue list --state failed");
	out_fail(
	    EX_DATAERR, "corrupt", "the message file %s/%s: %s", spool_folder_name(m->folder), m->file, err_text(err));
}

static int
visit(const struct spool_entry *e, void *arg)
{
	struct matches *ms = arg;
	struct queue_message m;
	int err;

	queue_read(ms->dirs, e, &m);
	if (m.err == ERR_NOMEM)
		return ERR_NOMEM;
	if (!filter_matches(&ms->filter, &m)) {
		queue_free(&m);
		return 0;
	}
	err = m.err == ERR_OK && ms->verify ? spool_verify(e->fd) : m.err;
	if (err != ERR_OK)
		complain(ms, &m, err);
	if (ms->keep) {
		if ((err = keep(ms, &m)) != ERR_OK)
			queue_free(&m);
		return err;
	}
	ms->n++;
	err = ms->each != NULL ? ms->each(&m, ms->arg) : ERR_OK;
	queue_free(&m);
	return err;
}

int
matches_open(struct matches *ms, const struct admin *a)
{
	return filter_open(&ms->filter, a);
}

/* Files of another owner: they are in no list, so it must be said. */
static void
tell_unread(const struct spool_dirs *d, const struct spool_unread *u)
{
	char link[32], path[PATH_MAX];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", d->root_fd);
	if (fstat(d->root_fd, &st) != 0 || (n = readlink(link, path, sizeof(path) - 1)) <= 0)
		return;
	path[n] = 0;
	out_warn("%zu message file%s can't be read by user %u, the spool's owner, and %s not shown, beginning with %s/%s: "
	    "chown -R %u:%u %s", u->n, u->n == 1 ? "" : "s", (unsigned)geteuid(), u->n == 1 ? "is" : "are",
	    spool_folder_name(u->folder), u->name, (unsigned)st.st_uid, (unsigned)st.st_gid, path);
}

int
matches_read(struct matches *ms, const struct spool_dirs *d)
{
	struct spool_unread unread;
	int err;

	ms->dirs = d;
	err = spool_walk_unread(d, visit, ms, &unread);
	ms->unread = unread.n;
	if (unread.n != 0)
		tell_unread(d, &unread);
	if (err == ERR_OK)
		return EX_OK;
	return out_fail(admin_code(err), admin_name(err), "the spool can't be read: %s", err_text(err));
}

int
matches_find(struct matches *ms, const struct admin *a)
{
	struct spool_dirs d;
	int code;

	if ((code = matches_open(ms, a)) != EX_OK || (code = queue_open(a, &d)) != EX_OK)
		return code;
	code = matches_read(ms, &d);
	spool_close(&d);
	return code;
}

void
matches_free(struct matches *ms)
{
	for (size_t i = 0; ms->list != NULL && i < ms->n; i++)
		queue_free(&ms->list[i]);
	free(ms->list);
	ms->list = NULL;
}

int
matches_verdict(const struct matches *ms)
{
	if (ms->corrupt != 0)
		return EX_DATAERR;
	if (ms->verify && ms->unread != 0)
		return EX_NOPERM;
	return ms->n == 0 && ms->filter.any ? EX_NO : EX_OK;
}
