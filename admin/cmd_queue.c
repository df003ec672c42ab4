/*
 * smtpadm queue list, count and verify: messages by filter. Runs as the owner of the spool and only reads.
 */
#include "command.h"

#include <stdio.h>

#include "err.h"
#include "io.h"
#include "matches.h"
#include "out.h"
#include "show.h"

/* The last two only where delivery has anything to say of a message. */
static const struct table_column columns[] = {
	{ "ID", false, 0 }, { "AGE", true, 0 }, { "SIZE", true, 0 }, { "STATE", false, 0 }, { "SENDER", false, 10 },
	{ "RECIPIENTS", false, 10 }, { "NEXT", true, 0 }, { "REASON", false, 10 },
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))
#define COLUMNS_PLAIN (COLUMNS - 2)

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
	struct matches ms = { .keep = true, .ordered = true };
	int code = matches_find(&ms, a);
	bool is_wide = false;
	struct table t;

	for (size_t i = 0; i < ms.n; i++)
		is_wide |= queue_reason(&ms.list[i]) != NULL;
	table_open(&t, columns, is_wide ? COLUMNS : COLUMNS_PLAIN);
	for (size_t i = 0; i < ms.n && code == EX_OK; i++) {
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
