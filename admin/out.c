/*
 * What smtpadm says: messages and errors on standard error, in words or as JSON. Runs with the admin's rights; no
 * foreign octet reaches a terminal as a control character.
 */
#include "out.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "mem.h"
#include "str.h"

#define PRINT_MAX 8192		/* octets of one out_print() */
#define FORMAT_MAX 1024		/* and of its format */
#define COLUMN_MIN 4		/* characters of a column that may be cut */

static struct out_style style;
static char fix[1024], root[5000], program[5100];

/* For a shell: a word that it would take apart stands in quotes. */
static void
quote(char *to, size_t size, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";
	size_t n = 0;

	if (word[strspn(word, plain)] == 0) {
		snprintf(to, size, "%s", word);
		return;
	}
	to[n++] = '\'';
	for (; *word != 0 && n + 6 < size; word++)
		n += (size_t)snprintf(to + n, size - n, *word == '\'' ? "'\\'%c" : "%c", *word);
	to[n++] = '\'';
	to[n] = 0;
}

void
out_open(const struct out_style *s)
{
	style = *s;
	root[0] = 0;
	if (s->root[0] != 0) {
		memcpy(root, " --root ", 8);
		quote(root + 8, sizeof(root) - 8, s->root);
	}
	snprintf(program, sizeof(program), "smtpadm%s ", root);
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

const char *
out_root(void)
{
	return root;
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

bool
out_is_control(const char *text, size_t n)
{
	const unsigned char *c = (const unsigned char *)text;

	/* C0, DEL, and C1, which is C2 80 to C2 9F. */
	if (n < 3)
		return c[0] < 0x20 || c[0] == 0x7f || (n == 2 && c[0] == 0xc2 && c[1] < 0xa0);
	/* U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069: they turn the direction of what follows, or end its line. */
	return n == 3 && c[0] == 0xe2 && ((c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae))) ||
	    (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));
}

char *
out_clean(char *to, size_t size, const char *text)
{
	size_t used = 0;

	while (*text != 0) {
		size_t n = sequence(text);
		bool control = n != 0 && out_is_control(text, n);

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

/* The format with another octet for each line end. to holds FORMAT_MAX; returns to. */
static const char *mark(char *to, const char *fmt, char octet) __attribute__((format_arg(2)));

static const char *
mark(char *to, const char *fmt, char octet)
{
	size_t n = 0;

	for (; *fmt != 0 && n + 1 < FORMAT_MAX; fmt++)
		to[n++] = *fmt == '\n' ? octet : *fmt;
	to[n] = 0;
	return to;
}

/* A line ends where the format says so, and at no line end in a value: they are told apart by printing twice with different marks. */
void
out_print(const char *fmt, ...)
{
	char first[PRINT_MAX], second[PRINT_MAX], clean[PRINT_MAX], format[FORMAT_MAX];
	char *line = first;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(first, sizeof(first), mark(format, fmt, 1), ap);
	va_end(ap);
	va_start(ap, fmt);
	vsnprintf(second, sizeof(second), mark(format, fmt, 2), ap);
	va_end(ap);
	for (size_t i = 0; first[i] != 0; i++) {
		if (first[i] == second[i])
			continue;
		first[i] = 0;
		printf("%s\n", out_clean(clean, sizeof(clean), line));
		line = first + i + 1;
	}
	fputs(out_clean(clean, sizeof(clean), line), stdout);
}

void
out_octets(const char *p, size_t n)
{
	static int is_terminal = -1;
	static char last;

	if (is_terminal < 0)
		is_terminal = isatty(STDOUT_FILENO);
	if (is_terminal == 0) {
		fwrite(p, 1, n, stdout);
		return;
	}
	for (size_t i = 0; i < n; last = p[i++]) {
		unsigned char c = (unsigned char)p[i];
		bool is_control = (c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f || (c >= 0x80 && c < 0xa0 &&
		    (unsigned char)last == 0xc2);

		putchar(is_control ? '?' : c);
	}
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
	while (root[0] != 0 && strlen(root) < 400 && (at = strstr(p, word)) != NULL && n < sizeof(fix)) {
		n += (size_t)snprintf(fix + n, sizeof(fix) - n, "%.*s%s", (int)(at - p), p, program);
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

/* Takes from the widest columns that may be cut, down to what each asks for, or to `least`; true when the line has 80 then. */
static bool
fit(const struct table *t, size_t *widths, size_t least)
{
	for (;;) {
		size_t total = 2 * (t->ncolumns - 1), widest = t->ncolumns;

		for (size_t c = 0; c < t->ncolumns; c++) {
			total += widths[c];
			if (t->columns[c].least != 0 && widths[c] > (least != 0 ? least : t->columns[c].least) &&
			    (widest == t->ncolumns || widths[c] >= widths[widest]))
				widest = c;
		}
		if (total <= 80 || widest == t->ncolumns)
			return total <= 80;
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
	/* Whole times, say, leave less than the columns ask for. */
	if (!style.verbose && !fit(t, widths, 0))
		fit(t, widths, COLUMN_MIN);
	if (style.bold && t->n != 0)
		fputs("\033[1m", stdout);
	for (size_t c = 0; t->n != 0 && c < t->ncolumns; c++)
		print_cell(t->columns[c].title, widths[c], t->columns[c].right, c + 1 == t->ncolumns);
	if (style.bold && t->n != 0)
		fputs("\033[0m", stdout);
	for (size_t i = 0; i < t->n; i++) {
		size_t c = i % t->ncolumns;

		print_cell(t->cells[i], widths[c], t->columns[c].right, c + 1 == t->ncolumns);
		free(t->cells[i]);
	}
	free(t->cells);
}
