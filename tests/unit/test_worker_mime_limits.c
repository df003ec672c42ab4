/*
 * MIME's limits, one below, at and above; messages made to cost much; and that the work grows as the message does.
 */
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#include "mime.h"

static struct mime m;

/* A message that is built as it is fed, in pieces of an odd size, so that it is never whole anywhere. */
#define PIECE 4093
static uint8_t piece[PIECE];
static size_t waiting;

static void
begin(uint64_t limit)
{
	mime_init(&m, limit);
	waiting = 0;
}

static void
put(const char *text, size_t n)
{
	while (n != 0) {
		size_t len = n < PIECE - waiting ? n : PIECE - waiting;

		memcpy(piece + waiting, text, len);
		waiting += len;
		text += len;
		n -= len;
		if (waiting == PIECE) {
			mime_feed(&m, piece, waiting);
			waiting = 0;
		}
	}
}

static void
say(const char *text)
{
	put(text, strlen(text));
}

static void
repeat(const char *text, size_t times)
{
	for (size_t i = 0; i < times; i++)
		say(text);
}

static enum mime_verdict
end(void)
{
	mime_feed(&m, piece, waiting);
	return mime_end(&m);
}

static void
attachment_limit(void **state)
{
	static const struct { const char *encoding; const char *unit; size_t octets; } rows[] = {
		{ "7bit", "x", 1 }, { "8bit", "\xe4", 1 }, { "binary", "x", 1 }, { "x-unknown", "x", 1 },
		{ "Base64", "QUJD", 3 }, { "base64", "QU\r\nJD \r\n", 3 }, { "quoted-printable", "=41", 1 },
		{ "Quoted-Printable", "a=\r\n", 1 },
	};
	const size_t limit = 4 * 1024 * 3;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t over = 0; over < 3; over++) {
			begin(limit + 1 - over);
			say("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/x\r\n"
			    "Content-Transfer-Encoding: ");
			say(rows[i].encoding);
			say("\r\n\r\n");
			repeat(rows[i].unit, limit / rows[i].octets);
			say("\r\n--b--\r\n");
			check_row(i, end() == (over < 2 ? MIME_OK : MIME_ATTACHMENT_TOO_BIG));
		}
		check_row(i, strcmp(m.name, "part 1") == 0);
	}
}

/* `depth` containers around a leaf; a message/rfc822 at each multiple of `message`. */
static void
put_nested(size_t depth, size_t message)
{
	char text[128];

	for (size_t i = 0; i < depth; i++) {
		if (i % message == message - 1) {
			say("Content-Type: message/rfc822\r\n\r\n");
			continue;
		}
		snprintf(text, sizeof(text), "Content-Type: multipart/mixed; boundary=\"b%zu\"\r\n\r\n--b%zu\r\n", i,
		    i);
		say(text);
	}
	say("Content-Type: application/x\r\n\r\nabc\r\n");
}

static void
depth_limit(void **state)
{
	static const size_t kinds[] = { SIZE_MAX, 1, 2, 7 };

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		for (size_t depth = MIME_DEPTH_MAX - 1; depth <= MIME_DEPTH_MAX + 1; depth++) {
			begin(3);
			put_nested(depth, kinds[i]);
			if (depth > MIME_DEPTH_MAX) {
				check_row(i, end() == MIME_MALFORMED);
				assert_string_equal(m.reason, "its parts are nested over 100 deep");
			} else {
				check_row(i, end() == MIME_ATTACHMENT_TOO_BIG);
			}
		}
	}
	/* The number of such a part does not fit a name whole. */
	begin(3);
	put_nested(MIME_DEPTH_MAX, SIZE_MAX);
	end();
	assert_int_equal(strlen(m.name), MIME_NAME_MAX - 1);
	assert_memory_equal(m.name, "part 1.1.1.1.", 13);
	begin(3);
	put_nested(100000, 3);
	assert_int_equal(end(), MIME_MALFORMED);
}

/* A header of n octets without its blank line, in lines or in one. */
static void
put_header(size_t n, bool one_line)
{
	size_t len = one_line ? n : 64;

	for (; n != 0; n -= len) {
		if (n < 2 * len)
			len = n;
		say("X-Y: ");
		repeat("z", len - 7);
		say("\r\n");
	}
}

static void
header_limit(void **state)
{
	(void)state;
	for (int one_line = 0; one_line < 2; one_line++) {
		for (size_t n = MIME_HEADER_MAX - 1; n <= MIME_HEADER_MAX + 1; n++) {
			enum mime_verdict expected = n <= MIME_HEADER_MAX ? MIME_OK : MIME_MALFORMED;

			begin(0);
			put_header(n, one_line == 1);
			say("\r\ntext\r\n");
			assert_int_equal(end(), expected);
			/* A part's, whether a blank line, a delimiter or nothing follows it. */
			for (int behind = 0; behind < 3; behind++) {
				begin(0);
				say("Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\nX: y\r\n\r\n--b\r\n");
				put_header(n, one_line == 1);
				say(behind == 0 ? "\r\n--b--\r\n" : behind == 1 ? "--b--\r\n" : "");
				assert_int_equal(end(), expected);
			}
		}
	}
	assert_string_equal(m.reason, "a header is over 256 KiB long");
}

static void
boundary_limit(void **state)
{
	(void)state;
	for (size_t n = 69; n <= MIME_BOUNDARY_MAX + 1; n++) {
		begin(0);
		say("Content-Type: multipart/x; boundary=\"");
		repeat("b", n);
		say("\"\r\n\r\n--");
		repeat("b", n);
		say("\r\nContent-Type: image/png\r\n\r\n\r\n--");
		repeat("b", n);
		say("--\r\n");
		if (n <= MIME_BOUNDARY_MAX) {
			assert_int_equal(end(), MIME_OK);
			assert_int_equal(m.attachments, 1);
			continue;
		}
		assert_int_equal(end(), MIME_MALFORMED);
		assert_string_equal(m.reason, "a boundary is over 250 octets long");
	}
}

#define BIN "Content-Type: application/x\r\n"

/* Around the length at which a line is judged before its end, and far beyond. */
static const size_t paddings[] = { 1, 990, 991, 992, 993, 994, 995, 996, 997, 998, 999, 1000, 2000, 4093, 100000 };

/* White space behind a delimiter, however much (RFC 2046, 5.1.1): a mail program that reads on finds the part behind it. */
static void
padded_delimiters(void **state)
{
	static const char *const ends[] = { "\r\n", "\n", "\t \r\n" };

	(void)state;
	for (size_t i = 0; i < COUNT(paddings); i++) {
		for (size_t j = 0; j < COUNT(ends); j++) {
			/* Behind a preamble, a text, an attachment, a header without a body. */
			begin(UINT64_MAX);
			say("Content-Type: multipart/x; boundary=b\r\n\r\npreamble\r\n--b");
			repeat(" ", paddings[i]);
			say(ends[j]);
			say("\r\ntext\r\n--b");
			repeat("\t", paddings[i]);
			say(ends[j]);
			say(BIN "\r\n333\r\n--b");
			repeat(" \t", paddings[i]);
			say(ends[j]);
			say(BIN "--b");
			repeat(" ", paddings[i]);
			say(ends[j]);
			say(BIN "\r\n55555\r\n--b--");
			repeat(" ", paddings[i]);
			say(ends[j]);
			say("epilogue\r\n");
			check_row(i, end() == MIME_OK);
			check_row(i, m.attachments == 3);
			check_row(i, m.total == 8);
		}
		/* As the body's first line, right behind the field that names it; and as the message's last, without an end. */
		begin(UINT64_MAX);
		say("Content-Type: multipart/x; boundary=b\r\n--b");
		repeat(" ", paddings[i]);
		say("\r\n" BIN "\r\n333\r\n--b--");
		repeat(" ", paddings[i]);
		check_row(i, end() == MIME_OK);
		check_row(i, m.attachments == 1 && m.total == 3);
		/* The padding is no part's: an attachment of exactly the limit passes. */
		begin(3);
		say("Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\n" BIN "\r\n333\r\n--b--");
		repeat(" ", paddings[i]);
		say("\r\n");
		check_row(i, end() == MIME_OK);
	}
}

/* Something else behind the white space: no delimiter, and nothing of the line is lost. */
static void
padded_lines(void **state)
{
	static const struct { const char *encoding; bool counts_blanks; size_t rest; } rows[] = {
		{ "8bit", true, 4 + 2 }, { "quoted-printable", true, 4 + 2 }, { "base64", false, 3 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t j = 0; j < COUNT(paddings); j++) {
			begin(UINT64_MAX);
			say("Content-Type: multipart/x; boundary=QUJD\r\n\r\n--QUJD\r\n" BIN "Content-Transfer-Encoding: ");
			say(rows[i].encoding);
			say("\r\n\r\n--QUJD");
			repeat(" ", paddings[j]);
			say("QUJD\r\n\r\n--QUJD--\r\n");
			check_row(i, end() == MIME_OK);
			check_row(j, m.attachments == 1);
			check_row(j, m.total == (rows[i].counts_blanks ? 6 + paddings[j] + rows[i].rest : 6));
		}
	}
	for (size_t j = 0; j < COUNT(paddings); j++) {
		/* In a header: the line is the body's first. */
		begin(UINT64_MAX);
		say("Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\n" BIN "--b");
		repeat(" ", paddings[j]);
		say("x\r\n\r\n--b--\r\n");
		check_row(j, end() == MIME_OK);
		check_row(j, m.attachments == 1 && m.total == 3 + paddings[j] + 3);
		/* A field with such a name, as before. */
		begin(UINT64_MAX);
		say("Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\n" BIN "--b");
		repeat(" ", paddings[j]);
		say(": y\r\n\r\n333\r\n--b--\r\n");
		check_row(j, end() == (3 + paddings[j] < MIME_LINE_MAX ? MIME_OK : MIME_MALFORMED));
	}
}

static void
long_names_of_fields(void **state)
{
	static const struct { const char *behind; enum mime_verdict below, above; } rows[] = {
		{ ": x\r\n", MIME_OK, MIME_MALFORMED }, { " \t: x\r\n", MIME_OK, MIME_MALFORMED },
		{ "\r\n: x\r\n", MIME_OK, MIME_OK }, { " x: x\r\n", MIME_OK, MIME_OK }, { "", MIME_OK, MIME_OK },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t n = MIME_LINE_MAX - 4; n <= 3 * MIME_LINE_MAX; n++) {
			if (n > MIME_LINE_MAX - 3 && n < MIME_LINE_MAX)
				continue;
			begin(UINT64_MAX);
			repeat("n", n);
			say(rows[i].behind);
			check_row(i, end() == (n < MIME_LINE_MAX ? rows[i].below : rows[i].above));
		}
	}
	/* Such a line counts as the body's first. */
	begin(UINT64_MAX);
	say("Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n");
	repeat("QUJD", 1000);
	assert_int_equal(end(), MIME_OK);
	assert_int_equal(m.total, 3000);
}

static void
long_values(void **state)
{
	(void)state;
	for (size_t n = MIME_FIELD_MAX - 4; n <= MIME_FIELD_MAX + 1; n++) {
		begin(UINT64_MAX);
		say("Content-Type:text");
		for (size_t i = 4; i < n; i += 2)
			say(i + 1 < n ? "\r\n ;" : " ");
		say("\r\n\r\nabc\r\n");
		assert_int_equal(end(), MIME_OK);
		assert_int_equal(m.attachments, n > MIME_FIELD_MAX);
	}
}

/* Each row: what a message of n units is; its work for 4n must be about four times that for n. */
static const struct {
	const char	*begin, *unit, *end;
	size_t		 units;
	bool		 is_deep;	/* behind 100 multiparts */
} bombs[] = {
	{ "Content-Type: multipart/x; boundary=b\r\n\r\n", "--b\r\n\r\n", "--b--\r\n", 25000, false },
	{ "Content-Type: multipart/x; boundary=b\r\n\r\n", "--b\r\n", "--b--\r\n", 25000, false },
	{ "Content-Type: multipart/x; boundary=b\r\n\r\n", "--b\r\nContent-Type:x/y;name=n\r\n\r\n", "--b--\r\n", 10000,
	    false },
	{ "", "--b1\r\n", "", 25000, true },
	{ "", "--\r\n", "", 25000, true },
	{ "", "--b", "", 50000, true },
	{ "", "-", "", 100000, true },
	{ "", "-\r\n", "", 50000, true },
	{ "", "--b99\r\n", "", 25000, true },
	{ "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\n", "--b \t \r", "", 25000, false },
	{ "", "X:\r\n", "", 10000, false },
	{ "X:", "x", "", 50000, false },
	{ "X:", "\r\n y", "", 10000, false },
	{ "", "x", "", 100000, false },
	{ "", "Content-Type:x/y;name=n\r\n", "", 2000, false },
	{ "Content-Type:x/y", ";name*0=n;name*1=m", "\r\n", 2000, false },
	{ "Content-Disposition:x;filename=\"", "=?a?Q?", "\"\r\n", 5000, false },
	{ "Content-Type:x/y", "(", "\r\n", 10000, false },
	{ "Content-Type:x/y\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", "=", "\r\n", 100000, false },
	{ "Content-Type:x/y\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", " ", "\r\n", 100000, false },
	{ "Content-Type:x/y\r\nContent-Transfer-Encoding: base64\r\n\r\n", "=", "\r\n", 100000, false },
};

static uint64_t
explode(size_t row, size_t times)
{
	begin(UINT64_MAX);
	if (bombs[row].is_deep)
		put_nested(MIME_DEPTH_MAX, SIZE_MAX);
	say(bombs[row].begin);
	repeat(bombs[row].unit, bombs[row].units * times);
	say(bombs[row].end);
	check_row(row, end() == MIME_OK);
	return m.steps;
}

static void
work_is_linear(void **state)
{
	(void)state;
	for (size_t row = 0; row < COUNT(bombs); row++) {
		size_t size = bombs[row].units * strlen(bombs[row].unit) * 4;
		uint64_t one = explode(row, 1), four = explode(row, 4);

		check_row(row, four <= 4 * one + 1000);
		/* Each octet is looked at a few times; a line that may be a delimiter meets each boundary once. */
		check_row(row, four <= size * (bombs[row].is_deep ? 30 : 4) + 100000);
	}
}

static void
empty_parts_by_the_hundred_thousand(void **state)
{
	(void)state;
	begin(0);
	say("Content-Type: multipart/x; boundary=b\r\n\r\n");
	repeat("--b\r\nContent-Type: image/png\r\n\r\n", 100000);
	say("\r\nx\r\n--b--\r\n");
	assert_int_equal(end(), MIME_ATTACHMENT_TOO_BIG);
	assert_string_equal(m.name, "part 100000");
}

/* The verdict stays, and what comes behind it is not looked at. */
static void
endless_messages_are_cut_short(void **state)
{
	uint64_t steps;

	(void)state;
	begin(1000);
	say("Content-Type: image/png\r\n\r\n");
	repeat("x", 10000);
	steps = m.steps;
	repeat("x", 10000);
	assert_int_equal(m.steps, steps);
	assert_int_equal(end(), MIME_ATTACHMENT_TOO_BIG);
	begin(1000);
	repeat("X: y\r\n", MIME_HEADER_MAX / 6 + 1000);
	steps = m.steps;
	repeat("X: y\r\n", 10000);
	assert_int_equal(m.steps, steps);
	assert_int_equal(end(), MIME_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attachment_limit), cmocka_unit_test(depth_limit), cmocka_unit_test(header_limit),
		cmocka_unit_test(boundary_limit), cmocka_unit_test(padded_delimiters), cmocka_unit_test(padded_lines),
		cmocka_unit_test(long_names_of_fields), cmocka_unit_test(long_values),
		cmocka_unit_test(work_is_linear), cmocka_unit_test(empty_parts_by_the_hundred_thousand),
		cmocka_unit_test(endless_messages_are_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
