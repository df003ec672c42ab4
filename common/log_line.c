/*
 * The text of a log line: key=value (logfmt), or one JSON object. Pure. Runs in every program but workers. Invariant:
 * no foreign octet can end the line or start a field, and a JSON line is well-formed whatever the values hold.
 */
#include "log_line.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

#define VALUE_MAX_OCTETS 512

/* Two octets stay free for the line's end. False, and nothing is put, when there is no room for all of it. */
static bool
put(struct log_line *l, const char *s, size_t n)
{
	if (n > sizeof(l->text) - 2 - l->len)
		return false;
	memcpy(l->text + l->len, s, n);
	l->len += n;
	return true;
}

static bool
is_plain(const char *s)
{
	if (*s == 0)
		return false;
	for (; *s != 0; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f || *s == '"' || *s == '=' || *s == '\\')
			return false;
	return true;
}

static bool
put_quoted(struct log_line *l, const char *s)
{
	bool ok = put(l, "\"", 1);

	for (size_t i = 0; ok && s[i] != 0 && i < VALUE_MAX_OCTETS; i++) {
		unsigned char c = (unsigned char)s[i];
		char escape[5];

		if (c == '"' || c == '\\')
			snprintf(escape, sizeof(escape), "\\%c", c);
		else if (c < ' ' || c >= 0x7f)
			snprintf(escape, sizeof(escape), "\\x%02x", c);
		else
			snprintf(escape, sizeof(escape), "%c", c);
		ok = put(l, escape, strlen(escape));
	}
	return put(l, "\"", 1) && ok;
}

static bool
put_value(struct log_line *l, const char *s)
{
	return is_plain(s) && strlen(s) <= VALUE_MAX_OCTETS ? put(l, s, strlen(s)) : put_quoted(l, s);
}

/* Octets of the character at s, 0 when it is not well-formed UTF-8. */
static size_t
utf8_length(const char *s)
{
	unsigned char c = (unsigned char)s[0];
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	return strnlen(s, n) == n && str_is_utf8(s, n) ? n : 0;
}

/* RFC 8259, 7: what is no character becomes U+FFFD; controls, those above 127 too, are escaped. */
static bool
put_json(struct log_line *l, const char *s)
{
	bool ok = put(l, "\"", 1);

	for (size_t i = 0, n; ok && s[i] != 0 && i < VALUE_MAX_OCTETS; i += n != 0 ? n : 1) {
		unsigned char c = (unsigned char)s[i];
		char escape[8];

		n = utf8_length(s + i);
		if (n != 0 && i + n > VALUE_MAX_OCTETS)
			break;
		if (n == 0) {
			ok = put(l, "\\ufffd", 6);
		} else if (c == '"' || c == '\\') {
			ok = put(l, "\\", 1) && put(l, s + i, 1);
		} else if (c < ' ' || c == 0x7f || (c == 0xc2 && (unsigned char)s[i + 1] < 0xa0)) {
			/* U+0080 to U+009F have their number in the second octet. */
			snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char)s[i + n - 1]);
			ok = put(l, escape, 6);
		} else {
			ok = put(l, s + i, n);
		}
	}
	return ok && put(l, "\"", 1);
}

void
log_line_begin(struct log_line *l, enum log_format format)
{
	l->format = format;
	l->len = 0;
	if (format == LOG_FORMAT_JSON)
		put(l, "{", 1);
}

/* A pair that has no room is left out whole. */
void
log_line_put(struct log_line *l, const char *key, const char *value)
{
	size_t before = l->len;

	if (l->format == LOG_FORMAT_JSON) {
		if ((l->len > 1 && !put(l, ",", 1)) || !put_json(l, key) || !put(l, ":", 1) || !put_json(l, value))
			l->len = before;
		return;
	}
	if ((before != 0 && !put(l, " ", 1)) || !put(l, key, strlen(key)) || !put(l, "=", 1) || !put_value(l, value))
		l->len = before;
}

void
log_line_end(struct log_line *l)
{
	if (l->format == LOG_FORMAT_JSON)
		l->text[l->len++] = '}';
	l->text[l->len++] = '\n';
}
