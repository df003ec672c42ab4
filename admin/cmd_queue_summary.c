/*
 * smtpadm queue summary: how much waits, by account, recipients' domain and state. Runs as the owner of the spool and only reads.
 * Invariant: the rows of accounts and of states each add up to the row of all; a message to two domains counts in both. What has no
 * route or no reason to wait is in no row of these.
 */
#include "command.h"

#include <ctype.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "matches.h"
#include "out.h"
#include "show.h"
#include "str.h"

enum by { BY_STATE, BY_ACCOUNT, BY_DOMAIN, BY_ROUTE, BY_REASON, BY_COUNT };

static const char *const titles[BY_COUNT] = { "state", "account", "domain", "route", "reason" };

struct row {
	char		*key;		/* a domain in lower case */
	uint64_t	 messages, octets;
	size_t		 last;		/* number of the message that was counted last: once each */
};

struct summary {
	void		*trees[BY_COUNT];	/* tsearch(3) of struct row */
	size_t		 nrows[BY_COUNT];
	uint64_t	 messages, octets;
};

static int
compare_keys(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->key, ((const struct row *)b)->key);
}

static int
count_in(struct summary *s, enum by by, const char *key, uint64_t octets)
{
	struct row *row = calloc(1, sizeof(*row)), **found;

	if (row == NULL || (row->key = strdup(key)) == NULL) {
		free(row);
		return ERR_NOMEM;
	}
	for (char *p = row->key; by == BY_DOMAIN && *p != 0; p++)
		*p = (char)tolower((unsigned char)*p);
	if ((found = tsearch(row, &s->trees[by], compare_keys)) == NULL || *found != row) {
		free(row->key);
		free(row);
		if (found == NULL)
			return ERR_NOMEM;
	} else {
		s->nrows[by]++;
	}
	if ((*found)->last == s->messages)
		return ERR_OK;
	(*found)->last = s->messages;
	(*found)->messages++;
	(*found)->octets += octets;
	return ERR_OK;
}

static int
count(const struct queue_message *m, void *arg)
{
	const struct spool_envelope *e = &m->envelope;
	struct summary *s = arg;
	int err;

	s->messages++;
	s->octets += e->message_size;
	if ((err = count_in(s, BY_STATE, queue_state(m), e->message_size)) != ERR_OK ||
	    (err = count_in(s, BY_ACCOUNT, e->account != NULL ? e->account : "(corrupt)", e->message_size)) != ERR_OK)
		return err;
	for (size_t i = 0; i < e->nrecipients && err == ERR_OK; i++) {
		const char *at = strrchr(e->recipients[i].address, '@');

		const char *route = queue_route(m, i);

		err = count_in(s, BY_DOMAIN, at != NULL ? at + 1 : "(none)", e->message_size);
		if (err == ERR_OK && route[0] != 0)
			err = count_in(s, BY_ROUTE, route, e->message_size);
	}
	if (err == ERR_OK && queue_reason(m) != NULL)
		err = count_in(s, BY_REASON, queue_reason(m), e->message_size);
	return err;
}

struct rows {
	const struct row	**list;
	size_t			  n;
};

static void
collect(const void *node, VISIT which, void *arg)
{
	struct rows *r = arg;

	if (which == postorder || which == leaf)
		r->list[r->n++] = *(const struct row *const *)node;
}

/* The most first. */
static int
by_messages(const void *x, const void *y)
{
	const struct row *a = *(const struct row *const *)x, *b = *(const struct row *const *)y;

	if (a->messages != b->messages)
		return a->messages > b->messages ? -1 : 1;
	return strcmp(a->key, b->key);
}

static void
put_json(const char *by, const char *key, uint64_t messages, uint64_t octets)
{
	struct json j;

	json_begin(&j);
	json_put_str(&j, "by", by);
	if (key != NULL)
		json_put_str(&j, by, key);
	json_put_u64(&j, "messages", messages);
	json_put_u64(&j, "octets", octets);
	json_end(&j, stdout);
}

static void
put_row(struct table *t, const char *by, const char *key, uint64_t messages, uint64_t octets)
{
	char text[40];

	table_add(t, by);
	table_add(t, key);
	table_add(t, str_put_u64(text, messages));
	table_add(t, show_size(text, octets));
}

static int
put_rows(struct summary *s, enum by by, struct table *t)
{
	struct rows r = { .list = calloc(s->nrows[by] + 1, sizeof(*r.list)) };

	if (r.list == NULL)
		return ERR_NOMEM;
	twalk_r(s->trees[by], collect, &r);
	qsort(r.list, r.n, sizeof(r.list[0]), by_messages);
	for (size_t i = 0; i < r.n; i++) {
		if (out_is_json())
			put_json(titles[by], r.list[i]->key, r.list[i]->messages, r.list[i]->octets);
		else
			put_row(t, i == 0 ? titles[by] : "", r.list[i]->key, r.list[i]->messages, r.list[i]->octets);
	}
	free(r.list);
	return ERR_OK;
}

static void
free_row(void *node)
{
	struct row *row = node;

	free(row->key);
	free(row);
}

int
cmd_queue_summary(struct admin *a)
{
	static const struct table_column columns[] = {
		{ "BY", false, 0 }, { "", false, 20 }, { "MESSAGES", true, 0 }, { "SIZE", true, 0 },
	};
	struct summary s = { .messages = 0 };
	struct matches ms = { .each = count, .arg = &s };
	int code = matches_find(&ms, a), err = ERR_OK;
	struct table t;

	table_open(&t, columns, sizeof(columns) / sizeof(columns[0]));
	if (code == EX_OK) {
		if (out_is_json())
			put_json("all", NULL, s.messages, s.octets);
		else
			put_row(&t, "all", "", s.messages, s.octets);
	}
	for (enum by by = 0; by < BY_COUNT; by++) {
		if (code == EX_OK && err == ERR_OK)
			err = put_rows(&s, by, &t);
		tdestroy(s.trees[by], free_row);
	}
	table_print(&t);
	if (err != ERR_OK)
		return out_fail(admin_code(err), admin_name(err), "%s", err_text(err));
	return code != EX_OK ? code : matches_verdict(&ms);
}
