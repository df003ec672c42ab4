/*
 * Addresses in header fields and on the command line, with or without a domain. Pure; run by postern-sendmail. The
 * service parses each address again: here it is only found.
 */
#include "mailboxes.h"

#include <string.h>

#include "err.h"

struct scan {
	const uint8_t	*p;
	size_t		 n, at;
	struct mailbox	*m;
	size_t		 len;		/* of m->text */
	bool		 blank;		/* blanks or comments stand behind the last octet of text */
	bool		 is_long, has_two;	/* has_two: two words that nothing joins */
};

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* NUL, say: nothing that an address may have. */
static bool
is_control(uint8_t c)
{
	return c < ' ' || c == 0x7f;
}

static void
begin(struct scan *s)
{
	s->len = 0;
	s->blank = s->is_long = s->has_two = false;
	s->m->is_bare = true;
}

static void
put(struct scan *s, uint8_t c, size_t at)
{
	bool joins = s->len != 0 && (s->m->text[s->len - 1] == '.' || s->m->text[s->len - 1] == '@');

	if (s->len == 0)
		s->m->start = at;
	else if (s->blank && !joins && c != '.' && c != '@')
		s->has_two = true;
	s->blank = false;
	s->m->end = at + 1;
	if (s->len + 1 < sizeof(s->m->text))
		s->m->text[s->len++] = (char)c;
	else
		s->is_long = true;
}

/* RFC 5322, 3.2.2: nested, with quoted pairs; at stands behind the first '('. */
static int
skip_comment(struct scan *s)
{
	size_t depth = 1;

	while (s->at < s->n && depth != 0) {
		uint8_t c = s->p[s->at++];

		if (c == '\\' && s->at < s->n)
			s->at++;
		else if (c == '(')
			depth++;
		else if (c == ')')
			depth--;
	}
	s->blank = true;
	return depth == 0 ? ERR_OK : ERR_SYNTAX;
}

static int
take_quoted(struct scan *s)
{
	put(s, '"', s->at - 1);
	while (s->at < s->n) {
		uint8_t c = s->p[s->at++];

		if (c == '\r' || c == '\n')
			continue;
		if (is_control(c) && c != '\t')
			return ERR_SYNTAX;
		put(s, c, s->at - 1);
		if (c == '"')
			return ERR_OK;
		if (c == '\\' && s->at < s->n && !is_control(s->p[s->at])) {
			put(s, s->p[s->at], s->at);
			s->at++;
		}
	}
	return ERR_SYNTAX;
}

static int
take_literal(struct scan *s)
{
	for (put(s, '[', s->at - 1); s->at < s->n;) {
		uint8_t c = s->p[s->at++];

		if (is_control(c))
			return ERR_SYNTAX;
		put(s, c, s->at - 1);
		if (c == ']')
			return ERR_OK;
	}
	return ERR_SYNTAX;
}

/* Any octet of an address or a phrase. */
static int
take(struct scan *s, uint8_t c)
{
	if (is_blank(c)) {
		s->blank = true;
		return ERR_OK;
	}
	if (is_control(c))
		return ERR_SYNTAX;
	if (c == '(')
		return skip_comment(s);
	if (c == '"')
		return take_quoted(s);
	if (c == '[' && !s->m->is_bare)
		return take_literal(s);
	if (c == '@')
		s->m->is_bare = false;
	put(s, c, s->at - 1);
	return ERR_OK;
}

static int
finish(struct scan *s)
{
	s->m->text[s->len] = 0;
	return s->len == 0 || s->is_long || s->has_two ? ERR_SYNTAX : ERR_OK;
}

/* at stands behind '<'; afterwards behind what follows '>'. */
static int
take_angle(struct scan *s)
{
	int err;

	for (begin(s);;) {
		uint8_t c;

		if (s->at == s->n)
			return ERR_SYNTAX;
		if ((c = s->p[s->at++]) == '>')
			break;
		if (c == ':' && s->len != 0 && s->m->text[0] == '@')
			begin(s);	/* an obsolete route ends */
		else if (c == '<')
			return ERR_SYNTAX;
		else if ((err = take(s, c)) != ERR_OK)
			return err;
	}
	if ((err = finish(s)) != ERR_OK)
		return err;
	/* Behind it only blanks and comments may stand. */
	while (s->at < s->n && s->p[s->at] != ',' && s->p[s->at] != ';') {
		uint8_t c = s->p[s->at++];

		if (c == '(' ? skip_comment(s) != ERR_OK : !is_blank(c))
			return ERR_SYNTAX;
	}
	return ERR_OK;
}

char *
mailboxes_show(char *to, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text != 0 && n + 1 < size; text++) {
		bool is_c1 = n != 0 && (uint8_t)to[n - 1] == 0xc2 && (uint8_t)*text >= 0x80 && (uint8_t)*text < 0xa0;

		to[n++] = (char)(is_control((uint8_t)*text) || is_c1 ? '?' : *text);
	}
	to[n] = 0;
	return to;
}

int
mailboxes_next(const uint8_t *p, size_t n, size_t *at, struct mailbox *m)
{
	struct scan s = { .p = p, .n = n, .at = *at, .m = m };
	int err = ERR_NOTFOUND;

	*m = (struct mailbox){ .start = 0 };
	begin(&s);
	while (err == ERR_NOTFOUND && s.at < n) {
		uint8_t c = p[s.at++];
		int taken;

		if (c == '<')
			err = take_angle(&s);
		else if (c == ':')
			begin(&s);	/* that was the name of a group */
		else if ((c == ',' || c == ';') && s.len != 0)
			err = finish(&s);
		else if (c != ',' && c != ';' && (taken = take(&s, c)) != ERR_OK)
			err = taken;
	}
	if (err == ERR_NOTFOUND && s.len != 0)
		err = finish(&s);
	m->text[s.len] = 0;
	*at = s.at;
	return err;
}
