/*
 * What smtpadm says: messages and errors on standard error, in words or as JSON. Runs with the admin's rights; no
 * foreign octet reaches a terminal as a control character.
 */
#include "out.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "mem.h"
#include "str.h"

static struct out_style style;
static char fix[1024], program[5000];

void
out_open(const struct out_style *s)
{
	style = *s;
	if (s->root[0] != 0)
		snprintf(program, sizeof(program), "smtpadm --root %s ", s->root);
	else
		snprintf(program, sizeof(program), "smtpadm ");
}

bool
out_is_json(void)
{
	return style.json;
}

const char *
out_program(void)
{
	return program;
}

/* The octets of the first UTF-8 sequence, or 0 when it is broken. */
static size_t
sequence(const char *text)
{
	size_t n = strnlen(text, 4);

	for (size_t i = 1; i <= n; i++)
		if (str_is_utf8(text, i))
			return i;
	return 0;
}

char *
out_clean(char *to, size_t size, const char *text)
{
	size_t used = 0;

	while (*text != 0) {
		size_t n = sequence(text);
		/* C0, DEL, and C1, which is C2 80 to C2 9F. */
		bool control = (unsigned char)text[0] < 0x20 || text[0] == 0x7f ||
		    (n == 2 && (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] < 0xa0);

		if (used + (n != 0 ? n : 1) >= size)
			break;
		if (n == 0 || control)
			to[used++] = '?';
		else
			memcpy(to + used, text, n);
		used += n != 0 && !control ? n : 0;
		text += n != 0 ? n : 1;
	}
	to[used] = 0;
	return to;
}

void
out_print(const char *fmt, ...)
{
	char text[8192], clean[8192];
	char *line = text, *end;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	while ((end = strchr(line, '\n')) != NULL) {
		*end = 0;
		printf("%s\n", out_clean(clean, sizeof(clean), line));
		line = end + 1;
	}
	fputs(out_clean(clean, sizeof(clean), line), stdout);
}

/* Each command names the instance that this one was about: it can be typed as it stands. */
void
out_fix(const char *fmt, ...)
{
	static const char word[] = "smtpadm ";
	char text[sizeof(fix)];
	const char *p = text, *at;
	size_t n = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	while (style.root != NULL && style.root[0] != 0 && (at = strstr(p, word)) != NULL && n < sizeof(fix)) {
		n += (size_t)snprintf(fix + n, sizeof(fix) - n, "%.*ssmtpadm --root %.400s ", (int)(at - p), p, style.root);
		p = at + sizeof(word) - 1;
	}
	if (n < sizeof(fix))
		snprintf(fix + n, sizeof(fix) - n, "%s", p);
}

int
out_fail(int code, const char *name, const char *fmt, ...)
{
	char text[4096], clean[4096], clean_fix[sizeof(fix)];
	struct json j;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fflush(stdout);
	if (style.json) {
		json_begin(&j);
		json_open(&j, "error", '{');
		json_put_u64(&j, "code", (uint64_t)code);
		json_put_str(&j, "name", name);
		json_put_str(&j, "message", text);
		json_put_str(&j, "fix", fix[0] != 0 ? fix : NULL);
		json_close(&j, '}');
		json_end(&j, stderr);
	} else {
		fprintf(stderr, "smtpadm: %s%s%s\n", out_clean(clean, sizeof(clean), text),
		    fix[0] != 0 ? "\n  try: " : "", out_clean(clean_fix, sizeof(clean_fix), fix));
	}
	fix[0] = 0;
	return code;
}

void
out_say(const char *fmt, ...)
{
	char text[4096], clean[4096];
	va_list ap;

	if (style.json || style.quiet)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fflush(stdout);
	fprintf(stderr, "smtpadm: %s\n", out_clean(clean, sizeof(clean), text));
}

void
out_warn(const char *fmt, ...)
{
	char text[4096], clean[4096];
	struct json j;
	va_list ap;

	if (style.quiet)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fflush(stdout);
	if (style.json) {
		json_begin(&j);
		json_open(&j, "warning", '{');
		json_put_str(&j, "message", text);
		json_close(&j, '}');
		json_end(&j, stderr);
	} else {
		fprintf(stderr, "smtpadm: warning: %s\n", out_clean(clean, sizeof(clean), text));
	}
}

void
table_open(struct table *t, const struct table_column *columns, size_t ncolumns)
{
	*t = (struct table){ .columns = columns, .ncolumns = ncolumns };
}

void
table_add(struct table *t, const char *cell)
{
	size_t n = strlen(cell) + 1;
	char **cells;

	if (t->n == t->size) {
		t->size = t->size != 0 ? t->size * 2 : 64;
		cells = xcalloc(t->size, sizeof(*cells));
		if (t->n != 0)
			memcpy(cells, t->cells, t->n * sizeof(*cells));
		free(t->cells);
		t->cells = cells;
	}
	t->cells[t->n] = xmalloc(n);
	out_clean(t->cells[t->n++], n, cell);
}

/* Characters, not octets; wide ones count once. */
static size_t
width_of(const char *text)
{
	size_t n = 0;

	for (; *text != 0; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void
print_cell(const char *text, size_t width, bool right, bool last)
{
	size_t have = width_of(text), pad = have < width ? width - have : 0;

	if (right)
		printf("%*s", (int)pad, "");
	if (have > width) {
		size_t n = 0, seen = 0;

		while (text[n] != 0 && (((unsigned char)text[n] & 0xc0) == 0x80 || seen++ < width - 1))
			n++;
		printf("%.*s~", (int)n, text);
	} else {
		fputs(text, stdout);
	}
	if (!right && !last)
		printf("%*s", (int)pad, "");
	fputs(last ? "\n" : "  ", stdout);
}

static void
fit(const struct table *t, size_t *widths)
{
	for (;;) {
		size_t total = 2 * (t->ncolumns - 1), widest = t->ncolumns;

		for (size_t c = 0; c < t->ncolumns; c++) {
			total += widths[c];
			if (t->columns[c].least != 0 && widths[c] > t->columns[c].least &&
			    (widest == t->ncolumns || widths[c] >= widths[widest]))
				widest = c;
		}
		if (total <= 80 || widest == t->ncolumns)
			return;
		widths[widest]--;
	}
}

void
table_print(struct table *t)
{
	size_t widths[16];

	for (size_t c = 0; c < t->ncolumns; c++)
		widths[c] = strlen(t->columns[c].title);
	for (size_t i = 0; i < t->n; i++) {
		size_t w = width_of(t->cells[i]);

		if (w > widths[i % t->ncolumns])
			widths[i % t->ncolumns] = w;
	}
	if (!style.verbose)
		fit(t, widths);
	if (style.bold)
		fputs("\033[1m", stdout);
	for (size_t c = 0; t->n != 0 && c < t->ncolumns; c++)
		print_cell(t->columns[c].title, widths[c], t->columns[c].right, c + 1 == t->ncolumns);
	if (style.bold)
		fputs("\033[0m", stdout);
	for (size_t i = 0; i < t->n; i++) {
		size_t c = i % t->ncolumns;

		print_cell(t->cells[i], widths[c], t->columns[c].right, c + 1 == t->ncolumns);
		free(t->cells[i]);
	}
	free(t->cells);
}
