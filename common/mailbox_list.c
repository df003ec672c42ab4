/*
 * The From field's addresses. Pure; run by postern-spool and postern-keys on a client's octets. Invariant: what is not understood is
 * refused, so that no reader of the message can see a sender that was not judged.
 */
#include "mailbox_list.h"

#include <stdbool.h>
#include <string.h>

#include "addr.h"
#include "err.h"

/* One element of the list is a row of words; a word is what stands together but for blanks beside '.' and '@'. */
struct list {
	const uint8_t	*p, *end;
	struct addr	*addresses;
	size_t		 max, count;
	char		 word[ADDR_TEXT];
	size_t		 word_len;
	bool		 in_word, has_at, is_long;	/* of the word */
	bool		 joins;				/* the word ended with '.' or '@': the next text belongs to it */
	bool		 blank;				/* blanks or comments stand behind the word */
	size_t		 words, bare;			/* of the element: words, and those that are addresses */
};

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
put(struct list *l, uint8_t c)
{
	if (l->word_len < sizeof(l->word))
		l->word[l->word_len++] = (char)c;
	else
		l->is_long = true;
}

static int
add_address(struct list *l, const char *text, size_t n)
{
	struct addr a;

	if (addr_parse(&a, text, n, true) != ERR_OK)
		return ERR_SYNTAX;
	if (l->count == l->max)
		return ERR_TOOBIG;
	l->addresses[l->count++] = a;
	return ERR_OK;
}

static int
end_word(struct list *l)
{
	int err = ERR_OK;

	if (!l->in_word)
		return ERR_OK;
	l->words++;
	if (l->has_at) {
		l->bare++;
		err = l->is_long ? ERR_SYNTAX : add_address(l, l->word, l->word_len);
	}
	l->word_len = 0;
	l->in_word = l->has_at = l->is_long = l->joins = l->blank = false;
	return err;
}

/* Text comes that belongs to the word before or begins the next one. */
static int
begin_text(struct list *l, uint8_t c)
{
	int err = ERR_OK;

	if (l->in_word && l->blank && !l->joins && c != '.' && c != '@')
		err = end_word(l);
	l->in_word = true;
	l->blank = l->joins = false;
	return err;
}

/* RFC 5322, 3.2.2: nested, with quoted pairs. p stands behind the first '('. */
static int
skip_comment(struct list *l)
{
	size_t depth = 1;

	while (l->p < l->end && depth != 0) {
		uint8_t c = *l->p++;

		if (c == '\\' && l->p < l->end)
			l->p++;
		else if (c == '(')
			depth++;
		else if (c == ')')
			depth--;
	}
	l->blank = true;
	return depth == 0 ? ERR_OK : ERR_SYNTAX;
}

/* RFC 5322, 3.2.4; p stands behind the first quote. The folding's line ends are no part of it. */
static int
take_quoted(struct list *l)
{
	put(l, '"');
	while (l->p < l->end) {
		uint8_t c = *l->p++;

		if (c == '\r' || c == '\n')
			continue;
		put(l, c);
		if (c == '"')
			return ERR_OK;
		if (c == '\\' && l->p < l->end)
			put(l, *l->p++);
	}
	return ERR_SYNTAX;
}

/* RFC 5322, 3.4: "<" address ">", perhaps with an obsolete route; p stands behind '<'. */
static int
take_angle(struct list *l)
{
	size_t route;
	int err;

	l->word_len = 0;
	l->is_long = false;
	for (;;) {
		uint8_t c;

		if (l->p == l->end)
			return ERR_SYNTAX;
		c = *l->p++;
		if (c == '>')
			break;
		if (c == '(')
			err = skip_comment(l);
		else if (c == '"')
			err = take_quoted(l);
		else
			err = c == '<' || c == ')' || c == '\\' ? ERR_SYNTAX : ERR_OK;
		if (err != ERR_OK)
			return err;
		if (c != '(' && c != '"' && !is_blank(c))
			put(l, c);
	}
	route = 0;
	if (l->word_len != 0 && l->word[0] == '@') {
		const char *colon = memchr(l->word, ':', l->word_len);

		if (colon == NULL)
			return ERR_SYNTAX;
		route = (size_t)(colon - l->word) + 1;
	}
	err = l->is_long ? ERR_SYNTAX : add_address(l, l->word + route, l->word_len - route);
	l->word_len = 0;
	l->is_long = l->blank = false;
	return err;
}

/* Behind "<...>" only blanks and comments may stand before the element ends. */
static int
take_tail(struct list *l)
{
	while (l->p < l->end && *l->p != ',' && *l->p != ';') {
		uint8_t c = *l->p++;
		int err = c == '(' ? skip_comment(l) : is_blank(c) ? ERR_OK : ERR_SYNTAX;

		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

/* An element without "<...>" is one bare address, or nothing (RFC 5322, 4.4: empty elements). */
static int
end_element(struct list *l)
{
	int err = end_word(l);

	if (err == ERR_OK && l->words != 0 && (l->words != 1 || l->bare != 1))
		err = ERR_SYNTAX;
	l->words = l->bare = 0;
	return err;
}

static int
take_text(struct list *l, uint8_t c)
{
	int err = begin_text(l, c);

	if (err != ERR_OK)
		return err;
	if (c == '"')
		return take_quoted(l);
	if (c == '[' && l->has_at) {
		/* A domain literal: what stands in it is not punctuation. */
		for (put(l, c); l->p < l->end;) {
			c = *l->p++;
			put(l, c);
			if (c == ']')
				return ERR_OK;
		}
		return ERR_SYNTAX;
	}
	put(l, c);
	l->has_at |= c == '@';
	l->joins = c == '.' || c == '@';
	return ERR_OK;
}

static int
take_next(struct list *l)
{
	uint8_t c = *l->p++;
	int err;

	if (is_blank(c)) {
		l->blank = true;
		return ERR_OK;
	}
	switch (c) {
	case '(':
		return skip_comment(l);
	case ',':
	case ';':
		return end_element(l);
	case ':':
		/* The name of a group: its members follow (an address in the name is judged like any other). */
		err = end_word(l);
		l->words = l->bare = 0;
		return err;
	case '<':
		if ((err = end_word(l)) != ERR_OK || (err = take_angle(l)) != ERR_OK)
			return err;
		l->words = l->bare = 0;
		return take_tail(l);
	case '>':
	case ')':
	case '\\':
		return ERR_SYNTAX;
	default:
		return c < ' ' || c == 0x7f ? ERR_SYNTAX : take_text(l, c);
	}
}

int
mailbox_list_get(const uint8_t *p, size_t n, struct addr *addresses, size_t max, size_t *count)
{
	struct list l = { .p = p, .end = p + n, .addresses = addresses, .max = max };
	int err = ERR_OK;

	while (err == ERR_OK && l.p < l.end)
		err = take_next(&l);
	if (err == ERR_OK)
		err = end_element(&l);
	*count = l.count;
	return err == ERR_OK && l.count == 0 ? ERR_SYNTAX : err;
}
