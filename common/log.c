/*
 * Log lines: an event each, key=value, foreign values escaped. Runs in every program but workers.
 * Invariant: a line is one write(2), and no foreign octet can end it or start a field.
 */
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "str.h"

#define LINE_MAX_OCTETS 4096
#define VALUE_MAX_OCTETS 512

static const char *program = "postern";
static enum log_level lowest_level = LOG_LEVEL_INFO;

static const char *const levels[] = {
	[LOG_LEVEL_ALARM] = "alarm", [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug",
};

struct line {
	char	text[LINE_MAX_OCTETS];
	size_t	len;
};

void
log_open(const char *name, enum log_level lowest)
{
	program = name;
	lowest_level = lowest;
	/* Else the first line's gmtime_r(3) would look for /etc/localtime, perhaps from inside a sandbox. */
	tzset();
}

static void
put(struct line *l, const char *s, size_t n)
{
	/* One octet stays free for the line's end. */
	if (n > sizeof(l->text) - 1 - l->len)
		n = sizeof(l->text) - 1 - l->len;
	memcpy(l->text + l->len, s, n);
	l->len += n;
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

static void
put_quoted(struct line *l, const char *s)
{
	put(l, "\"", 1);
	for (size_t i = 0; s[i] != 0 && i < VALUE_MAX_OCTETS; i++) {
		unsigned char c = (unsigned char)s[i];
		char escape[5];

		if (c == '"' || c == '\\')
			snprintf(escape, sizeof(escape), "\\%c", c);
		else if (c < ' ' || c >= 0x7f)
			snprintf(escape, sizeof(escape), "\\x%02x", c);
		else
			snprintf(escape, sizeof(escape), "%c", c);
		put(l, escape, strlen(escape));
	}
	put(l, "\"", 1);
}

static void
put_pair(struct line *l, const char *key, const char *value)
{
	if (l->len != 0)
		put(l, " ", 1);
	put(l, key, strlen(key));
	put(l, "=", 1);
	if (is_plain(value) && strlen(value) <= VALUE_MAX_OCTETS)
		put(l, value, strlen(value));
	else
		put_quoted(l, value);
}

void
log_event(enum log_level level, uint64_t session, const char *event, ...)
{
	struct line l = { .len = 0 };
	char text[32];
	const char *key;
	va_list ap;
	ssize_t n;

	if (level > lowest_level)
		return;
	if (session != 0)
		put_pair(&l, "session", str_put_hex64(text, session));
	put_pair(&l, "time", str_put_time(text, io_now_us()));
	put_pair(&l, "level", levels[level]);
	put_pair(&l, "program", program);
	put_pair(&l, "event", event);
	va_start(ap, event);
	while ((key = va_arg(ap, const char *)) != NULL) {
		const char *value = va_arg(ap, const char *);

		if (value != NULL)
			put_pair(&l, key, value);
	}
	va_end(ap);
	l.text[l.len++] = '\n';
	n = write(STDERR_FILENO, l.text, l.len);
	(void)n;
}

void
log_fatal(int code, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s: %s\n", program, text);
	exit(code);
}
