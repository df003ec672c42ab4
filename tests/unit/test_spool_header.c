/*
 * The header as it passes through the spool: where it ends and how it is repaired, at every cut; the addresses of From; the
 * screen for octets; and what becomes of a whole message in the assembly.
 */
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "assembly.h"
#include "err.h"
#include "header.h"
#include "mailbox_list.h"
#include "text.h"
#include "unit.h"

#define RECEIVED "Received: from unknown (authenticated)\r\n\tby h.example (Postern) with ESMTPSA id ID;\r\n" \
	"\tThu, 1 Jan 1970 00:00:00 +0000\r\n"
#define DATE "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"
#define MESSAGE_ID "Message-ID: <ID@h.example>\r\n"
#define FROM "From: <a@b.example>\r\n"

static const struct header_repair repair = { .id = "ID", .host = "h.example", .sender = "a@b.example", .tls = true };

/* A whole message, and what it becomes behind Received. */
static const struct {
	const char	*in, *out;
	unsigned	 nfrom;
} headers[] = {
	{ "", DATE MESSAGE_ID FROM "\r\n", 0 },
	{ "\r\n", DATE MESSAGE_ID FROM "\r\n", 0 },
	{ "\r\nbody\r\n", DATE MESSAGE_ID FROM "\r\nbody\r\n", 0 },
	{ "a: b\r\n\r\nbody\r\n", "a: b\r\n" DATE MESSAGE_ID FROM "\r\nbody\r\n", 0 },
	{ "a: b\r\n\r\n\r\nbody", "a: b\r\n" DATE MESSAGE_ID FROM "\r\n\r\nbody", 0 },
	{ "a: b\r\n", "a: b\r\n" DATE MESSAGE_ID FROM "\r\n", 0 },
	{ "a: b", "a: b\r\n" DATE MESSAGE_ID FROM "\r\n", 0 },
	{ "a:", "a:\r\n" DATE MESSAGE_ID FROM "\r\n", 0 },
	{ "no field\r\nbody\r\n", DATE MESSAGE_ID FROM "\r\nno field\r\nbody\r\n", 0 },
	{ "word", DATE MESSAGE_ID FROM "\r\nword", 0 },
	{ "word\r\n: x\r\n", DATE MESSAGE_ID FROM "\r\nword\r\n: x\r\n", 0 },
	{ ": x\r\n", DATE MESSAGE_ID FROM "\r\n: x\r\n", 0 },
	{ " x: y\r\n", DATE MESSAGE_ID FROM "\r\n x: y\r\n", 0 },
	{ "a: b\r\nFrom alice Thu\r\nx: y\r\n", "a: b\r\n" DATE MESSAGE_ID FROM "\r\nFrom alice Thu\r\nx: y\r\n", 0 },
	{ "a: b\r\nb\xc3\xa4: c\r\n", "a: b\r\n" DATE MESSAGE_ID FROM "\r\nb\xc3\xa4: c\r\n", 0 },
	{ "Date: x\r\nMESSAGE-ID: y\r\nfrom: z\r\n\r\n", "Date: x\r\nMESSAGE-ID: y\r\nfrom: z\r\n\r\n", 1 },
	{ "From : z\r\nDate\t: x\r\nMessage-Id:\r\n y\r\n\r\n", "From : z\r\nDate\t: x\r\nMessage-Id:\r\n y\r\n\r\n", 1 },
	{ "From: z\r\nfRoM: y\r\n\r\n", "From: z\r\nfRoM: y\r\n" DATE MESSAGE_ID "\r\n", 2 },
	{ "Resent-From: z\r\nX-From: y\r\n\r\nFrom: a\r\n", "Resent-From: z\r\nX-From: y\r\n" DATE MESSAGE_ID FROM "\r\nFrom: a\r\n", 0 },
	{ "Bcc: x\r\n\r\nbody", DATE MESSAGE_ID FROM "\r\nbody", 0 },
	{ "Return-Path: <x>\r\nreturn-path:\r\n <y>\r\nReturn-Paths: z\r\n\r\nbody", "Return-Paths: z\r\n" DATE MESSAGE_ID FROM "\r\nbody", 0 },
	{ "a: b\r\nbCC : x,\r\n y,\r\n\tz\r\nc: d\r\n e\r\n\r\nbody", "a: b\r\nc: d\r\n e\r\n" DATE MESSAGE_ID FROM "\r\nbody", 0 },
	{ "Bcc: x\r\nBcc: y\r\nc: d\r\nResent-Bcc: z\r\n\r\nBcc: w", "c: d\r\n" DATE MESSAGE_ID FROM "\r\nBcc: w", 0 },
	{ "Bcc: x\r\n \r\n y\r\nTo: z\r\n\r\n", "To: z\r\n" DATE MESSAGE_ID FROM "\r\n", 0 },
	{ "Bccx: x\r\nBc: y\r\n\r\n", "Bccx: x\r\nBc: y\r\n" DATE MESSAGE_ID FROM "\r\n", 0 },
	{ "Postern-Sender: <x>\r\n\r\n", "Postern-Sender: <x>\r\n" DATE MESSAGE_ID FROM "\r\n", 0 },
};

/* Feeds the pieces that the two cuts make (or single octets), and writes header and body. */
static unsigned
feed(const char *in, size_t first, size_t second, struct buf *out)
{
	const size_t cuts[] = { 0, first, second, strlen(in) };
	struct header h;
	unsigned nfrom;
	bool written = false;

	header_init(&h);
	buf_init(out, 1 << 20);
	for (size_t i = 0; i < 3; i++) {
		const uint8_t *p = (const uint8_t *)in + cuts[i];
		size_t n = cuts[i + 1] - cuts[i], used = 0;

		if (!h.is_complete) {
			assert_int_equal(header_feed(&h, p, n, &used), ERR_OK);
			assert_true(h.is_complete || used == n);
		}
		if (h.is_complete && !written) {
			assert_int_equal(header_put(&h, out, &repair), ERR_OK);
			written = true;
		}
		if (written)
			buf_put(out, p + used, n - used);
	}
	if (!written) {
		assert_int_equal(header_end(&h), ERR_OK);
		assert_int_equal(header_put(&h, out, &repair), ERR_OK);
	}
	nfrom = h.nfrom;
	header_free(&h);
	buf_put_nul(out);
	return nfrom;
}

static void
test_header_cuts(void **state)
{
	const size_t start = strlen(RECEIVED);
	struct buf out;

	(void)state;
	for (size_t i = 0; i < COUNT(headers); i++) {
		size_t n = strlen(headers[i].in);

		for (size_t first = 0; first <= n; first++)
			for (size_t second = first; second <= n; second++) {
				check_row(i, feed(headers[i].in, first, second, &out) == headers[i].nfrom);
				check_row(i, memcmp(out.data, RECEIVED, start) == 0);
				if (strcmp((char *)out.data + start, headers[i].out) != 0)
					print_error("got:\n%s\n", (char *)out.data + start);
				check_row(i, strcmp((char *)out.data + start, headers[i].out) == 0);
				buf_free(&out);
			}
	}
}

static void
test_header_octets(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(headers); i++) {
		size_t n = strlen(headers[i].in), body = n;
		struct header h;
		struct buf out;

		header_init(&h);
		buf_init(&out, 1 << 20);
		for (size_t at = 0; at < n && !h.is_complete; at++) {
			size_t used;

			check_row(i, header_feed(&h, (const uint8_t *)headers[i].in + at, 1, &used) == ERR_OK);
			if (h.is_complete)
				body = at + used;
		}
		header_end(&h);
		header_put(&h, &out, &repair);
		buf_put(&out, headers[i].in + body, n - body);
		buf_put_nul(&out);
		check_row(i, strcmp((char *)out.data + strlen(RECEIVED), headers[i].out) == 0);
		buf_free(&out);
		header_free(&h);
	}
}

static void
test_header_protocols(void **state)
{
	static const struct {
		bool		 tls, smtputf8;
		const char	*word;
	} rows[] = { { true, false, "with ESMTPSA id" }, { false, false, "with ESMTPA id" }, { true, true, "with UTF8SMTPSA id" },
	    { false, true, "with UTF8SMTPA id" } };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct header_repair r = repair;
		struct header h;
		struct buf out;

		r.tls = rows[i].tls;
		r.smtputf8 = rows[i].smtputf8;
		r.sender = "";
		header_init(&h);
		buf_init(&out, 4096);
		header_end(&h);
		header_put(&h, &out, &r);
		buf_put_nul(&out);
		check_row(i, strstr((char *)out.data, rows[i].word) != NULL);
		check_row(i, strstr((char *)out.data, "From: <MAILER-DAEMON@h.example>") != NULL);
		buf_free(&out);
		header_free(&h);
	}
}

/* Exactly 256 KiB pass, one octet more does not; neither does one endless line, in pieces of any size. */
static void
test_header_limit(void **state)
{
	static uint8_t text[HEADER_MAX + 64 * 1024];
	static const size_t pieces[] = { 1, 7, 1000, 65536 };
	struct header h;
	size_t used;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[1] = ':';
	for (size_t i = 0; i < COUNT(pieces); i++) {
		for (size_t over = 0; over <= 1; over++) {
			size_t n = HEADER_MAX + over;
			int err = ERR_OK;

			memcpy(text + n - 2, "\r\n", 2);
			header_init(&h);
			for (size_t at = 0; at < n && err == ERR_OK; at += pieces[i])
				err = header_feed(&h, text + at, n - at < pieces[i] ? n - at : pieces[i], &used);
			check_row(i, err == (over != 0 ? ERR_TOOBIG : ERR_OK));
			header_free(&h);
			memset(text + n - 2, 'x', 2);
		}
	}
	/* No colon comes: it may always be a field's name still. */
	text[1] = 'x';
	header_init(&h);
	assert_int_equal(header_feed(&h, text, sizeof(text), &used), ERR_TOOBIG);
	header_free(&h);
}

/* The value of a From field and its addresses, ended by NULL; none at all: it is refused. */
static const struct {
	const char	*value;
	const char	*addresses[5];
} lists[] = {
	{ " alice@example.org\r\n", { "alice@example.org" } },
	{ "alice@example.org", { "alice@example.org" } },
	{ " <alice@example.org>\r\n", { "alice@example.org" } },
	{ " Alice <alice@example.org>", { "alice@example.org" } },
	{ " \"A, B <c@d.e>\" <alice@example.org>", { "alice@example.org" } },
	{ " \"A\\\" <c@d.e>\" <alice@example.org>", { "alice@example.org" } },
	{ " Alice A. Example <alice@example.org>", { "alice@example.org" } },
	{ " =?utf-8?Q?J=C3=B6rg_=40?= <alice@example.org>", { "alice@example.org" } },
	{ " J\xc3\xb6rg <alice@example.org>", { "alice@example.org" } },
	{ " J\xf6rg <alice@example.org>", { "alice@example.org" } },
	{ " Jenkins [CI] <alice@example.org>", { "alice@example.org" } },
	{ " alice@example.org (Alice (really) \\) x@y.z)", { "alice@example.org" } },
	{ " (x) alice (y) @ (z) example (w) . org", { "alice@example.org" } },
	{ " alice\r\n @example.org\r\n", { "alice@example.org" } },
	{ " Alice\r\n\t<alice@example.org>\r\n", { "alice@example.org" } },
	{ " a@b.example, Bob <c@d.example>, e@f.example", { "a@b.example", "c@d.example", "e@f.example" } },
	{ " , a@b.example,, ", { "a@b.example" } },
	{ " Friends: a@b.example, Bob <c@d.example>;", { "a@b.example", "c@d.example" } },
	{ " Friends: a@b.example;, c@d.example", { "a@b.example", "c@d.example" } },
	{ " Friends:;, c@d.example", { "c@d.example" } },
	{ " <@x.example,@y.example:a@b.example>", { "a@b.example" } },
	{ " \"a b\"@c.example", { "\"a b\"@c.example" } },
	{ " < a @ b.example >", { "a@b.example" } },
	{ " <\"a>b\"@c.example>", { "\"a>b\"@c.example" } },
	{ " a@[192.0.2.1]", { "a@[192.0.2.1]" } },
	{ " a@[IPv6:2001:db8::1]", { "a@[IPv6:2001:db8::1]" } },
	{ " \xce\xb1@example.org", { "\xce\xb1@example.org" } },
	/* An address before "<...>" is what some programs show: it is judged too. */
	{ " ceo@example.org <alice@example.org>", { "ceo@example.org", "alice@example.org" } },
	{ " The Boss ceo@example.org <alice@example.org>", { "ceo@example.org", "alice@example.org" } },
	{ " alice@example.org <alice@example.org>", { "alice@example.org", "alice@example.org" } },
	{ " x@y.example: a@b.example;", { "x@y.example", "a@b.example" } },
	{ "", { NULL } },
	{ " \r\n", { NULL } },
	{ " ,", { NULL } },
	{ " Friends:;", { NULL } },
	{ " alice", { NULL } },
	{ " <>", { NULL } },
	{ " <alice>", { NULL } },
	{ " Alice", { NULL } },
	{ " Alice at example.org", { NULL } },
	{ " a@b.example c@d.example", { NULL } },
	{ " a@b.example, Alice", { NULL } },
	{ " <a@b.example", { NULL } },
	{ " a@b.example>", { NULL } },
	{ " <a@b.example> <c@d.example>", { NULL } },
	{ " <a@b.example> c@d.example", { NULL } },
	{ " <<a@b.example>>", { NULL } },
	{ " <a@b.example,c@d.example>", { NULL } },
	{ " (a@b.example", { NULL } },
	{ " a@b.example)", { NULL } },
	{ " \"a@b.example", { NULL } },
	{ " a\\@b.example", { NULL } },
	{ " a@b@c.example", { NULL } },
	{ " a@", { NULL } },
	{ " @b.example", { NULL } },
	{ " a..b@c.example", { NULL } },
	{ " a@[192.0.2.1", { NULL } },
	{ " =?utf-8?Q?Doe,_John?= <a@b.example>", { NULL } },
	{ " a\x01@b.example", { NULL } },
	{ " <@x.example a@b.example>", { NULL } },
};

static void
test_lists(void **state)
{
	struct addr addresses[16];
	size_t n, wanted;

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		int err = mailbox_list_get((const uint8_t *)lists[i].value, strlen(lists[i].value), addresses, 16, &n);

		check_row(i, err == (lists[i].addresses[0] != NULL ? ERR_OK : ERR_SYNTAX));
		if (err != ERR_OK)
			continue;
		for (wanted = 0; lists[i].addresses[wanted] != NULL; wanted++)
			check_row(i, wanted < n && strcmp(addresses[wanted].text, lists[i].addresses[wanted]) == 0);
		check_row(i, wanted == n);
	}
	assert_int_equal(mailbox_list_get((const uint8_t *)TEXT("a@b.c, a@b.c, a@b.c"), addresses, 2, &n), ERR_TOOBIG);
	/* Every beginning of every list: no crash, no more than there is. */
	for (size_t i = 0; i < COUNT(lists); i++)
		for (size_t len = 0; len < strlen(lists[i].value); len++) {
			uint8_t *copy = malloc(len != 0 ? len : 1);

			memcpy(copy, lists[i].value, len);
			mailbox_list_get(copy, len, addresses, 16, &n);
			free(copy);
		}
}

static void
test_screen(void **state)
{
	static const struct {
		const char	*text;
		size_t		 len;
		bool		 clean;
	} rows[] = {
		{ TEXT(""), true }, { TEXT("a"), true }, { TEXT("\r\n"), true }, { TEXT("a\r\n\r\nb"), true },
		{ TEXT("\r\n\r\n\r\n"), true }, { TEXT("\xff\x80\r\n"), true },
		{ TEXT("\r"), false }, { TEXT("\n"), false }, { TEXT("a\nb"), false }, { TEXT("a\rb"), false },
		{ TEXT("\r\r\n"), false }, { TEXT("\n\r"), false }, { TEXT("a\r\n\nb"), false }, { TEXT("a\r\n\r"), false },
		{ TEXT("a\0b"), false }, { TEXT("\0"), false }, { TEXT("\r\0\n"), false }, { TEXT("abc\r\ndef\r\n.\n"), false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t first = 0; first <= rows[i].len; first++)
			for (size_t second = first; second <= rows[i].len; second++) {
				const uint8_t *p = (const uint8_t *)rows[i].text;
				struct text_screen s = { .cr = false };
				bool clean = text_screen_is_clean(&s, p, first) && text_screen_is_clean(&s, p + first, second - first) &&
				    text_screen_is_clean(&s, p + second, rows[i].len - second) && text_screen_end(&s);

				check_row(i, clean == rows[i].clean);
			}
}

/* Faults of whole messages, fed by any pieces; and nothing but whole files comes out. */
static void
test_assembly(void **state)
{
	static const struct {
		const char		*text;
		size_t			 len;
		uint64_t		 limit;
		bool			 check_header;
		enum commit_verdict	 fault;
		unsigned		 asked;
	} rows[] = {
		{ TEXT("From: a@b.c\r\n\r\nx\r\n"), 18, true, COMMIT_STORED, 1 },
		{ TEXT("From: a@b.c\r\n\r\nx\r\n"), 18, false, COMMIT_STORED, 0 },
		{ TEXT("From: a@b.c\r\n\r\nx\r\n"), 17, true, COMMIT_TOO_BIG, 0 },
		{ TEXT("From: a@b.c\r\n\r\nx\r"), 99, true, COMMIT_BAD_OCTETS, 1 },
		{ TEXT("From: a@b.c, d@e.f"), 99, true, COMMIT_STORED, 2 },
		{ TEXT("From: nobody\r\n\r\n"), 99, true, COMMIT_BAD_FROM, 0 },
		{ TEXT("From: nobody\r\n\r\n"), 99, false, COMMIT_STORED, 0 },
		{ TEXT("From: a@b.c\r\nFrom: a@b.c\r\n\r\n"), 99, false, COMMIT_TWO_FROM, 0 },
		{ TEXT("From: a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,"
		    "a@b.c\r\n\r\n"), 999, true, COMMIT_SENDER_NOT_ALLOWED, 0 },
		{ TEXT(""), 0, true, COMMIT_STORED, 0 },
	};
	struct buf lines = { .max = 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t piece = 1; piece <= rows[i].len + 1; piece++) {
			struct assembly a = { .limit = rows[i].limit, .check_header = rows[i].check_header,
			    .asks_from = rows[i].check_header };

			assembly_begin(&a, &repair, "account", "", 1, 2, &lines);
			for (size_t at = 0; at < rows[i].len; at += piece)
				assembly_take(&a, (const uint8_t *)rows[i].text + at, rows[i].len - at < piece ? rows[i].len - at : piece);
			assembly_end(&a);
			check_row(i, a.fault == rows[i].fault);
			check_row(i, a.taken == rows[i].len);
			check_row(i, a.fault != COMMIT_STORED || rows[i].asked == (a.from != NULL ? a.from->n : 0u));
			assembly_free(&a);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_cuts),
		cmocka_unit_test(test_header_octets),
		cmocka_unit_test(test_header_protocols),
		cmocka_unit_test(test_header_limit),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_screen),
		cmocka_unit_test(test_assembly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
