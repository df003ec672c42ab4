/*
 * A line editor for the configuration file, which keeps what the admin wrote. Pure; run by smtpadm. Reads lines as
 * the parser of common/conf.c does, and is checked by it: nothing is written that does not parse to the value
 * asked for.
 */
#include "confedit.h"

#include <stdbool.h>
#include <string.h>

#include "buf.h"
#include "err.h"

struct line {
	const char	*start, *end;	/* end is behind the line's end */
	const char	*word, *stop;	/* without blanks at both sides */
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

static bool
next_line(const char **at, const char *end, struct line *l)
{
	const char *newline;

	if (*at == end)
		return false;
	newline = memchr(*at, '\n', (size_t)(end - *at));
	l->start = l->word = *at;
	l->end = l->stop = *at = newline != NULL ? newline + 1 : end;
	while (l->word < l->stop && is_blank(*l->word))
		l->word++;
	while (l->stop > l->word && is_blank(l->stop[-1]))
		l->stop--;
	return true;
}

static bool
is_comment(const struct line *l)
{
	return l->word < l->stop && (*l->word == '#' || *l->word == ';');
}

static bool
is_header(const struct line *l)
{
	return l->word < l->stop && *l->word == '[';
}

/* "[listener  a]" and "[listener a]" are the same. */
static bool
is_section(const struct line *l, const char *section)
{
	const char *p = l->word + 1, *close = memchr(l->word, ']', (size_t)(l->stop - l->word));

	if (!is_header(l) || close == NULL)
		return false;
	for (; p < close && *section != 0; p++, section++) {
		if (*p != *section)
			return false;
		while (*p == ' ' && p + 1 < close && p[1] == ' ')
			p++;
	}
	return p == close && *section == 0;
}

/* Where the value of this key starts and stops in the line; a comment behind it (" ;") is none of it. */
static bool
is_key(const struct line *l, const char *key, const char **value, const char **stop)
{
	size_t n = strlen(key);
	const char *p = l->word;

	if ((size_t)(l->stop - p) < n || strncmp(p, key, n) != 0)
		return false;
	for (p += n; p < l->stop && is_blank(*p); p++)
		continue;
	if (p == l->stop || (*p != '=' && *p != ':'))
		return false;
	for (p++; p < l->stop && is_blank(*p); p++)
		continue;
	*value = p;
	for (*stop = p; *stop < l->stop; (*stop)++)
		if (**stop == ';' && *stop > l->word && is_blank((*stop)[-1]))
			break;
	while (*stop > p && is_blank((*stop)[-1]))
		(*stop)--;
	return true;
}

static void
put(struct buf *out, int *err, const void *p, size_t n)
{
	if (*err == ERR_OK)
		*err = buf_put(out, p, n);
}

static void
put_line(struct buf *out, int *err, const char *key, const char *value)
{
	put(out, err, key, strlen(key));
	put(out, err, " = ", 3);
	put(out, err, value, strlen(value));
	put(out, err, "\n", 1);
}

/* Where a new key goes: behind the last key of its section, or NULL when there is no such section. */
static const char *
find_place(const char *text, const char *end, const char *section)
{
	const char *at = text, *place = NULL, *opening = text;
	bool inside = section[0] == 0, opened = true, top = inside;
	struct line l;

	while (next_line(&at, end, &l)) {
		if (is_header(&l)) {
			top = false;
			inside = is_section(&l, section);
			if (inside)
				place = l.end;
		} else if (inside && l.word < l.stop && !is_comment(&l)) {
			place = l.end;
			opened = false;
		} else if (top && opened && l.word == l.stop && opening == text) {
			/* The comment at the head of the file, ended by an empty line. */
			opening = l.end;
			opened = false;
		}
	}
	return place == NULL && section[0] == 0 ? opening : place;
}

int
confedit_set(struct buf *out, const char *text, size_t len, const char *section, const char *key, const char *value)
{
	const char *at = text, *end = text + len, *from, *to, *place;
	bool inside = section[0] == 0;
	int err = ERR_OK;
	struct line l;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		at = text + 3;
	put(out, &err, text, (size_t)(at - text));
	text = at;
	while (next_line(&at, end, &l)) {
		if (is_header(&l))
			inside = is_section(&l, section);
		else if (inside && !is_comment(&l) && is_key(&l, key, &from, &to)) {
			put(out, &err, text, (size_t)(from - text));
			put(out, &err, from[-1] == '=' || from[-1] == ':' ? " " : "",
			    from[-1] == '=' || from[-1] == ':');
			put(out, &err, value, strlen(value));
			put(out, &err, to, (size_t)(end - to));
			return err;
		}
	}
	place = find_place(text, end, section);
	if (place == NULL)
		place = end;
	else
		section = "";
	put(out, &err, text, (size_t)(place - text));
	if (place > text && place[-1] != '\n')
		put(out, &err, "\n", 1);
	if (section[0] != 0) {
		put(out, &err, place > text ? "\n[" : "[", place > text ? 2 : 1);
		put(out, &err, section, strlen(section));
		put(out, &err, "]\n", 2);
	}
	put_line(out, &err, key, value);
	put(out, &err, place, (size_t)(end - place));
	return err;
}

int
confedit_remove(struct buf *out, const char *text, size_t len, const char *section)
{
	const char *at = text, *end = text + len, *from = NULL, *to = NULL;
	bool inside = false, found = false;
	int err = ERR_OK;
	struct line l;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		at = text + 3;
	while (next_line(&at, end, &l)) {
		bool opens = is_header(&l) && is_section(&l, section);

		if (is_header(&l) && inside) {
			put(out, &err, text, (size_t)(from - text));
			text = to;
		}
		if (is_header(&l))
			inside = opens;
		if (opens)
			from = l.start;
		if (inside && (opens || (l.word < l.stop && !is_comment(&l))))
			to = l.end;
		found = found || opens;
	}
	if (inside) {
		put(out, &err, text, (size_t)(from - text));
		text = to;
	}
	put(out, &err, text, (size_t)(end - text));
	return found ? err : ERR_NOTFOUND;
}
