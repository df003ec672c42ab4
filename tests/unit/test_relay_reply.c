/*
 * Replies of remote servers, and what they say they can: tables, each cut at every octet.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "capability.h"
#include "err.h"
#include "remote_reply.h"

struct row {
	const char	*text;
	size_t		 len;
	int		 err;
	uint16_t	 code;
	const char	*enhanced, *words;
	size_t		 left;		/* octets behind the reply */
};

static const struct row rows[] = {
	{ TEXT("250 ok\r\n"), ERR_OK, 250, "", "ok", 0 },
	{ TEXT("250 ok\n"), ERR_OK, 250, "", "ok", 0 },
	{ TEXT("250\r\n"), ERR_OK, 250, "", "", 0 },
	{ TEXT("250 \r\n"), ERR_OK, 250, "", "", 0 },
	{ TEXT("250-a\r\n250-b\r\n250 c\r\n"), ERR_OK, 250, "", "a / b / c", 0 },
	{ TEXT("250-a\r\n250-\r\n250\r\n"), ERR_OK, 250, "", "a", 0 },
	{ TEXT("250 a\r\n354 b\r\n"), ERR_OK, 250, "", "a", 7 },
	{ TEXT("550 5.1.1 no such user\r\n"), ERR_OK, 550, "5.1.1", "5.1.1 no such user", 0 },
	{ TEXT("550-no\r\n550 5.7.26 really\r\n"), ERR_OK, 550, "5.7.26", "no / 5.7.26 really", 0 },
	{ TEXT("450 4.123.456\r\n"), ERR_OK, 450, "4.123.456", "4.123.456", 0 },
	{ TEXT("450 4.1234.1 x\r\n"), ERR_OK, 450, "", "4.1234.1 x", 0 },
	{ TEXT("450 5.1.1 of another class\r\n"), ERR_OK, 450, "", "5.1.1 of another class", 0 },
	{ TEXT("354 3.0.0 x\r\n"), ERR_OK, 354, "", "3.0.0 x", 0 },
	{ TEXT("550 5.1.1x\r\n"), ERR_OK, 550, "", "5.1.1x", 0 },
	{ TEXT("550 5.1\r\n"), ERR_OK, 550, "", "5.1", 0 },
	{ TEXT("550 5..1 x\r\n"), ERR_OK, 550, "", "5..1 x", 0 },
	{ TEXT("550 a\tb\0c\x1b\xff\r\n"), ERR_OK, 550, "", "a?b?c??", 0 },
	{ TEXT("550 a\rb\r\n"), ERR_OK, 550, "", "a?b", 0 },
	{ TEXT(""), ERR_SHORT, 0, "", "", 0 },
	{ TEXT("250-a\r\n"), ERR_SHORT, 250, "", "a", 0 },
	{ TEXT("hello\r\n"), ERR_SYNTAX, 0, "", "hello", 0 },
	{ TEXT("\r\n"), ERR_SYNTAX, 0, "", "", 0 },
	{ TEXT("25\r\n"), ERR_SYNTAX, 0, "", "25", 0 },
	{ TEXT("2500 x\r\n"), ERR_SYNTAX, 0, "", "2500 x", 0 },
	{ TEXT("150 x\r\n"), ERR_SYNTAX, 0, "", "150 x", 0 },
	{ TEXT("650 x\r\n"), ERR_SYNTAX, 0, "", "650 x", 0 },
	{ TEXT("2 0 x\r\n"), ERR_SYNTAX, 0, "", "2 0 x", 0 },
	{ TEXT("250*x\r\n"), ERR_SYNTAX, 0, "", "250*x", 0 },
	{ TEXT("250-a\r\n251 b\r\n"), ERR_SYNTAX, 250, "", "a", 0 },
	{ TEXT("250-a\r\nb\r\n"), ERR_SYNTAX, 250, "", "b", 0 },
};

/* Feeds in two pieces. */
static int
feed(struct remote_reply *r, const char *text, size_t len, size_t cut, size_t *used)
{
	size_t first, second = 0;
	int err;

	remote_reply_init(r);
	err = remote_reply_feed(r, (const uint8_t *)text, cut, &first);
	if (err == ERR_SHORT && first == cut)
		err = remote_reply_feed(r, (const uint8_t *)text + cut, len - cut, &second);
	*used = first + second;
	return err;
}

static void
test_rows(void **state)
{
	static struct remote_reply r;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t cut = 0; cut <= rows[i].len; cut++) {
			/* In memory of just this size, so that a sanitizer sees a step beyond. */
			char *copy = malloc(rows[i].len + 1);
			size_t used;

			memcpy(copy, rows[i].text, rows[i].len);
			check_row(i, feed(&r, copy, rows[i].len, cut, &used) == rows[i].err);
			check_row(i, r.code == rows[i].code && strcmp(r.text, rows[i].words) == 0);
			check_row(i, strcmp(r.enhanced, rows[i].enhanced) == 0);
			check_row(i, rows[i].err == ERR_SYNTAX || used == rows[i].len - rows[i].left);
			free(copy);
		}
}

static int
feed_many(struct remote_reply *r, const char *line, size_t n)
{
	size_t used;
	int err = ERR_SHORT;

	remote_reply_init(r);
	for (size_t i = 0; i < n && err == ERR_SHORT; i++)
		err = remote_reply_feed(r, (const uint8_t *)line, strlen(line), &used);
	return err;
}

static void
test_bounds(void **state)
{
	static struct remote_reply r;
	static char line[REMOTE_LINE_MAX + 8];

	(void)state;
	assert_int_equal(feed_many(&r, "250-x\r\n", REMOTE_LINES_MAX - 1), ERR_SHORT);
	assert_int_equal(feed_many(&r, "250-x\r\n", REMOTE_LINES_MAX), ERR_TOOBIG);
	assert_int_equal(feed_many(&r, "z", REMOTE_LINE_MAX), ERR_SHORT);
	assert_int_equal(feed_many(&r, "z", REMOTE_LINE_MAX + 1), ERR_TOOBIG);
	memset(line, 'y', 1000);
	memcpy(line, "250-", 4);
	line[1000] = '\n';
	assert_int_equal(feed_many(&r, line, 65), ERR_SHORT);
	assert_int_equal(feed_many(&r, line, 66), ERR_TOOBIG);
	/* The first line fills it: no other has room behind a separator. */
	assert_int_equal(strlen(r.text), REMOTE_LINE_KEPT - 4);
	/* A line that is longer than what is kept of it. */
	memset(line, 'y', REMOTE_LINE_MAX - 1);
	memcpy(line, "250 ", 4);
	line[REMOTE_LINE_MAX - 1] = '\n';
	line[REMOTE_LINE_MAX] = 0;
	assert_int_equal(feed_many(&r, line, 1), ERR_OK);
	assert_int_equal(strlen(r.text), REMOTE_LINE_KEPT - 4);
}

static void
test_own_codes(void **state)
{
	static const struct {
		uint16_t		 code;
		enum delivery_stage	 stage;
		const char		*enhanced;
	} cases[] = {
		{ 250, DELIVERY_END, "2.0.0" }, { 250, DELIVERY_RCPT, "2.1.5" }, { 421, DELIVERY_MAIL, "4.3.2" }, { 450, DELIVERY_RCPT, "4.2.0" },
		{ 452, DELIVERY_RCPT, "4.5.3" }, { 452, DELIVERY_MAIL, "4.3.1" }, { 499, DELIVERY_MAIL, "4.0.0" }, { 550, DELIVERY_RCPT, "5.1.1" },
		{ 550, DELIVERY_END, "5.0.0" }, { 552, DELIVERY_RCPT, "5.2.2" }, { 552, DELIVERY_END, "5.3.4" }, { 553, DELIVERY_MAIL, "5.1.8" },
		{ 554, DELIVERY_END, "5.0.0" }, { 556, DELIVERY_RCPT, "5.1.10" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		check_row(i, strcmp(remote_reply_enhanced(cases[i].code, cases[i].stage), cases[i].enhanced) == 0);
}

/* Every octet string is answered without a step beyond it, and never with text that is not printable. */
static void
test_noise(void **state)
{
	static struct remote_reply r;
	static const char alphabet[] = "2345 -.\r\n\0\xff""a";
	uint32_t seed = 12345;

	(void)state;
	for (size_t round = 0; round < 20000; round++) {
		uint8_t text[40];
		size_t used;

		for (size_t i = 0; i < sizeof(text); i++) {
			seed = seed * 1103515245 + 12345;
			text[i] = (uint8_t)alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		feed(&r, (const char *)text, sizeof(text), round % sizeof(text), &used);
		assert_true(used <= sizeof(text));
		for (const char *p = r.text; *p != 0; p++)
			assert_true(*p >= ' ' && *p <= '~');
		assert_true(r.code == 0 || (r.code >= 200 && r.code <= 599));
	}
}

static void
test_capabilities(void **state)
{
	static const struct {
		const char		*lines;
		struct capability	 wanted;
	} cases[] = {
		{ "PIPELINING\n8BITMIME\nSMTPUTF8\nDSN\nSTARTTLS\nSIZE 1000",
		    { .pipelining = true, .eightbit = true, .smtputf8 = true, .dsn = true, .starttls = true, .size = true, .size_max = 1000 } },
		{ "pipelining\nSize", { .pipelining = true, .size = true } },
		{ "SIZE 0", { .size = true } },
		{ "SIZE x", { .size = true } },
		{ "SIZE 99999999999999999999999", { .size = true } },
		{ "PIPELININGS\nXDSN\nDSN-X\n8BIT", { .size = false } },
		{ "AUTH PLAIN LOGIN", { .mechanisms = LOGIN_MECHANISM_PLAIN | LOGIN_MECHANISM_LOGIN } },
		{ "AUTH=LOGIN", { .mechanisms = LOGIN_MECHANISM_LOGIN } },
		{ "AUTH SCRAM-SHA-256 scram-sha-1 SCRAM-SHA-256-PLUS GSSAPI",
		    { .mechanisms = LOGIN_MECHANISM_SCRAM_SHA_256 | LOGIN_MECHANISM_SCRAM_SHA_1 } },
		{ "AUTH", { .size = false } },
		{ "", { .size = false } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct capability c = { .size = false };

		for (const char *p = cases[i].lines; *p != 0; p += strcspn(p, "\n"), p += *p != 0)
			capability_hear(&c, p, strcspn(p, "\n"));
		check_row(i, c.pipelining == cases[i].wanted.pipelining && c.eightbit == cases[i].wanted.eightbit);
		check_row(i, c.smtputf8 == cases[i].wanted.smtputf8 && c.dsn == cases[i].wanted.dsn);
		check_row(i, c.starttls == cases[i].wanted.starttls && c.size == cases[i].wanted.size);
		check_row(i, c.size_max == cases[i].wanted.size_max && c.mechanisms == cases[i].wanted.mechanisms);
		/* Cut short, a line says the same or less, and never needs what is behind it. */
		for (size_t n = 0; n < strlen(cases[i].lines); n++) {
			char *copy = malloc(n + 1);

			memcpy(copy, cases[i].lines, n);
			capability_hear(&c, copy, n);
			free(copy);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_own_codes),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
