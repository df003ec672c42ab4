/*
 * JSON (RFC 8259) by hand: one object a line, "v":1 first. Runs in smtpadm. Whatever octets a value holds, the
 * line is valid: what is no UTF-8 becomes U+FFFD.
 */
#include "out.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "mem.h"
#include "str.h"

#define JSON_MAX (64 * 1024 * 1024)	/* octets of one line; a message's recipients are far fewer */

static void
put(struct json *j, const char *text, size_t n)
{
	if (buf_put(&j->buf, text, n) != ERR_OK) {
		fputs("smtpadm: out of memory\n", stderr);
		exit(71);
	}
}

/* The number of a character of up to three octets of UTF-8. */
static unsigned
code_of(const unsigned char *c, size_t n)
{
	return n == 1 ? c[0] : n == 2 ? (c[0] & 0x1fU) << 6 | (c[1] & 0x3fU) : (c[0] & 0x0fU) << 12 | (c[1] & 0x3fU) << 6 | (c[2] & 0x3fU);
}

/* What a terminal obeys is escaped beyond what JSON asks for: its lines are looked at by people, too. */
static void
put_text(struct json *j, const char *text)
{
	put(j, "\"", 1);
	while (*text != 0) {
		size_t n = 1, most = strnlen(text, 4);
		char escape[8];

		while (n <= most && !str_is_utf8(text, n))
			n++;
		if (n > most) {
			put(j, "\\ufffd", 6);
			n = 1;
		} else if (*text == '"' || *text == '\\') {
			escape[0] = '\\';
			escape[1] = *text;
			put(j, escape, 2);
		} else if (out_is_control(text, n)) {
			snprintf(escape, sizeof(escape), "\\u%04x", code_of((const unsigned char *)text, n));
			put(j, escape, 6);
		} else {
			put(j, text, n);
		}
		text += n;
	}
	put(j, "\"", 1);
}

static void
put_name(struct json *j, const char *name)
{
	if (j->comma)
		put(j, ",", 1);
	j->comma = true;
	if (name != NULL) {
		put_text(j, name);
		put(j, ":", 1);
	}
}

void
json_begin(struct json *j)
{
	buf_init(&j->buf, JSON_MAX);
	j->comma = true;
	put(j, "{\"v\":1", 6);
}

void
json_put_str(struct json *j, const char *name, const char *value)
{
	put_name(j, name);
	if (value == NULL)
		put(j, "null", 4);
	else
		put_text(j, value);
}

void
json_put_u64(struct json *j, const char *name, uint64_t value)
{
	char text[24];

	put_name(j, name);
	str_put_u64(text, value);
	put(j, text, strlen(text));
}

void
json_put_bool(struct json *j, const char *name, bool value)
{
	put_name(j, name);
	put(j, value ? "true" : "false", value ? 4 : 5);
}

void
json_open(struct json *j, const char *name, char bracket)
{
	put_name(j, name);
	put(j, &bracket, 1);
	j->comma = false;
}

void
json_close(struct json *j, char bracket)
{
	put(j, &bracket, 1);
	j->comma = true;
}

void
json_end(struct json *j, FILE *to)
{
	put(j, "}\n", 2);
	fwrite(j->buf.data, 1, j->buf.len, to);
	buf_wipe(&j->buf);
}
