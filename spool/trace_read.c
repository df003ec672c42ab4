/*
 * Finding messages in the trace. Part of libpostern-spool; run by smtpadm as the spool's owner. The files are searched from
 * end to end: a needle in what 100,000 messages leave is found in less time than an index takes to be kept. Invariant: a line that
 * is cut or damaged is passed over; nothing is ever written.
 */
#include "trace_read.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "name.h"
#include "str.h"
#include "trace_days.h"
#include "trace_file.h"

#define DAY_US 86400000000ULL
#define TIME_LEN 29		/* octets of "time=2026-11-22T01:40:52.123Z" */
#define ID_AT (TIME_LEN + 4)	/* of the id in a line that has one: behind " id=" */
#define SESSION_AT (TIME_LEN + 9)
#define BUCKETS 16384

struct trace_files {
	struct trace_days days;
	size_t		 buckets[BUCKETS];	/* a life's index + 1, by its id or, if it has none, its session */
	size_t		*nexts;			/* of each life, in its bucket */
};

/* What a hit's line says of its message. */
struct hit {
	const char	*line, *end;
	char		 id[SPOOL_ID_TEXT];
	uint64_t	 session;
};

static size_t *
bucket_of(struct trace_files *f, const char *id, uint64_t session)
{
	uint64_t h = session * 0x9e3779b97f4a7c15ULL;

	if (id[0] != 0)
		for (h = 1469598103934665603ULL; *id != 0; id++)
			h = (h ^ (uint8_t)*id) * 1099511628211ULL;
	return &f->buckets[h >> 50];
}

/* NULL: none. Without an id the session's own. */
static struct trace_life *
find_life(const struct trace_found *found, const char *id, uint64_t session)
{
	size_t at = *bucket_of(found->files, id, session);

	while (at != 0) {
		struct trace_life *l = &found->lives[at - 1];

		if (id[0] != 0 ? strcmp(l->id, id) == 0 : l->id[0] == 0 && l->session == session)
			return l;
		at = found->files->nexts[at - 1];
	}
	return NULL;
}

static int
add_life(struct trace_found *found, const char *id, uint64_t session)
{
	struct trace_files *f = found->files;
	size_t *bucket = bucket_of(f, id, session);

	if (find_life(found, id, session) != NULL)
		return ERR_OK;
	if (found->n == found->room) {
		size_t room = found->room != 0 ? 2 * found->room : 64;
		struct trace_life *lives = realloc(found->lives, room * sizeof(*lives));
		size_t *nexts;

		if (lives != NULL)
			found->lives = lives;
		if (lives == NULL || (nexts = realloc(f->nexts, room * sizeof(*nexts))) == NULL)
			return ERR_NOMEM;
		f->nexts = nexts;
		found->room = room;
	}
	found->lives[found->n] = (struct trace_life){ .session = session };
	memcpy(found->lives[found->n].id, id, strlen(id) + 1);
	f->nexts[found->n++] = *bucket;
	*bucket = found->n;
	return ERR_OK;
}

static int
add_line(struct trace_life *l, const char *p, const char *end)
{
	if (l->n == l->room) {
		size_t room = l->room != 0 ? 2 * l->room : 16;
		struct trace_span *lines = realloc(l->lines, room * sizeof(*lines));

		if (lines == NULL)
			return ERR_NOMEM;
		l->lines = lines;
		l->room = room;
	}
	l->lines[l->n++] = (struct trace_span){ .p = p, .n = (size_t)(end - p) };
	return ERR_OK;
}

/* The keys at the start of a line stand at fixed places: "time=... id=... session=..." or "time=... session=...". */
static void
read_head(struct hit *h)
{
	const char *p = h->line;
	size_t left = (size_t)(h->end - p);
	char hex[17] = "";

	h->id[0] = 0;
	h->session = 0;
	if (left > ID_AT + NAME_ID_LEN && memcmp(p + TIME_LEN, " id=", 4) == 0) {
		memcpy(h->id, p + ID_AT, NAME_ID_LEN);
		h->id[NAME_ID_LEN] = 0;
		p += 4 + NAME_ID_LEN;
		left -= 4 + NAME_ID_LEN;
	}
	if (left > SESSION_AT + 16 && memcmp(p + TIME_LEN, " session=", 9) == 0) {
		memcpy(hex, p + SESSION_AT, 16);
		h->session = strtoull(hex, NULL, 16);
	}
}

/* The line around a place of a day. False: it is not whole. */
static bool
get_around(const struct trace_day *d, const char *at, struct hit *h)
{
	const char *start = memrchr(d->p, '\n', (size_t)(at - d->p));

	h->line = start != NULL ? start + 1 : d->p;
	h->end = memchr(at, '\n', d->n - (size_t)(at - d->p));
	if (h->end == NULL)
		return false;
	read_head(h);
	return true;
}

/* Whether the value at p, as it stands in the line, is what is looked for. */
static bool
is_wanted(const struct hit *h, const char *at, size_t key, const char *glob)
{
	struct trace_line l;
	const char *value, *space = at;
	char name[16];

	/* The pair's key stands right before its value. */
	while (space > h->line && space[-1] != ' ')
		space--;
	if (str_copy(name, sizeof(name), space, key) != ERR_OK || trace_get_line(h->line, (size_t)(h->end - h->line), &l) != ERR_OK)
		return false;
	value = trace_value(&l, name);
	return value != NULL && fnmatch(glob, value, FNM_CASEFOLD | FNM_NOESCAPE) == 0;
}

/* Adds the messages whose lines have the needle; where there is a glob, which the value behind it must match. */
static int
search_day(struct trace_found *found, const struct trace_day *d, const char *needle, const char *glob, const struct trace_query *q)
{
	const char *p = d->p + d->from, *end = d->p + d->n, *at;
	const char *key = strrchr(needle, ' ') + 1;
	char since[28];
	int err = ERR_OK;
	size_t n;

	trace_put_time(since, q->since_us);
	for (; err == ERR_OK && p < end && (at = memmem(p, (size_t)(end - p), needle, strlen(needle))) != NULL; p = at + 1) {
		struct hit h;

		at += strlen(needle);
		if (!get_around(d, at, &h) || (q->since_us != 0 && (h.end - h.line < TIME_LEN ||
		    memcmp(h.line + 5, since, TIME_LEN - 5) < 0)))
			continue;
		if (glob == NULL ? *at != ' ' && *at != '\n' : !is_wanted(&h, at, strlen(key) - 1, glob))
			continue;
		if (h.id[0] == 0 && h.session == 0)
			continue;
		n = found->n;
		err = add_life(found, h.id, h.session);
		if (err == ERR_OK && found->n != n) {
			found->lives[n].day = d->day;
			found->lives[n].at = (size_t)(h.line - d->p);
		}
	}
	return err;
}

/* "message_id=..." as it stands in a line. */
static void
put_needle(struct log_line *l, const char *message_id)
{
	size_t n = strlen(message_id);
	char text[512];

	if (n >= 2 && message_id[0] == '<' && message_id[n - 1] == '>') {
		message_id++;
		n -= 2;
	}
	if (str_copy(text, sizeof(text), message_id, n) != ERR_OK)
		text[0] = 0;
	/* The first pair of a line has no blank before it, the second has. */
	log_line_begin(l, LOG_FORMAT_LOGFMT);
	log_line_put(l, "x", "x");
	log_line_put(l, "message_id", text);
	l->text[l->len] = 0;
}

static int
search(struct trace_found *found, const struct trace_query *q)
{
	static const char *const ends[] = { " event=accepted account=", " event=refused account=", " event=broken_off account=" };
	struct log_line needle;
	int err = ERR_OK;

	for (size_t i = 0; i < found->files->days.n && err == ERR_OK; i++) {
		const struct trace_day *d = &found->files->days.list[i];

		if (d->p == NULL)
			continue;
		if (q->message_id != NULL) {
			put_needle(&needle, q->message_id);
			err = search_day(found, d, needle.text + 3, NULL, q);
		} else if (q->to != NULL) {
			err = search_day(found, d, " event=recipient to=", q->to, q);
		}
		for (size_t k = 0; q->account != NULL && k < 3 && err == ERR_OK; k++)
			err = search_day(found, d, ends[k], q->account, q);
	}
	return err;
}

/* Whether the first keys of a line are a time and an id or a session. */
static bool
is_line(const char *p, const char *end)
{
	return end - p > SESSION_AT + 16 && memcmp(p, "time=", 5) == 0;
}

/* Of a line without an id: whether it is about the session itself, or about a message that got none. */
static bool
is_of_session(const struct hit *h)
{
	const char *event = memmem(h->line, (size_t)(h->end - h->line), " event=", 7);

	return event != NULL && (h->end - event >= 14 && (memcmp(event + 7, "session ", 8) == 0 || memcmp(event + 7, "login a", 7) == 0));
}

/* A session belongs to all the messages that came with it. */
static int
add_session_line(struct trace_found *found, const struct hit *h)
{
	struct trace_life *own = find_life(found, "", h->session);
	int err = own != NULL ? add_line(own, h->line, h->end) : ERR_OK;

	for (size_t i = 0; i < found->n && err == ERR_OK && is_of_session(h); i++)
		if (found->lives[i].id[0] != 0 && found->lives[i].session == h->session)
			err = add_line(&found->lives[i], h->line, h->end);
	return err;
}

/* Gives each life its lines of a day. */
static int
collect_day(struct trace_found *found, const struct trace_day *d)
{
	const char *p = d->p + d->from, *end = d->p + d->n, *next;
	int err = ERR_OK;

	for (; err == ERR_OK && p < end && (next = memchr(p, '\n', (size_t)(end - p))) != NULL; p = next + 1) {
		struct hit h = { .line = p, .end = next };
		struct trace_life *l;

		if (!is_line(p, next))
			continue;
		if (memcmp(p + TIME_LEN, " id=", 4) == 0) {
			memcpy(h.id, p + ID_AT, NAME_ID_LEN);
			h.id[NAME_ID_LEN] = 0;
			if ((l = find_life(found, h.id, 0)) != NULL)
				err = add_line(l, p, next);
			continue;
		}
		read_head(&h);
		if (h.session != 0)
			err = add_session_line(found, &h);
	}
	return err;
}

/* One message only: its lines by their id, and its session's before them; done when it has left. */
static int
collect_one(struct trace_found *found, const char *id)
{
	struct trace_files *f = found->files;
	struct trace_life *l;
	char needle[SPOOL_ID_TEXT + 8];
	bool is_done = false;
	int err = ERR_OK;

	snprintf(needle, sizeof(needle), " id=%s ", id);
	for (size_t i = 0; i < f->days.n && err == ERR_OK && !is_done; i++) {
		const char *p = f->days.list[i].p, *end = p + f->days.list[i].n, *at;

		for (p += f->days.list[i].from; err == ERR_OK && p < end && (at = memmem(p, (size_t)(end - p), needle, strlen(needle))) != NULL;
		    p = at + 1) {
			struct hit h;

			if (!get_around(&f->days.list[i], at, &h) || at - h.line != TIME_LEN)
				continue;
			if ((err = add_life(found, id, h.session)) != ERR_OK)
				break;
			l = find_life(found, id, 0);
			is_done |= memmem(h.line, (size_t)(h.end - h.line), " event=done", 11) != NULL;
			err = add_line(l, h.line, h.end);
		}
	}
	return err;
}

/* The session's lines come from its day or the day before, and stand first. */
static int
put_session_first(struct trace_found *found, struct trace_life *l)
{
	struct trace_life own = { .session = l->session };
	char needle[40], hex[21];
	int err = ERR_OK;

	str_put_hex64(hex, l->session);
	snprintf(needle, sizeof(needle), "Z session=%s event=", hex);
	for (size_t i = 0; i < found->files->days.n && own.n < 2 && err == ERR_OK; i++) {
		const struct trace_day *d = &found->files->days.list[i];
		const char *p = d->p, *end = p + d->n, *at;

		for (; err == ERR_OK && own.n < 2 && p < end && (at = memmem(p, (size_t)(end - p), needle, strlen(needle))) != NULL;
		    p = at + 1) {
			struct hit h;

			if (get_around(d, at, &h) && is_of_session(&h))
				err = add_line(&own, h.line, h.end);
		}
	}
	for (size_t i = 0; i < l->n && err == ERR_OK; i++)
		err = add_line(&own, l->lines[i].p, l->lines[i].p + l->lines[i].n);
	free(l->lines);
	l->lines = own.lines;
	l->n = own.n;
	l->room = own.room;
	return err;
}

static int
compare_lives(const void *a, const void *b)
{
	const struct trace_life *x = a, *y = b;

	if (x->day != y->day)
		return x->day > y->day ? 1 : -1;
	return (x->at > y->at) - (x->at < y->at);
}

/* In the order of their first lines, and only the last so many of them; they get their places in the buckets anew. */
static int
arrange(struct trace_found *found, size_t limit)
{
	struct trace_life *lives = found->lives;
	size_t n = found->n, first = limit != 0 && n > limit ? n - limit : 0;
	int err = ERR_OK;

	if (n == 0)
		return ERR_OK;
	qsort(lives, n, sizeof(*lives), compare_lives);
	found->is_cut = first != 0;
	found->lives = NULL;
	found->n = found->room = 0;
	memset(found->files->buckets, 0, sizeof(found->files->buckets));
	for (size_t i = first; i < n && err == ERR_OK; i++)
		err = add_life(found, lives[i].id, lives[i].session);
	free(lives);
	return err;
}

/* The first day that matters; a session may have begun the day before its message. */
static uint64_t
first_day(const struct trace_query *q)
{
	uint64_t us = q->since_us;

	if (q->id != NULL && name_get_id(q->id, strlen(q->id), &us) != ERR_OK)
		us = 0;
	return us / DAY_US > 0 ? us / DAY_US - 1 : 0;
}

static int
find(const struct trace_query *q, struct trace_found *found, bool is_first)
{
	struct trace_files *f = found->files;
	bool is_new = found->n == 0;
	int err;

	if (q->id != NULL) {
		err = collect_one(found, q->id);
		if (err == ERR_OK && is_new && found->n != 0 && found->lives[0].session != 0)
			err = put_session_first(found, &found->lives[0]);
	} else {
		if ((err = search(found, q)) == ERR_OK && is_first)
			err = arrange(found, q->limit);
		for (size_t i = 0; i < f->days.n && err == ERR_OK && found->n != 0; i++)
			if (f->days.list[i].p != NULL)
				err = collect_day(found, &f->days.list[i]);
	}
	/* Half a line that is being written is read with its end, the next time. */
	for (size_t i = 0; i < f->days.n; i++) {
		const char *last = f->days.list[i].p != NULL ? memrchr(f->days.list[i].p, '\n', f->days.list[i].n) : NULL;

		f->days.list[i].from = last != NULL ? (size_t)(last + 1 - f->days.list[i].p) : 0;
	}
	return err;
}

int
trace_find(const struct spool_dirs *d, const struct trace_query *q, struct trace_found *found)
{
	int err;

	*found = (struct trace_found){ .files = calloc(1, sizeof(*found->files)) };
	if (found->files == NULL)
		return ERR_NOMEM;
	if ((err = trace_days_read(&found->files->days, d, first_day(q))) == ERR_OK)
		err = find(q, found, true);
	return err;
}

int
trace_find_new(const struct spool_dirs *d, const struct trace_query *q, struct trace_found *found)
{
	int err;

	for (size_t i = 0; i < found->n; i++)
		found->lives[i].n = 0;
	if ((err = trace_days_read(&found->files->days, d, first_day(q))) == ERR_OK)
		err = find(q, found, false);
	return err;
}

void
trace_found_free(struct trace_found *found)
{
	for (size_t i = 0; i < found->n; i++)
		free(found->lives[i].lines);
	free(found->lives);
	if (found->files != NULL) {
		trace_days_free(&found->files->days);
		free(found->files->nexts);
	}
	free(found->files);
	*found = (struct trace_found){ .n = 0 };
}
