/*
 * The dot machine: cases at every cut, with little room, and every look-alike of an end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "body.h"
#include "line.h"

struct body_case {
	const char	*in;
	size_t		 n;
	bool		 ends;
	const char	*out;		/* the message */
	size_t		 out_n;
	unsigned	 faults;
	size_t		 rest;		/* octets behind the end */
};

#define T(s) s, sizeof(s) - 1
#define BAD BODY_FAULT_OCTETS

static const struct body_case cases[] = {
	{ T(".\r\n"), true, T(""), 0, 0 },
	{ T("a\r\n.\r\n"), true, T("a\r\n"), 0, 0 },
	{ T("\r\n.\r\n"), true, T("\r\n"), 0, 0 },
	{ T("a\r\n..\r\n.\r\n"), true, T("a\r\n.\r\n"), 0, 0 },
	{ T("..a\r\n...\r\n.\r\n"), true, T(".a\r\n..\r\n"), 0, 0 },
	{ T(".a\r\n.\r\n"), true, T("a\r\n"), 0, 0 },
	{ T("a.\r\n.\r\n"), true, T("a.\r\n"), 0, 0 },
	{ T("a\r\n.\r\nQUIT\r\n"), true, T("a\r\n"), 0, 6 },
	{ T("a\r\nb\r\n\r\nc\r\n.\r\n"), true, T("a\r\nb\r\n\r\nc\r\n"), 0, 0 },
	{ T("a\r\n."), false, T("a\r\n"), 0, 0 },
	{ T("a\r\n.\r"), false, T("a\r\n"), 0, 0 },
	{ T("a\n.\n"), false, T("a\n.\n"), BAD, 0 },
	{ T("a\n.\r\n"), false, T("a\n.\r\n"), BAD, 0 },
	{ T("a\r\n.\n"), false, T("a\r\n\n"), BAD, 0 },
	{ T("a\r.\r\n"), false, T("a\r.\r\n"), BAD, 0 },
	{ T("a\r\n.\r\r\n.\r\n"), true, T("a\r\n\r\r\n"), BAD, 0 },
	{ T("a\r\r\n.\r\n"), true, T("a\r\r\n"), BAD, 0 },
	{ T("a\n\r\n.\r\n"), true, T("a\n\r\n"), BAD, 0 },
	{ T("a\r\n\n.\r\n"), false, T("a\r\n\n.\r\n"), BAD, 0 },
	{ T("a\0b\r\n.\r\n"), true, T("a\0b\r\n"), BAD, 0 },
	{ T("\0\r\n.\r\n"), true, T("\0\r\n"), BAD, 0 },
	{ T("\n.\r\n.\r\n"), true, T("\n.\r\n"), BAD, 0 },
};

/* Feeds a case in pieces of `piece` octets with room for `room` octets at a time. */
static void
feed(const struct body_case *c, size_t piece, size_t room)
{
	uint8_t out[128], small[128];
	size_t fed = 0, out_len = 0;
	bool ended = false;
	struct body b;

	body_init(&b, false);
	while (fed < c->n && !ended) {
		size_t n = c->n - fed < piece ? c->n - fed : piece, used = 0;

		while (used < n && !ended) {
			size_t put = 0;

			ended = body_read(&b, (const uint8_t *)c->in + fed, n, &used, small, room, &put);
			assert_true(out_len + put <= sizeof(out));
			memcpy(out + out_len, small, put);
			out_len += put;
		}
		fed += used;
	}
	assert_int_equal(ended, c->ends);
	if (ended)
		assert_int_equal(c->n - fed, c->rest);
	assert_int_equal(b.faults, c->faults);
	/* At an end that did not come the machine may hold back a dot or CR. */
	if (ended) {
		assert_int_equal(out_len, c->out_n);
		assert_int_equal(b.size, c->out_n);
	}
	assert_true(out_len <= c->out_n);
	assert_memory_equal(out, c->out, out_len);
}

static void
every_cut_gives_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t piece = 1; piece <= cases[i].n; piece++)
			for (size_t room = 2; room <= 8; room++)
				feed(&cases[i], piece, room);
}

static void
long_lines(void **state)
{
	size_t n = BODY_LINE_MAX + 8;
	uint8_t *in = malloc(n), *out = malloc(n);

	(void)state;
	assert_non_null(in);
	assert_non_null(out);
	for (size_t extra = 0; extra < 2; extra++) {
		size_t len = BODY_LINE_MAX + extra, used = 0, put = 0;
		struct body b;

		memset(in, 'x', len);
		memcpy(in + len, "\r\n.\r\n", 5);
		body_init(&b, false);
		assert_true(body_read(&b, in, len + 5, &used, out, n, &put));
		assert_int_equal(b.faults, extra == 0 ? 0 : BODY_FAULT_LINE);
		assert_int_equal(b.size, len + 2);
	}
	free(in);
	free(out);
}

/* What comes by BDAT: the same faults, whatever the cut. */
static void
taken_octets(void **state)
{
	static const struct { const char *in; size_t n; unsigned faults; } chunks[] = {
		{ T(""), 0 }, { T("a"), 0 }, { T("\r\n"), 0 }, { T("a\r\nb\r\n"), 0 }, { T(".\r\n..\r\n\r\n.\r\nx"), 0 },
		{ T("\n"), BAD }, { T("a\n"), BAD }, { T("\r"), BAD }, { T("a\rb\r\n"), BAD }, { T("a\r\r\n"), BAD },
		{ T("a\r\n\n"), BAD }, { T("a\0\r\n"), BAD }, { T("\0"), BAD }, { T("a\r\n\r"), BAD }, { T("\r\r\n"), BAD },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		for (size_t piece = 1; piece <= chunks[i].n + 1; piece++) {
			struct body b;

			body_init(&b, false);
			for (size_t at = 0; at < chunks[i].n; at += piece)
				body_take(&b, (const uint8_t *)chunks[i].in + at, chunks[i].n - at < piece ? chunks[i].n - at : piece);
			body_take_end(&b);
			if (b.faults != chunks[i].faults)
				fail_msg("case %zu in pieces of %zu: %u", i, piece, b.faults);
			assert_int_equal(b.size, chunks[i].n);
		}
	}
}

/* An old device: bare LF passes, is still no end of data, and all other faults stay faults. */
static void
device_line_feeds(void **state)
{
	static const struct body_case passes[] = {
		{ T("a\nb\r\n.\r\n"), true, T("a\nb\r\n"), 0, 0 }, { T("a\n.\n\r\n.\r\n"), true, T("a\n.\n\r\n"), 0, 0 },
		{ T("\n\r\n.\r\n"), true, T("\n\r\n"), 0, 0 }, { T("a\r\n.\n\r\n.\r\n"), true, T("a\r\n\n\r\n"), 0, 0 },
		{ T("a\rb\n\r\n.\r\n"), true, T("a\rb\n\r\n"), BAD, 0 }, { T("\0\n\r\n.\r\n"), true, T("\0\n\r\n"), BAD, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
		uint8_t out[64];
		size_t used = 0, put = 0;
		struct body b;

		body_init(&b, true);
		assert_true(body_read(&b, (const uint8_t *)passes[i].in, passes[i].n, &used, out, sizeof(out), &put));
		assert_int_equal(b.faults, passes[i].faults);
		assert_int_equal(put, passes[i].out_n);
		assert_memory_equal(out, passes[i].out, put);
		body_init(&b, true);
		body_take(&b, (const uint8_t *)passes[i].out, passes[i].out_n);
		body_take_end(&b);
		assert_int_equal(b.faults, passes[i].faults);
	}
}

static void
lines_are_found(void **state)
{
	static const struct { const char *in; size_t n; bool found; size_t len, used; } lines[] = {
		{ T(""), false, 0, 0 }, { T("abc"), false, 0, 0 }, { T("abc\r"), false, 0, 0 },
		{ T("abc\r\n"), true, 3, 5 }, { T("abc\n"), true, 3, 4 }, { T("\r\n"), true, 0, 2 }, { T("\n"), true, 0, 1 },
		{ T("a\rb\r\nc\r\n"), true, 3, 5 }, { T("a\r\r\n"), true, 2, 4 }, { T("a\0b\r\n"), true, 3, 5 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		size_t len = 0, used = 0;

		assert_int_equal(line_find((const uint8_t *)lines[i].in, lines[i].n, &len, &used), lines[i].found);
		assert_int_equal(len, lines[i].len);
		assert_int_equal(used, lines[i].used);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut_gives_the_same), cmocka_unit_test(long_lines), cmocka_unit_test(taken_octets), cmocka_unit_test(device_line_feeds), cmocka_unit_test(lines_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
