/*
 * The fields that say what a part is: Content-Type, Content-Transfer-Encoding, Content-Disposition with their
 * parameters (RFC 2045, 5.1; RFC 2183; RFC 2231), as lenient readers take them. Pure; run by workers on a client's
 * octets. Invariant: each octet of a value is looked at a bounded number of times; what can't be understood makes
 * the part stricter, not laxer.
 */
#include "mime_header.h"

#include <string.h>

#include "str.h"

struct cursor {
	const uint8_t	*p;
	size_t		 n, at;
};

struct slice {
	const uint8_t	*p;
	size_t		 n;
	bool		 quoted;
};

struct value {
	uint8_t	p[MIME_NAME_RAW_MAX];
	size_t	n;
	bool	cut;
};

/* One parameter in its plain form, and in that of RFC 2231, whose pieces must come in their order. */
struct parameter {
	const char	*name;
	struct value	 plain, extended;
	bool		 has_plain, has_extended;
	bool		 is_ambiguous;		/* it was given more than once, or in pieces that do not fit together */
	uint64_t	 next;			/* number of the piece that must come next */
};

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_word(struct slice s, const char *word)
{
	return str_is_equal_nocase(s.p, s.n, word, strlen(word));
}

/* Blanks and comments, which nest (RFC 5322, 3.2.2). */
static void
skip_comments(struct cursor *c)
{
	size_t depth = 0;

	for (; c->at < c->n; c->at++) {
		uint8_t octet = c->p[c->at];

		if (octet == '(')
			depth++;
		else if (depth == 0 && !is_blank(octet))
			return;
		else if (octet == ')')
			depth--;
		else if (octet == '\\' && depth != 0 && c->at + 1 < c->n)
			c->at++;
	}
}

/* Octets up to a blank, a comment, or one of the octets in `ends`. */
static struct slice
get_until(struct cursor *c, const char *ends)
{
	struct slice s = { .p = c->p + c->at };

	while (c->at < c->n && !is_blank(c->p[c->at]) && c->p[c->at] != '(' &&
	    (c->p[c->at] == 0 || strchr(ends, c->p[c->at]) == NULL)) {
		c->at++;
		s.n++;
	}
	return s;
}

static struct slice
get_quoted(struct cursor *c)
{
	struct slice s = { .p = c->p + ++c->at, .quoted = true };

	for (; c->at < c->n && c->p[c->at] != '"'; c->at++) {
		if (c->p[c->at] == '\\' && c->at + 1 < c->n)
			c->at++;
	}
	s.n = (size_t)(c->p + c->at - s.p);
	if (c->at < c->n)
		c->at++;
	return s;
}

/* The next parameter; what is none, and semicolons too few or too many, are passed over. */
static bool
get_parameter(struct cursor *c, struct slice *attribute, struct slice *value)
{
	for (;;) {
		skip_comments(c);
		if (c->at == c->n)
			return false;
		*attribute = get_until(c, "=;\"");
		skip_comments(c);
		if (c->at < c->n && c->p[c->at] == '=') {
			c->at++;
			skip_comments(c);
			/* Many send '/', '=' or '?' unquoted, so a value ends only where another one can begin. */
			*value = c->at < c->n && c->p[c->at] == '"' ? get_quoted(c) : get_until(c, ";");
			return true;
		}
		if (c->at < c->n && c->p[c->at] == '"')
			get_quoted(c);
		else if (c->at < c->n && c->p[c->at] == ';')
			c->at++;
	}
}

static void
put_octet(struct value *v, uint8_t octet)
{
	if (v->n < sizeof(v->p))
		v->p[v->n++] = octet;
	else
		v->cut = true;
}

static void
put_slice(struct value *v, struct slice s, bool percent)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.quoted && s.p[i] == '\\' && i + 1 < s.n) {
			put_octet(v, s.p[++i]);
		} else if (percent && s.p[i] == '%' && i + 2 < s.n && mime_hex_value(s.p[i + 1]) >= 0 &&
		    mime_hex_value(s.p[i + 2]) >= 0) {
			put_octet(v, (uint8_t)(mime_hex_value(s.p[i + 1]) << 4 | mime_hex_value(s.p[i + 2])));
			i += 2;
		} else {
			put_octet(v, s.p[i]);
		}
	}
}

/* charset'language' in front of the first piece (RFC 2231, 4). */
static struct slice
skip_charset(struct slice s)
{
	const uint8_t *quote = memchr(s.p, '\'', s.n), *second;

	if (quote == NULL || (second = memchr(quote + 1, '\'', s.n - (size_t)(quote + 1 - s.p))) == NULL)
		return s;
	s.n -= (size_t)(second + 1 - s.p);
	s.p = second + 1;
	return s;
}

static void
take_plain(struct parameter *p, struct slice value)
{
	struct value v;

	v.n = 0;
	v.cut = false;
	put_slice(&v, value, false);
	if (!p->has_plain)
		p->plain = v;
	else if (v.cut || v.n != p->plain.n || memcmp(v.p, p->plain.p, v.n) != 0)
		p->is_ambiguous = true;
	p->has_plain = true;
}

/* name*, name*N, name*N*; mark is what stands behind the first '*'. */
static void
take_extended(struct parameter *p, struct slice mark, struct slice value)
{
	bool percent = mark.n == 0 || mark.p[mark.n - 1] == '*';
	size_t digits = mark.n - (mark.n != 0 && percent ? 1 : 0);
	uint64_t number = 0;

	if (mark.n != 0 && str_parse_u64(mark.p, digits, UINT32_MAX, &number) != 0) {
		p->is_ambiguous = true;
		return;
	}
	if (number != p->next) {
		p->is_ambiguous = true;
		return;
	}
	p->next = mark.n == 0 ? UINT64_MAX : number + 1;
	p->has_extended = true;
	put_slice(&p->extended, percent && number == 0 ? skip_charset(value) : value, percent);
}

static void
take_parameter(struct parameter *p, struct slice attribute, struct slice value)
{
	size_t len = strlen(p->name);
	struct slice rest;

	if (attribute.n < len || !str_is_equal_nocase(attribute.p, len, p->name, len))
		return;
	if (attribute.n == len) {
		take_plain(p, value);
	} else if (attribute.p[len] == '*') {
		rest = (struct slice){ .p = attribute.p + len + 1, .n = attribute.n - len - 1 };
		take_extended(p, rest, value);
	}
}

/* A part's name, and its boundary, from the parameters that are left; boundary may be NULL. */
static void
take_parameters(struct cursor *c, struct parameter *name, struct parameter *boundary)
{
	struct slice attribute, value;

	while (get_parameter(c, &attribute, &value)) {
		take_parameter(name, attribute, value);
		if (boundary != NULL)
			take_parameter(boundary, attribute, value);
	}
}

/* The form of RFC 2231 goes before the plain one, which is there for readers that don't know it. */
static void
set_name(struct mime_part *part, const struct parameter *p, bool from_disposition)
{
	const struct value *v = p->has_extended ? &p->extended : &p->plain;
	char name[MIME_NAME_MAX];

	mime_name_put(name, v->p, v->n);
	if (name[0] == 0 || (part->name[0] != 0 && (part->has_disposition_name || !from_disposition)))
		return;
	memcpy(part->name, name, sizeof(name));
	part->has_disposition_name = from_disposition;
}

static void
set_boundary(struct mime_part *part, struct parameter *p)
{
	struct value *v = p->has_plain ? &p->plain : &p->extended;

	/* White space can't end a boundary: transport may add it to a delimiter line (RFC 2046, 5.1.1). */
	while (v->n != 0 && is_blank(v->p[v->n - 1]))
		v->n--;
	if (v->n > MIME_BOUNDARY_MAX) {
		part->fault = "a boundary is over 250 octets long";
		return;
	}
	if (p->is_ambiguous || (p->has_plain && p->has_extended &&
	    (p->extended.n != v->n || memcmp(p->extended.p, v->p, v->n) != 0))) {
		part->fault = "a multipart has two boundary parameters";
		return;
	}
	memcpy(part->boundary, v->p, v->n);
	part->boundary_len = v->n;
}

static bool
is_composite(const struct mime_part *p)
{
	return p->type == MIME_MULTIPART || p->type == MIME_DIGEST || p->type == MIME_MESSAGE;
}

static enum mime_type
find_type(struct slice type, struct slice subtype)
{
	if (type.n == 0 || is_word(type, "text"))
		return MIME_TEXT;
	if (is_word(type, "multipart"))
		return is_word(subtype, "digest") ? MIME_DIGEST : MIME_MULTIPART;
	if (is_word(type, "message") && (is_word(subtype, "rfc822") || is_word(subtype, "global")))
		return MIME_MESSAGE;
	return MIME_LEAF;
}

/* Merges a second Content-Type field into the first. */
static void
merge_type(struct mime_part *p, const struct mime_part *second)
{
	if ((is_composite(p) || is_composite(second)) && (p->type != second->type ||
	    p->boundary_len != second->boundary_len || memcmp(p->boundary, second->boundary, p->boundary_len) != 0))
		p->fault = "a part has two Content-Type fields that differ";
	if (second->type == MIME_LEAF)
		p->type = MIME_LEAF;
	if (second->fault != NULL)
		p->fault = second->fault;
}

static void
take_type(struct mime_part *part, struct cursor *c)
{
	struct parameter name = { .name = "name" }, boundary = { .name = "boundary" };
	struct mime_part this = { .type = MIME_TEXT };
	struct slice type, subtype = { .p = c->p };

	skip_comments(c);
	type = get_until(c, "/;=\"");
	skip_comments(c);
	if (c->at < c->n && c->p[c->at] == '/') {
		c->at++;
		skip_comments(c);
		subtype = get_until(c, ";=\"");
	}
	this.type = find_type(type, subtype);
	take_parameters(c, &name, &boundary);
	if (this.type == MIME_MULTIPART || this.type == MIME_DIGEST)
		set_boundary(&this, &boundary);
	set_name(part, &name, false);
	/* A field that says no type says nothing (RFC 2045, 5.2). */
	if (type.n == 0)
		return;
	if (part->has_type) {
		merge_type(part, &this);
		return;
	}
	part->has_type = true;
	part->type = this.type;
	part->fault = part->fault == NULL ? this.fault : part->fault;
	memcpy(part->boundary, this.boundary, sizeof(part->boundary));
	part->boundary_len = this.boundary_len;
}

static void
take_encoding(struct mime_part *part, struct cursor *c)
{
	enum mime_encoding encoding;
	struct slice word;

	skip_comments(c);
	word = get_until(c, ";");
	if (word.n == 0)
		return;
	if (is_word(word, "base64"))
		encoding = MIME_BASE64;
	else if (is_word(word, "quoted-printable"))
		encoding = MIME_QUOTED_PRINTABLE;
	else if (is_word(word, "7bit") || is_word(word, "8bit") || is_word(word, "binary"))
		encoding = MIME_PLAIN;
	else
		encoding = MIME_UNKNOWN;
	if (part->has_encoding && part->encoding != encoding)
		encoding = MIME_UNKNOWN;
	part->has_encoding = true;
	part->encoding = encoding;
}

static void
take_disposition(struct mime_part *part, struct cursor *c)
{
	struct parameter name = { .name = "filename" };
	struct slice word;

	skip_comments(c);
	word = get_until(c, ";=\"");
	/* Unknown dispositions are attachments (RFC 2183, 2.8). */
	if (word.n != 0 && !is_word(word, "inline"))
		part->is_attachment = true;
	take_parameters(c, &name, NULL);
	set_name(part, &name, true);
}

void
mime_part_init(struct mime_part *p, bool in_digest)
{
	*p = (struct mime_part){ .type = in_digest ? MIME_MESSAGE : MIME_TEXT };
}

enum mime_field
mime_field_find(const uint8_t *name, size_t n)
{
	struct slice s = { .p = name, .n = n };

	if (is_word(s, "Content-Type"))
		return MIME_FIELD_TYPE;
	if (is_word(s, "Content-Transfer-Encoding"))
		return MIME_FIELD_ENCODING;
	return is_word(s, "Content-Disposition") ? MIME_FIELD_DISPOSITION : MIME_FIELD_OTHER;
}

void
mime_part_take(struct mime_part *p, enum mime_field field, const uint8_t *value, size_t n, bool cut)
{
	struct cursor c = { .p = value, .n = n };

	switch (field) {
	case MIME_FIELD_TYPE:
		take_type(p, &c);
		break;
	case MIME_FIELD_ENCODING:
		take_encoding(p, &c);
		break;
	case MIME_FIELD_DISPOSITION:
		take_disposition(p, &c);
		break;
	case MIME_FIELD_NONE:
	case MIME_FIELD_OTHER:
		return;
	}
	/* A name may stand where it was not read. */
	if (cut && field != MIME_FIELD_ENCODING)
		p->is_attachment = true;
	if (cut && field == MIME_FIELD_ENCODING)
		p->encoding = MIME_UNKNOWN;
}
