/*
 * smtpadm queue remove. Through postern-spool while it runs, else with the spool's lock held. Runs as the owner of the spool from
 * before it reads a file. Invariant: a message is removed once, whoever else removes it at the same time.
 */
#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "lock.h"
#include "matches.h"
#include "out.h"
#include "spool_control.h"

#define SAMPLES 3
#define LOCK_WAIT_MS 200
#define PATIENCE_MS 5000	/* with a message that is being worked on, and with a daemon that is being started again */
#define PAUSE_US 50000

enum result { RESULT_OPEN, RESULT_REMOVED, RESULT_GONE, RESULT_BUSY, RESULT_FAILED };

struct removing {
	const struct admin	*a;
	struct spool_dirs	 d;
	struct matches		 ms;
	int			 fd;		/* the daemon's socket, or -1 */
	enum result		*results;	/* of each match */
	size_t			*at;		/* those that are open, as indices into the list */
	size_t			 nopen;
};

static const char *const words[] = { "open", "removed", "gone", "busy", "failed" };

static int
check_words(struct removing *r)
{
	for (size_t i = 0; i < r->a->nwords; i++) {
		size_t m = 0;

		while (m < r->ms.n && strcmp(r->ms.list[m].envelope.id, r->a->words[i]) != 0)
			m++;
		if (m < r->ms.n)
			continue;
		out_fix("smtpadm queue list --all");
		return out_fail(EX_NOUSER, "no_message", "there is no message '%s' in the queue; nothing was removed", r->a->words[i]);
	}
	return EX_OK;
}

static int
confirm(struct removing *r)
{
	char texts[SAMPLES][400], what[80];
	const char *samples[SAMPLES] = { "", "", "" };

	for (size_t i = 0; i < SAMPLES && i < r->ms.n; i++) {
		const struct queue_message *m = &r->ms.list[i];
		const struct spool_envelope *e = &m->envelope;

		if (m->err != ERR_OK)
			snprintf(texts[i], sizeof(texts[i]), "%.300s (corrupt)", m->file);
		else
			snprintf(texts[i], sizeof(texts[i]), "%s from <%.150s> to <%.150s>%s", e->id, e->sender,
			    e->recipients[0].address, e->nrecipients > 1 ? " and others" : "");
		samples[i] = texts[i];
	}
	snprintf(what, sizeof(what), "%zu message%s to be removed for good", r->ms.n, r->ms.n == 1 ? " is" : "s are");
	return admin_confirm(r->a, what, samples, r->ms.n);
}

/* Notes what became of the first n open ones; what was busy stays open. */
static void
settle(struct removing *r, const enum result *results, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->nopen; i++) {
		if (i < n)
			r->results[r->at[i]] = results[i];
		if (i >= n || results[i] == RESULT_BUSY)
			r->at[kept++] = r->at[i];
	}
	r->nopen = kept;
}

static size_t
next_files(const struct removing *r, const char **files)
{
	size_t n = 0;

	for (; n < r->nopen && n < IPC_QUEUE_AHEAD; n++)
		files[n] = r->ms.list[r->at[n]].file;
	return n;
}

static void
remove_by_daemon(struct removing *r)
{
	static const enum result meanings[] = { [QUEUE_DONE] = RESULT_REMOVED, [QUEUE_NOT_FOUND] = RESULT_GONE,
	    [QUEUE_BUSY] = RESULT_BUSY, [QUEUE_FAILED] = RESULT_FAILED };
	enum queue_verdict verdicts[IPC_QUEUE_AHEAD];
	enum result results[IPC_QUEUE_AHEAD];
	const char *files[IPC_QUEUE_AHEAD];
	size_t n = next_files(r, files), answered;
	int err = spool_control_change(r->fd, QUEUE_REMOVE, files, n, verdicts, &answered);

	for (size_t i = 0; i < answered; i++)
		results[i] = meanings[verdicts[i]];
	settle(r, results, answered);
	if (err != ERR_OK)
		io_close(&r->fd);
}

/* With the lock held. */
static int
remove_here(struct removing *r)
{
	static struct spool_removal list[IPC_QUEUE_AHEAD];
	enum result results[IPC_QUEUE_AHEAD];
	const char *files[IPC_QUEUE_AHEAD];
	size_t n = next_files(r, files);

	for (size_t i = 0; i < n; i++) {
		list[i] = (struct spool_removal){ .err = ERR_NOTFOUND };
		memcpy(list[i].file, files[i], strlen(files[i]) + 1);
	}
	spool_remove(&r->d, list, n);
	for (size_t i = 0; i < n; i++) {
		results[i] = list[i].err == ERR_OK ? RESULT_REMOVED : list[i].err == ERR_NOTFOUND ? RESULT_GONE : RESULT_FAILED;
		if (results[i] == RESULT_FAILED)
			out_warn("%s can't be removed: %s", list[i].file, strerror(list[i].error));
		free(list[i].account);
	}
	settle(r, results, n);
	return ERR_OK;
}

/* Until all are settled, or there was neither daemon nor lock for too long. */
static int
remove_all(struct removing *r)
{
	uint64_t deadline = io_now_ms() + PATIENCE_MS;
	int lock_fd = -1, err = ERR_OK;

	while (r->nopen != 0 && (err == ERR_OK || err == ERR_BUSY) && io_now_ms() < deadline) {
		size_t before = r->nopen;

		if (lock_fd < 0 && r->fd < 0)
			spool_control_open(r->a, &r->fd);
		if (r->fd >= 0)
			remove_by_daemon(r);
		else if (lock_fd >= 0 || (err = lock_take(&r->d, LOCK_WAIT_MS, &lock_fd)) == ERR_OK)
			err = remove_here(r);
		if (r->nopen < before)
			deadline = io_now_ms() + PATIENCE_MS;
		else
			usleep(PAUSE_US);
	}
	io_close(&lock_fd);
	return err;
}

static int
conclude(const struct removing *r, int err)
{
	size_t counts[] = { 0, 0, 0, 0, 0 };
	struct json j;

	for (size_t i = 0; i < r->ms.n; i++) {
		const struct queue_message *m = &r->ms.list[i];

		counts[r->results[i]]++;
		if (!out_is_json())
			continue;
		json_begin(&j);
		json_put_str(&j, "queue_id", m->envelope.id[0] != 0 ? m->envelope.id : NULL);
		json_put_str(&j, "file", m->file);
		json_put_str(&j, "result", r->a->dry_run ? "would_remove" : words[r->results[i]]);
		json_end(&j, stdout);
	}
	if (r->a->dry_run) {
		out_say("%zu message%s would be removed; nothing was changed", r->ms.n, r->ms.n == 1 ? "" : "s");
		return EX_OK;
	}
	out_say("%zu message%s removed", counts[RESULT_REMOVED], counts[RESULT_REMOVED] == 1 ? "" : "s");
	if (counts[RESULT_GONE] != 0)
		out_say("%zu had gone already", counts[RESULT_GONE]);
	if (counts[RESULT_FAILED] != 0) {
		out_fix("the log of posternd says which and why");
		return out_fail(EX_IOERR, "io_error", "%zu could not be removed", counts[RESULT_FAILED]);
	}
	if (err != ERR_OK && err != ERR_BUSY)
		return out_fail(admin_code(err), admin_name(err), "the spool can't be changed: %s", err_text(err));
	if (counts[RESULT_BUSY] + counts[RESULT_OPEN] != 0) {
		out_fix("the same command again");
		return out_fail(EX_TEMPFAIL, "locked", "%zu could not be removed now: %s", counts[RESULT_BUSY] + counts[RESULT_OPEN],
		    counts[RESULT_OPEN] != 0 ? "the spool is in use by another program" : "they are being worked on");
	}
	return counts[RESULT_REMOVED] != 0 ? EX_OK : EX_NO;
}

int
cmd_queue_remove(struct admin *a)
{
	struct removing r = { .a = a, .fd = -1, .ms = { .keep = true, .silent = true } };
	int code, err;

	if ((code = matches_open(&r.ms, a)) != EX_OK)
		return code;
	/* Before the rights change, so that the daemon's log says who it was. */
	if (!a->dry_run)
		spool_control_open(a, &r.fd);
	if ((code = queue_open(a, &r.d)) != EX_OK) {
		io_close(&r.fd);
		return code;
	}
	if ((code = matches_read(&r.ms, &r.d)) != EX_OK || (code = check_words(&r)) != EX_OK)
		goto out;
	if (r.ms.n == 0) {
		out_say("no message matches");
		code = matches_verdict(&r.ms);
		goto out;
	}
	if ((code = confirm(&r)) != EX_OK)
		goto out;
	r.results = calloc(r.ms.n, sizeof(*r.results));
	r.at = calloc(r.ms.n, sizeof(*r.at));
	if (r.results == NULL || r.at == NULL) {
		code = out_fail(EX_OSERR, "no_memory", "out of memory");
		goto out;
	}
	for (; r.nopen < r.ms.n; r.nopen++)
		r.at[r.nopen] = r.nopen;
	err = a->dry_run ? ERR_OK : remove_all(&r);
	code = conclude(&r, err);
out:
	io_close(&r.fd);
	spool_close(&r.d);
	matches_free(&r.ms);
	free(r.results);
	free(r.at);
	return code;
}
