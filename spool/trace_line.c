/*
 * Lines of the trace taken apart: what log_line_put() wrote is read back. Pure; part of libpostern-spool.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "err.h"
#include "format.h"
#include "str.h"
#include "trace_read.h"

struct cursor {
	const char	*p, *end;
	char		*to;		/* where the next string goes; there is room for all of them */
};

/* Up to the '=', which ends it. */
static int
take_key(struct cursor *c, const char **key)
{
	const char *equals = memchr(c->p, '=', (size_t)(c->end - c->p));

	if (equals == NULL || equals == c->p)
		return ERR_SYNTAX;
	*key = c->to;
	memcpy(c->to, c->p, (size_t)(equals - c->p));
	c->to += equals - c->p;
	*c->to++ = 0;
	c->p = equals + 1;
	return ERR_OK;
}

static int
hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != 0 ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* Behind the first quote. */
static int
take_quoted(struct cursor *c)
{
	while (c->p < c->end && *c->p != '"') {
		if (*c->p != '\\') {
			*c->to++ = *c->p++;
			continue;
		}
		if (c->end - c->p >= 4 && c->p[1] == 'x' && hex_value(c->p[2]) >= 0 && hex_value(c->p[3]) >= 0) {
			*c->to++ = (char)(hex_value(c->p[2]) << 4 | hex_value(c->p[3]));
			c->p += 4;
		} else if (c->end - c->p >= 2) {
			*c->to++ = c->p[1];
			c->p += 2;
		} else {
			return ERR_SYNTAX;
		}
	}
	if (c->p == c->end)
		return ERR_SYNTAX;
	c->p++;
	return ERR_OK;
}

static int
take_value(struct cursor *c, const char **value)
{
	int err = ERR_OK;

	*value = c->to;
	if (c->p < c->end && *c->p == '"') {
		c->p++;
		err = take_quoted(c);
	} else {
		while (c->p < c->end && *c->p != ' ')
			*c->to++ = *c->p++;
	}
	*c->to++ = 0;
	if (err != ERR_OK || (c->p < c->end && *c->p++ != ' '))
		return ERR_SYNTAX;
	return ERR_OK;
}

int
trace_get_line(const char *p, size_t n, struct trace_line *l)
{
	struct cursor c = { .p = p, .end = p + n, .to = l->text };

	l->time[0] = l->id[0] = 0;
	l->session = l->npairs = 0;
	l->event = NULL;
	/* A value is never longer than what it was written as, and each pair's two NULs have the room of '=' and the blank. */
	if (n >= LOG_LINE_MAX)
		return ERR_SYNTAX;
	while (c.p < c.end) {
		const char *key, *value;

		if (take_key(&c, &key) != ERR_OK || take_value(&c, &value) != ERR_OK)
			return ERR_SYNTAX;
		if (l->event != NULL && l->npairs < TRACE_PAIRS_MAX) {
			l->pairs[l->npairs].key = key;
			l->pairs[l->npairs++].value = value;
		} else if (strcmp(key, "event") == 0) {
			l->event = value;
		} else if (strcmp(key, "session") == 0) {
			l->session = strtoull(value, NULL, 16);
		} else if ((strcmp(key, "time") == 0 && str_copy(l->time, sizeof(l->time), value, strlen(value)) != ERR_OK) ||
		    (strcmp(key, "id") == 0 && str_copy(l->id, sizeof(l->id), value, strlen(value)) != ERR_OK)) {
			return ERR_SYNTAX;
		}
	}
	return l->event != NULL && l->time[0] != 0 ? ERR_OK : ERR_SYNTAX;
}

const char *
trace_value(const struct trace_line *l, const char *key)
{
	for (size_t i = 0; i < l->npairs; i++)
		if (strcmp(l->pairs[i].key, key) == 0)
			return l->pairs[i].value;
	return NULL;
}

uint64_t
trace_time(const struct trace_line *l)
{
	struct tm tm = { .tm_isdst = 0 };
	unsigned ms;
	time_t seconds;

	if (sscanf(l->time, "%4d-%2d-%2dT%2d:%2d:%2d.%3uZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
	    &tm.tm_sec, &ms) != 7)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	seconds = timegm(&tm);
	return seconds > 0 ? (uint64_t)seconds * 1000000 + ms * 1000 : 0;
}

int
trace_get_time(const char *text, uint64_t *us)
{
	return format_get_time(text, us);
}
