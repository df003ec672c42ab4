/*
 * smtpadm trace: all that happened to messages, in order. Runs as the owner of the spool and only reads, with the daemon running or not.
 */
#include "command.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "out.h"
#include "queue.h"
#include "show.h"
#include "str.h"
#include "trace_file.h"
#include "trace_read.h"
#include "trace_words.h"

#define LIMIT_DEFAULT 20
#define FOLLOW_US 200000

static int
parse_since(const char *text, uint64_t *us)
{
	uint64_t ms, day, now = io_now_us();

	*us = 0;
	if (text == NULL)
		return EX_OK;
	if (trace_get_name(text, &day) == ERR_OK) {
		*us = day * 86400000000ULL;
		return EX_OK;
	}
	if (str_parse_duration(text, &ms) == ERR_OK && ms < now / 1000) {
		*us = now - ms * 1000;
		return EX_OK;
	}
	out_fix("--since 2h, --since 7d, --since 2026-11-22 (UTC)");
	return out_fail(EX_USAGE, "usage", "--since takes a time such as 2h or 7d, or a date, not '%s'", text);
}

static int
parse(const struct admin *a, struct trace_query *q)
{
	const char *limit = admin_value(a, OPT_LIMIT);
	uint64_t n = LIMIT_DEFAULT;
	int code;

	*q = (struct trace_query){ .id = a->nwords != 0 ? a->words[0] : NULL, .message_id = admin_value(a, OPT_MESSAGE_ID),
	    .to = admin_value(a, OPT_TO), .account = admin_value(a, OPT_ACCOUNT) };
	if ((q->id != NULL) + (q->message_id != NULL) + (q->to != NULL) + (q->account != NULL) != 1) {
		out_fix("smtpadm trace ID, --message-id ID, --to ADDRESS or --account ACCOUNT");
		return out_fail(EX_USAGE, "usage", "which messages? One of an id, --message-id, --to and --account");
	}
	out_fix("--limit 20");
	if (limit != NULL && (str_parse_u64(limit, strlen(limit), 1000000, &n) != ERR_OK || n == 0))
		return out_fail(EX_USAGE, "usage", "--limit takes a number from 1, not '%s'", limit);
	out_fix("%s", "");
	q->limit = (size_t)n;
	if ((code = parse_since(admin_value(a, OPT_SINCE), &q->since_us)) != EX_OK)
		return code;
	return EX_OK;
}

/* Of what the trace keeps as text, the numbers. */
static void
put_pair(struct json *j, const char *key, const char *value)
{
	static const char *const numbers[] = { "size", "recipients", "code", "tries", "lines" };
	uint64_t n;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strcmp(key, numbers[i]) == 0 && str_parse_u64(value, strlen(value), UINT64_MAX, &n) == ERR_OK) {
			json_put_u64(j, key, n);
			return;
		}
	}
	json_put_str(j, key, value);
}

static void
print_json(const struct trace_line *l, const struct trace_life *life)
{
	char session[21];
	struct json j;

	json_begin(&j);
	json_put_str(&j, "time", l->time);
	json_put_str(&j, "queue_id", life->id[0] != 0 ? life->id : NULL);
	json_put_str(&j, "session_id", life->session != 0 ? str_put_hex64(session, life->session) : NULL);
	json_put_str(&j, "event", l->event);
	for (size_t i = 0; i < l->npairs; i++)
		put_pair(&j, l->pairs[i].key, l->pairs[i].value);
	json_end(&j, stdout);
}

/* The time with its milliseconds, in the admin's style. */
static void
print_words(const struct trace_line *l, enum time_style style)
{
	char when[40], words[3000], ms[8] = "";

	show_time(when, style, trace_time(l));
	if (style == TIME_DEFAULT || style == TIME_LOCAL)
		snprintf(ms, sizeof(ms), "%.4s", l->time + 19);
	else if (style == TIME_UTC)
		snprintf(when, sizeof(when), "%s", l->time);
	out_print("%s%s  %s\n", when, ms, trace_words(words, sizeof(words), l, style));
}

/* The lines of a life; whether the last thing that can happen to it has happened. */
static bool
print_life(const struct trace_life *life, enum time_style style)
{
	static struct trace_line l;
	bool is_over = false;

	for (size_t i = 0; i < life->n; i++) {
		if (trace_get_line(life->lines[i].p, life->lines[i].n, &l) != ERR_OK)
			continue;
		is_over |= strcmp(l.event, "done") == 0 || strcmp(l.event, "removed") == 0 || strcmp(l.event, "refused") == 0 ||
		    strcmp(l.event, "broken_off") == 0;
		if (out_is_json())
			print_json(&l, life);
		else
			print_words(&l, style);
	}
	return is_over;
}

static bool
print_all(const struct trace_found *found, enum time_style style, bool has_heads)
{
	bool is_over = found->n != 0;
	static char last[SPOOL_ID_TEXT];

	for (size_t i = 0; i < found->n; i++) {
		const struct trace_life *life = &found->lives[i];

		if (life->n == 0)
			continue;
		if (has_heads && !out_is_json() && strcmp(last, life->id) != 0) {
			if (last[0] != 0 || i != 0)
				out_print("\n");
			out_print("%s\n", life->id[0] != 0 ? life->id : "(no id)");
		}
		memcpy(last, life->id, sizeof(last));
		is_over &= print_life(life, style);
	}
	fflush(stdout);
	return is_over;
}

/* Until one message has come to its end, or the reader goes away. */
static int
follow(const struct admin *a, const struct spool_dirs *d, const struct trace_query *q, struct trace_found *found)
{
	int err = ERR_OK;

	while ((err == ERR_OK || err == ERR_NOTFOUND) && !ferror(stdout)) {
		usleep(FOLLOW_US);
		if ((err = trace_find_new(d, q, found)) == ERR_OK && print_all(found, a->time, q->id == NULL) && q->id != NULL &&
		    found->lives[0].n != 0)
			return ERR_OK;
	}
	return err;
}

static int
run(const struct admin *a, const struct spool_dirs *d, const struct trace_query *q)
{
	struct trace_found found;
	int err = trace_find(d, q, &found), code = EX_OK;
	bool is_over = false;

	if (err == ERR_OK)
		is_over = print_all(&found, a->time, q->id == NULL);
	if (err == ERR_OK && found.is_cut)
		out_say("there are more: only the last %zu %s shown (--limit N, --since TIME)", q->limit, q->limit == 1 ? "is" : "are");
	if (admin_has(a, OPT_FOLLOW) && (err == ERR_OK || err == ERR_NOTFOUND) && !(q->id != NULL && is_over)) {
		err = follow(a, d, q, &found);
	} else if (err == ERR_NOTFOUND || (err == ERR_OK && found.n == 0)) {
		err = ERR_OK;
		if (q->id != NULL)
			out_say("the trace knows no message '%s' (%squeue show %s, %strace --account ACCOUNT)", q->id, out_program(), q->id,
			    out_program());
		else
			out_say("the trace knows no such message%s", q->since_us != 0 ? " since then" : "");
		code = EX_NO;
	}
	trace_found_free(&found);
	if (err != ERR_OK)
		return out_fail(admin_code(err), admin_name(err), "the trace can't be read: %s", err_text(err));
	return code;
}

int
cmd_trace(struct admin *a)
{
	struct trace_query q;
	struct spool_dirs d;
	int code;

	if ((code = parse(a, &q)) != EX_OK || (code = queue_open(a, &d)) != EX_OK)
		return code;
	code = run(a, &d, &q);
	spool_close(&d);
	return code;
}
