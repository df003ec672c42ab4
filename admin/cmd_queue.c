/*
 * smtpadm queue list, count and verify: messages by filter. Runs as the owner of the spool and only reads.
 */
#include "command.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "io.h"
#include "matches.h"
#include "out.h"
#include "show.h"
#include "str.h"

/* The last two only where delivery has anything to say of a message. */
static const struct table_column columns[] = {
	{ "ID", false, 0 }, { "AGE", true, 0 }, { "SIZE", true, 0 }, { "STATE", false, 0 }, { "SENDER", false, 10 },
	{ "RECIPIENTS", false, 10 }, { "NEXT", true, 0 }, { "REASON", false, 10 },
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))
#define COLUMNS_PLAIN (COLUMNS - 2)

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

static int
parse_order(const struct admin *a, int (**compare)(const void *, const void *), uint64_t *limit)
{
	const char *order = admin_value(a, OPT_SORT), *text = admin_value(a, OPT_LIMIT);
	size_t i = 0;

	*limit = UINT64_MAX;
	if (text != NULL && (str_parse_u64(text, strlen(text), UINT64_MAX, limit) != ERR_OK || *limit == 0)) {
		out_fix("--limit 20");
		return out_fail(EX_USAGE, "usage", "--limit takes a number from 1, not '%s'", text);
	}
	while (order != NULL && i < 4 && strcmp(orders[i].word, order) != 0)
		i++;
	if (i == 4) {
		out_fix("--sort age, --sort next, --sort size or --sort account");
		return out_fail(EX_USAGE, "usage", "--sort is age, next, size or account, not '%s'", order);
	}
	*compare = orders[i].compare;
	return EX_OK;
}

/* When it is tried next, and why it waits. */
static void
add_delay(struct table *t, const struct queue_message *m)
{
	uint64_t now = io_now_us();
	const char *reason = queue_reason(m);
	char text[40];

	if (m->err != ERR_OK || m->folder == SPOOL_HOLD || m->folder == SPOOL_FAILED)
		table_add(t, "-");
	else if (m->state.next_us <= now)
		table_add(t, "due");
	else
		table_add(t, show_age(text, 2 * now - m->state.next_us));
	table_add(t, reason != NULL ? reason : "");
}

static void
add_row(struct table *t, const struct queue_message *m, enum time_style style)
{
	const struct spool_envelope *e = &m->envelope;
	char text[400];

	table_add(t, e->id[0] != 0 ? e->id : m->file);
	if (m->err != ERR_OK) {
		table_add(t, "-");
		table_add(t, "-");
		table_add(t, queue_state(m));
		table_add(t, "(corrupt)");
		table_add(t, m->file);
		return;
	}
	table_add(t, style == TIME_DEFAULT ? show_age(text, e->arrival_us) : show_time(text, style, e->arrival_us));
	table_add(t, show_size(text, e->message_size));
	table_add(t, queue_state(m));
	table_add(t, e->sender[0] != 0 ? e->sender : "<>");
	if (e->nrecipients > 1)
		snprintf(text, sizeof(text), "%.350s +%zu", e->recipients[0].address, e->nrecipients - 1);
	else
		snprintf(text, sizeof(text), "%.350s", e->nrecipients == 1 ? e->recipients[0].address : "-");
	table_add(t, text);
}

int
cmd_queue_list(struct admin *a)
{
	struct matches ms = { .keep = true };
	int (*compare)(const void *, const void *) = by_age;
	bool is_wide = false;
	uint64_t limit;
	struct table t;
	int code;

	if ((code = parse_order(a, &compare, &limit)) != EX_OK)
		return code;
	code = matches_find(&ms, a);
	if (ms.n != 0)
		qsort(ms.list, ms.n, sizeof(ms.list[0]), compare);
	for (size_t i = 0; i < ms.n; i++)
		is_wide |= queue_reason(&ms.list[i]) != NULL;
	table_open(&t, columns, is_wide ? COLUMNS : COLUMNS_PLAIN);
	for (size_t i = 0; i < ms.n && i < limit && code == EX_OK; i++) {
		if (out_is_json()) {
			queue_put_json(&ms.list[i]);
			continue;
		}
		add_row(&t, &ms.list[i], a->time);
		if (is_wide)
			add_delay(&t, &ms.list[i]);
	}
	table_print(&t);
	matches_free(&ms);
	if (code != EX_OK)
		return code;
	if (ms.n == 0)
		out_say("no message%s", ms.filter.any ? " matches" : " is in the queue");
	return matches_verdict(&ms);
}

static int
count(struct admin *a, bool verify)
{
	struct matches ms = { .verify = verify };
	struct json j;
	int code = matches_find(&ms, a);

	if (code != EX_OK)
		return code;
	if (out_is_json()) {
		json_begin(&j);
		json_put_u64(&j, "count", ms.n);
		if (verify)
			json_put_u64(&j, "corrupt", ms.corrupt);
		json_end(&j, stdout);
	} else if (verify) {
		printf("%zu read, %zu corrupt\n", ms.n, ms.corrupt);
	} else {
		printf("%zu\n", ms.n);
	}
	return matches_verdict(&ms);
}

int
cmd_queue_count(struct admin *a)
{
	return count(a, false);
}

int
cmd_queue_verify(struct admin *a)
{
	return count(a, true);
}
