/*
 * smtpadm queue remove, hold, release, retry, bounce and reroute. Through postern-spool while it runs, else with the spool's lock held.
 * Runs as the owner of the spool from before it reads a file. Invariant: a message is changed once, whoever else changes it at
 * the same time; what can't be had back is asked about before.
 */
#include "queue_change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "change.h"
#include "command.h"
#include "conf.h"
#include "err.h"
#include "io.h"
#include "lock.h"
#include "log_line.h"
#include "matches.h"
#include "out.h"
#include "spool_control.h"
#include "str.h"
#include "trace_file.h"

#define SAMPLES 3
#define LOCK_WAIT_MS 200
#define PATIENCE_MS 5000	/* with a message that is being worked on, and with a daemon that is being started again */
#define PAUSE_US 50000

enum result { RESULT_OPEN, RESULT_DONE, RESULT_GONE, RESULT_BUSY, RESULT_UNFIT, RESULT_FAILED, RESULT_OTHER, RESULT_COUNT };

/* How a change is spoken of. */
static const struct verb {
	const char	*done, *would;
	const char	*question;	/* behind the number; NULL: it can be had back, and is not asked about */
	const char	*unfit;		/* why a message that matches is left as it is */
	const char	*text;		/* what its text is called in the trace */
} verbs[] = {
	[QUEUE_REMOVE] = { "removed", "would_remove", "to be removed for good", "", NULL },
	[QUEUE_HOLD] = { "held", "would_hold", NULL, "set aside in failed/", "reason" },
	[QUEUE_RELEASE] = { "released", "would_release", NULL, "neither held nor set aside, or corrupt", NULL },
	[QUEUE_RETRY] = { "retried", "would_retry", NULL, "held or set aside: 'queue release' does that", NULL },
	[QUEUE_BOUNCE] = { "bounced", "would_bounce", "to be returned to the sender", "set aside in failed/, or corrupt", NULL },
	[QUEUE_REROUTE] = { "rerouted", "would_reroute", NULL, "set aside in failed/, or corrupt", "route" },
};

struct changing {
	const struct admin	*a;
	enum queue_change	 change;
	const char		*text;
	const char		*held_for;	/* only those that are held for it; "": that are not held; NULL: all */
	struct spool_dirs	 d;
	struct matches		 ms;
	uid_t			 uid;		/* whose command it is */
	int			 fd;		/* the daemon's socket, or -1 */
	enum result		*results;	/* of each match */
	size_t			*at;		/* those that are open, as indices into the list */
	size_t			 nopen;
	size_t			 counts[RESULT_COUNT];
};

static int
check_words(struct changing *r)
{
	for (size_t i = 0; i < r->a->nwords; i++) {
		size_t m = 0;

		while (m < r->ms.n && strcmp(r->ms.list[m].envelope.id, r->a->words[i]) != 0)
			m++;
		if (m < r->ms.n)
			continue;
		out_fix("smtpadm queue list --all");
		return out_fail(EX_NOUSER, "no_message", "there is no message '%s' in the queue; nothing was %s", r->a->words[i],
		    verbs[r->change].done);
	}
	return EX_OK;
}

static int
confirm(struct changing *r)
{
	char texts[SAMPLES][400], what[80];
	const char *samples[SAMPLES] = { "", "", "" };

	if (verbs[r->change].question == NULL)
		return EX_OK;
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
	snprintf(what, sizeof(what), "%zu message%s %s", r->ms.n, r->ms.n == 1 ? " is" : "s are", verbs[r->change].question);
	return admin_confirm(r->a, what, "messages", samples, r->ms.n);
}

/* Notes what became of the first n open ones; what was busy stays open. */
static void
settle(struct changing *r, const enum result *results, size_t n)
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
next_files(const struct changing *r, const char **files)
{
	size_t n = 0;

	for (; n < r->nopen && n < IPC_QUEUE_MANY; n++)
		files[n] = r->ms.list[r->at[n]].file;
	return n;
}

static void
change_by_daemon(struct changing *r)
{
	static const enum result meanings[] = { [QUEUE_DONE] = RESULT_DONE, [QUEUE_NOT_FOUND] = RESULT_GONE,
	    [QUEUE_BUSY] = RESULT_BUSY, [QUEUE_UNFIT] = RESULT_UNFIT, [QUEUE_FAILED] = RESULT_FAILED };
	static enum queue_verdict verdicts[IPC_QUEUE_MANY];
	enum result results[IPC_QUEUE_MANY];
	const char *files[IPC_QUEUE_MANY];
	size_t n = next_files(r, files), answered;
	int err = spool_control_change(r->fd, r->change, r->text, files, n, verdicts, &answered);

	for (size_t i = 0; i < answered; i++)
		results[i] = meanings[verdicts[i]];
	settle(r, results, answered);
	if (err != ERR_OK)
		io_close(&r->fd);
}

/* Nobody else writes the trace while the lock is held. */
static void
note(const struct changing *r, const struct spool_change *list, size_t n)
{
	const char *key = verbs[r->change].text;
	char time[28], uid[21];
	struct log_line l;
	struct buf b;

	buf_init(&b, LOG_LINE_MAX * IPC_QUEUE_MANY);
	for (size_t i = 0; i < n; i++) {
		if (list[i].err != ERR_OK)
			continue;
		log_line_begin(&l, LOG_FORMAT_LOGFMT);
		log_line_put(&l, "time", trace_put_time(time, io_now_us()));
		log_line_put(&l, "id", list[i].id);
		log_line_put(&l, "event", verbs[r->change].done);
		log_line_put(&l, "by", str_put_u64(uid, r->uid));
		if (key != NULL)
			log_line_put(&l, key, r->text);
		log_line_end(&l);
		buf_put(&b, l.text, l.len);
	}
	if (b.len != 0 && trace_append(&r->d, &b) != ERR_OK)
		out_warn("the trace could not be written: %s", strerror(errno));
	buf_free(&b);
}

static enum result
result_of(int err)
{
	switch (err) {
	case ERR_OK:
		return RESULT_DONE;
	case ERR_NOTFOUND:
		return RESULT_GONE;
	case ERR_DENIED:
	case ERR_CORRUPT:
	case ERR_VERSION:
	case ERR_SYNTAX:
		return RESULT_UNFIT;
	default:
		return RESULT_FAILED;
	}
}

/* With the lock held. */
static int
change_here(struct changing *r)
{
	static struct spool_change list[IPC_QUEUE_MANY];
	enum result results[IPC_QUEUE_MANY];
	const char *files[IPC_QUEUE_MANY];
	size_t n = next_files(r, files);

	for (size_t i = 0; i < n; i++) {
		list[i] = (struct spool_change){ .err = ERR_NOTFOUND };
		memcpy(list[i].file, files[i], strlen(files[i]) + 1);
	}
	spool_change(&r->d, r->change, r->text, list, n);
	note(r, list, n);
	for (size_t i = 0; i < n; i++) {
		results[i] = result_of(list[i].err);
		if (results[i] == RESULT_FAILED)
			out_warn("%s can't be %s: %s", list[i].file, verbs[r->change].done, strerror(list[i].error));
		free(list[i].account);
	}
	settle(r, results, n);
	return ERR_OK;
}

/* Until all are settled, or there was neither daemon nor lock for too long. */
static int
change_all(struct changing *r)
{
	uint64_t deadline = io_now_ms() + PATIENCE_MS;
	int lock_fd = -1, err = ERR_OK;

	while (r->nopen != 0 && (err == ERR_OK || err == ERR_BUSY) && io_now_ms() < deadline) {
		size_t before = r->nopen;

		if (lock_fd < 0 && r->fd < 0)
			spool_control_open(r->a, &r->fd);
		if (r->fd >= 0)
			change_by_daemon(r);
		else if (lock_fd >= 0 || (err = lock_take_over(&r->d, LOCK_WAIT_MS, &lock_fd)) == ERR_OK)
			err = change_here(r);
		if (r->nopen < before)
			deadline = io_now_ms() + PATIENCE_MS;
		else
			usleep(PAUSE_US);
	}
	io_close(&lock_fd);
	return err;
}

static void
count_results(struct changing *r)
{
	static const char *const words[] = { "open", NULL, "gone", "busy", "unfit", "failed" };
	const struct verb *verb = &verbs[r->change];
	struct json j;

	for (size_t i = 0; i < r->ms.n; i++) {
		const struct queue_message *m = &r->ms.list[i];
		enum result result = r->results[i];

		r->counts[result]++;
		if (!out_is_json() || result == RESULT_OTHER)
			continue;
		json_begin(&j);
		json_put_str(&j, "queue_id", m->envelope.id[0] != 0 ? m->envelope.id : NULL);
		json_put_str(&j, "file", m->file);
		json_put_str(&j, "result", r->a->dry_run && result == RESULT_OPEN ? verb->would :
		    result == RESULT_DONE ? verb->done : words[result]);
		json_end(&j, stdout);
	}
}

static int
conclude(struct changing *r, int err)
{
	const struct verb *verb = &verbs[r->change];
	const size_t *counts = r->counts;

	count_results(r);
	if (counts[RESULT_UNFIT] != 0)
		out_say("%zu left as %s: %s", counts[RESULT_UNFIT], counts[RESULT_UNFIT] == 1 ? "it is" : "they are", verb->unfit);
	if (r->a->dry_run) {
		out_say("%zu message%s would be %s; nothing was changed", counts[RESULT_OPEN], counts[RESULT_OPEN] == 1 ? "" : "s", verb->done);
		return EX_OK;
	}
	out_say("%zu message%s %s", counts[RESULT_DONE], counts[RESULT_DONE] == 1 ? "" : "s", verb->done);
	if (counts[RESULT_GONE] != 0)
		out_say("%zu had gone already", counts[RESULT_GONE]);
	if (counts[RESULT_FAILED] != 0) {
		out_fix("the log of posternd says which and why");
		return out_fail(EX_IOERR, "io_error", "%zu could not be %s", counts[RESULT_FAILED], verb->done);
	}
	if (err != ERR_OK && err != ERR_BUSY)
		return out_fail(admin_code(err), admin_name(err), "the spool can't be changed: %s", err_text(err));
	if (counts[RESULT_BUSY] + counts[RESULT_OPEN] != 0) {
		out_fix("the same command again");
		return out_fail(EX_TEMPFAIL, "locked", "%zu could not be %s now: %s", counts[RESULT_BUSY] + counts[RESULT_OPEN],
		    verb->done, counts[RESULT_OPEN] != 0 ? "the spool is in use by another program" : "they are being worked on");
	}
	return counts[RESULT_DONE] != 0 ? EX_OK : EX_NO;
}

/* Those of the matches that the change is meant for and fits. */
static int
choose(struct changing *r)
{
	r->results = calloc(r->ms.n, sizeof(*r->results));
	r->at = calloc(r->ms.n, sizeof(*r->at));
	if (r->results == NULL || r->at == NULL)
		return out_fail(EX_OSERR, "no_memory", "out of memory");
	for (size_t i = 0; i < r->ms.n; i++) {
		const struct queue_message *m = &r->ms.list[i];
		const char *hold = m->state.hold != NULL ? m->state.hold : "";
		bool is_meant = r->held_for == NULL || strcmp(hold, r->held_for) == 0;

		if (!is_meant)
			r->results[i] = RESULT_OTHER;
		else if (spool_change_fits(r->change, m->folder) && (m->err == ERR_OK || r->change == QUEUE_REMOVE))
			r->at[r->nopen++] = i;
		else
			r->results[i] = RESULT_UNFIT;
	}
	return EX_OK;
}

static int
run(struct changing *r)
{
	int code, err;

	r->fd = -1;
	r->uid = getuid();
	r->ms = (struct matches){ .keep = true, .silent = true };
	r->ms.filter.reason_is_text = r->change == QUEUE_HOLD;
	if ((code = matches_open(&r->ms, r->a)) != EX_OK)
		return code;
	/* Before the rights change, so that the daemon's log says who it was. */
	if (!r->a->dry_run)
		spool_control_open(r->a, &r->fd);
	if ((code = queue_open(r->a, &r->d)) != EX_OK) {
		io_close(&r->fd);
		return code;
	}
	if ((code = matches_read(&r->ms, &r->d)) != EX_OK || (code = check_words(r)) != EX_OK)
		goto out;
	if (r->ms.n == 0) {
		out_say("no message matches");
		code = matches_verdict(&r->ms);
		goto out;
	}
	if ((code = choose(r)) != EX_OK || (r->nopen != 0 && (code = confirm(r)) != EX_OK))
		goto out;
	err = r->a->dry_run ? ERR_OK : change_all(r);
	code = conclude(r, err);
out:
	io_close(&r->fd);
	spool_close(&r->d);
	matches_free(&r->ms);
	free(r->results);
	free(r->at);
	return code;
}

int
queue_change_account(const struct admin *a, enum queue_change change, const char *text, const char *account, const char *held_for,
    size_t *n)
{
	struct admin narrowed = *a;
	struct changing r = { .a = &narrowed, .change = change, .text = text, .held_for = held_for };
	int code;

	narrowed.nwords = 0;
	narrowed.noptions = 1;
	narrowed.options[0] = OPT_ACCOUNT;
	narrowed.values[0] = account;
	narrowed.yes = true;
	code = run(&r);
	*n = r.counts[RESULT_DONE];
	return code == EX_NO ? EX_OK : code;
}

static int
change(struct admin *a, enum queue_change what, const char *text)
{
	struct changing r = { .a = a, .change = what, .text = text };

	return run(&r);
}

int
cmd_queue_remove(struct admin *a)
{
	return change(a, QUEUE_REMOVE, "");
}

int
cmd_queue_hold(struct admin *a)
{
	const char *reason = admin_value(a, OPT_REASON);
	size_t i = 0;

	if (admin_next(a, OPT_REASON, &i) != NULL && admin_next(a, OPT_REASON, &i) != NULL) {
		out_fix("smtpadm queue hold --help");
		return out_fail(EX_USAGE, "usage", "--reason is the one that is noted here: it stands twice");
	}
	if (reason == NULL || reason[0] == 0) {
		out_fix("smtpadm queue hold --reason 'to be looked at' --account ...");
		return out_fail(EX_USAGE, "usage", "why are they held? --reason says it to whoever finds them");
	}
	out_fix("a shorter --reason");
	if (strlen(reason) >= IPC_TEXT_MAX || !str_is_utf8(reason, strlen(reason)))
		return out_fail(EX_USAGE, "usage", "--reason takes UTF-8 of at most %d octets", IPC_TEXT_MAX - 1);
	out_fix("%s", "");
	return change(a, QUEUE_HOLD, reason);
}

int
cmd_queue_release(struct admin *a)
{
	return change(a, QUEUE_RELEASE, "");
}

int
cmd_queue_retry(struct admin *a)
{
	return change(a, QUEUE_RETRY, "");
}

int
cmd_queue_bounce(struct admin *a)
{
	return change(a, QUEUE_BOUNCE, "");
}

int
cmd_queue_reroute(struct admin *a)
{
	static struct conf c;
	const char *route = admin_value(a, OPT_TO_ROUTE);
	size_t i = 0;
	int code;

	if (route == NULL) {
		out_fix("smtpadm queue reroute --to-route NAME --all, or --to-route auto for the route that the rules give");
		return out_fail(EX_USAGE, "usage", "where shall they go? --to-route names the route");
	}
	if ((code = admin_load_conf(a, &c)) != EX_OK)
		return code;
	while (i < c.nroutes && strcmp(c.routes[i].name, route) != 0)
		i++;
	if (i == c.nroutes && strcmp(route, "auto") != 0) {
		out_fix("smtpadm route list, or smtpadm route add %s URL", route);
		return out_fail(EX_NOHOST, "no_route", "there is no route '%s'", route);
	}
	return change(a, QUEUE_REROUTE, i < c.nroutes ? route : "");
}
