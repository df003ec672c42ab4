/*
 * Which messages a queue command is about. Runs as the owner of the spool and only reads.
 */
#include "matches.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "out.h"
#include "str.h"

static int
by_age(const void *x, const void *y)
{
	const struct queue_message *a = x, *b = y;

	if (a->envelope.arrival_us != b->envelope.arrival_us)
		return a->envelope.arrival_us < b->envelope.arrival_us ? -1 : 1;
	return strcmp(a->envelope.id, b->envelope.id);
}

static int
by_size(const void *x, const void *y)
{
	const struct queue_message *a = x, *b = y;

	if (a->envelope.message_size != b->envelope.message_size)
		return a->envelope.message_size > b->envelope.message_size ? -1 : 1;
	return by_age(x, y);
}

static int
by_account(const void *x, const void *y)
{
	const struct queue_message *a = x, *b = y;
	int order = strcmp(a->envelope.account != NULL ? a->envelope.account : "",
	    b->envelope.account != NULL ? b->envelope.account : "");

	return order != 0 ? order : by_age(x, y);
}

/* What was never tried is due since it came. */
static uint64_t
next_of(const struct queue_message *m)
{
	return m->state.next_us != 0 ? m->state.next_us : m->envelope.arrival_us;
}

static int
by_next(const void *x, const void *y)
{
	const struct queue_message *a = x, *b = y;

	if (next_of(a) != next_of(b))
		return next_of(a) < next_of(b) ? -1 : 1;
	return by_age(x, y);
}

static const struct {
	const char	*word;
	int		(*compare)(const void *, const void *);
} orders[] = { { "age", by_age }, { "next", by_next }, { "size", by_size }, { "account", by_account } };
#define NORDERS (sizeof(orders) / sizeof(orders[0]))

/* --sort and --limit: which of the matches come first, and how many of them are meant. */
static int
parse_order(struct matches *ms, const struct admin *a)
{
	const char *order = admin_value(a, OPT_SORT), *text = admin_value(a, OPT_LIMIT);
	size_t i = 0;

	ms->limit = UINT64_MAX;
	if (text != NULL && (str_parse_u64(text, strlen(text), UINT64_MAX, &ms->limit) != ERR_OK || ms->limit == 0)) {
		out_fix("--limit 20");
		return out_fail(EX_USAGE, "usage", "--limit takes a number from 1, not '%s'", text);
	}
	if (text != NULL && a->nwords != 0) {
		out_fix("--limit with filters, or ids without it");
		return out_fail(EX_USAGE, "usage", "ids say which messages are meant: --limit does not go with them");
	}
	while (order != NULL && i < NORDERS && strcmp(orders[i].word, order) != 0)
		i++;
	if (i == NORDERS) {
		out_fix("--sort age, --sort next, --sort size or --sort account");
		return out_fail(EX_USAGE, "usage", "--sort is age, next, size or account, not '%s'", order);
	}
	ms->compare = orders[i].compare;
	ms->narrowed = order != NULL || text != NULL;
	return EX_OK;
}

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

static void
check(struct matches *ms, const struct queue_message *m, int fd)
{
	int err = m->err == ERR_OK && ms->verify && fd >= 0 ? spool_verify(fd) : m->err;

	if (err != ERR_OK)
		complain(ms, m, err);
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
	if (!ms->narrowed)
		check(ms, &m, e->fd);
	if (ms->keep || ms->narrowed) {
		if ((err = keep(ms, &m)) != ERR_OK)
			queue_free(&m);
		return err;
	}
	ms->n++;
	err = ms->each != NULL ? ms->each(&m, ms->arg) : ERR_OK;
	queue_free(&m);
	return err;
}

static void
cut(struct matches *ms)
{
	while (ms->n > ms->limit)
		queue_free(&ms->list[--ms->n]);
}

/* What the walk has left until it was known which messages come first. One that has just left is whole for all that is known. */
static int
visit_kept(struct matches *ms)
{
	int err = ERR_OK;

	for (size_t i = 0; i < ms->n && err == ERR_OK; i++) {
		const struct queue_message *m = &ms->list[i];
		int fd = ms->verify ? openat(ms->dirs->fds[m->folder], m->file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;

		check(ms, m, fd);
		io_close(&fd);
		if (!ms->keep && ms->each != NULL)
			err = ms->each(m, ms->arg);
	}
	if (!ms->keep)
		matches_free(ms);
	return err;
}

int
matches_open(struct matches *ms, const struct admin *a)
{
	int code = parse_order(ms, a);

	return code != EX_OK ? code : filter_open(&ms->filter, a);
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
	if (ms->n != 0 && (ms->ordered || ms->narrowed))
		qsort(ms->list, ms->n, sizeof(ms->list[0]), ms->compare);
	if (ms->narrowed && err == ERR_OK) {
		cut(ms);
		err = visit_kept(ms);
	}
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
