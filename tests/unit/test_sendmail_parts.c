/*
 * The pure parts of postern-sendmail: lists of addresses, the header's completion, octets from standard input, the
 * command line.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "input.h"
#include "mailboxes.h"
#include "options.h"
#include "recipients.h"
#include "rewrite.h"
#include "unit.h"

static void
lists(void **state)
{
	/* What is found, each with ' ' behind it and '!' before a bare name; an error ends it with "?". */
	static const struct {
		const char	*list, *found;
	} rows[] = {
		{ "a@example.org", "a@example.org " },
		{ "root", "!root " },
		{ "root (Cron Daemon)", "!root " },
		{ "(Cron (the) Daemon) root", "!root " },
		{ "mdadm monitoring <root>", "!root " },
		{ "\"Last, First\" <a@example.org>, b@example.org", "a@example.org b@example.org " },
		{ "a@example.org,,b ,\r\n\tc@example.org", "a@example.org !b c@example.org " },
		{ "Team: a@example.org, b@example.org;, c@example.org", "a@example.org b@example.org c@example.org " },
		{ "undisclosed-recipients:;", "" },
		{ "\"John Doe\"@example.org", "\"John Doe\"@example.org " },
		{ "\"a\\\"b\"", "!\"a\\\"b\" " },
		{ "a . b @ example . org", "a.b@example.org " },
		{ "<@old.example,@older.example:a@example.org> (comment)", "a@example.org " },
		{ "a@[IPv6:::1]", "a@[IPv6:::1] " },
		{ "<a@[192.0.2.1]>", "a@[192.0.2.1] " },
		{ "", "" },
		{ " , ; (nobody)", "" },
		{ "John Smith", "?" },
		{ "a@example.org b@example.org", "?" },
		{ "<a@example.org", "?" },
		{ "<a@example.org> more", "?" },
		{ "<>", "?" },
		{ "a\x01@example.org", "?" },
		{ "\"a\x7f\"", "?" },
		{ "\"open", "?" },
		{ "(open", "?" },
		{ "x <a <b>>", "?" },
		{ "a, John Smith", "!a ?" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const uint8_t *p = (const uint8_t *)rows[i].list;
		char found[512] = "";
		size_t at = 0, n = 0;
		struct mailbox m;
		int err;

		while ((err = mailboxes_next(p, strlen(rows[i].list), &at, &m)) == ERR_OK)
			n += (size_t)snprintf(found + n, sizeof(found) - n, "%s%s ", m.is_bare ? "!" : "", m.text);
		if (err == ERR_SYNTAX)
			snprintf(found + n, sizeof(found) - n, "?");
		check_row(i, strcmp(found, rows[i].found) == 0);
	}
}

/* Cut at every octet nothing is read behind the end, and no address is found outside. */
static void
lists_cut(void **state)
{
	static const char list[] = "\"A, (B)\" <@x:a@example.org> (c), Team: root, \"q\\\"\"@[192.0.2.1];, z";

	(void)state;
	for (size_t n = 0; n < sizeof(list); n++) {
		uint8_t *p = malloc(n != 0 ? n : 1);
		size_t at = 0, end = 0;
		struct mailbox m;

		assert_non_null(p);
		memcpy(p, list, n);
		while (mailboxes_next(p, n, &at, &m) == ERR_OK) {
			assert_true(m.start >= end && m.start < m.end && m.end <= at && at <= n);
			end = m.end;
		}
		free(p);
	}
}

static void
headers(void **state)
{
	static const struct completion c = {
	    .user = "root", .address = "server@example.org", .domain = "example.org", .host = "web1"};
	/* out NULL: refused. */
	static const struct {
		const char	*in, *name, *out, *recipients;
	} rows[] = {
	    {"From: root (Cron Daemon)\r\nTo: root\r\nSubject: root\r\n\r\nTo: x\r\n", "N",
		"From: server@example.org (Cron Daemon)\r\nTo: server@example.org\r\nSubject: root\r\n",
		"server@example.org "},
	    {"TO : admin, b@example.net\r\nCc:\r\n root\r\nBcc: x@example.net\r\nFrom: a@example.org\r\n", "",
		"TO : admin@example.org, b@example.net\r\nCc:\r\n server@example.org\r\nBcc: x@example.net\r\nFrom: "
		"a@example.org\r\n",
		"admin@example.org b@example.net server@example.org x@example.net "},
	    {"To: a@example.net\r\nResent-Cc: b@example.net\r\nFrom: x@example.org\r\n", "",
		"To: a@example.net\r\nResent-Cc: b@example.net\r\nFrom: x@example.org\r\n", "b@example.net "},
	    {"To: a@example.net\r\n\r\n", "A \"B\" \\C",
		"To: a@example.net\r\nFrom: \"A \\\"B\\\" \\\\C\" <server@example.org>\r\n", "a@example.net "},
	    {"To: a@example.net\r\n", "J\xc3\xb6rg",
		"To: a@example.net\r\nFrom: =?UTF-8?B?SsO2cmc=?= <server@example.org>\r\n", "a@example.net "},
	    {"To: a@example.net\r\n", "\xff", "To: a@example.net\r\nFrom: <server@example.org>\r\n", "a@example.net "},
	    {"To: a@example.net\r\n", "", "To: a@example.net\r\n", "a@example.net "},
	    {"no field\r\nTo: a@example.net\r\n", "", "", ""},
	    {"From: John Smith\r\nTo: a@example.net\r\n", "", "From: John Smith\r\nTo: a@example.net\r\n",
		"a@example.net "},
	    {"From: root@web1.lan (Job)\r\nTo: Admin <admin@localhost>, x@WEB1, y@web10\r\nCc: root@example.org\r\n",
		"",
		"From: server@example.org (Job)\r\nTo: Admin <admin@example.org>, x@example.org, y@web10\r\nCc: "
		"root@example.org\r\n",
		"admin@example.org x@example.org y@web10 root@example.org "},
	    {"To: John Smith\r\n", "", NULL, NULL},
	    {"", "", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct recipients r = { .n = 0 };
		char found[512] = "", why[128];
		size_t used, n = 0;
		struct buf out;
		int err;

		buf_init(&out, 65536);
		err = rewrite_header(&out, (const uint8_t *)rows[i].in, strlen(rows[i].in), &c, "server@example.org",
		    rows[i].name, &r, &used, why, sizeof(why));
		check_row(i, err == (rows[i].out != NULL ? ERR_OK : ERR_SYNTAX));
		if (rows[i].out != NULL) {
			for (size_t k = 0; k < r.n; k++)
				n += (size_t)snprintf(found + n, sizeof(found) - n, "%s ", r.list[k]);
			check_row(i, out.len == strlen(rows[i].out) &&
					 (out.len == 0 || memcmp(out.data, rows[i].out, out.len) == 0));
			check_row(i, strcmp(found, rows[i].recipients) == 0);
		}
		recipients_free(&r);
		buf_free(&out);
	}
}

static void
octets(void **state)
{
	static const struct {
		const char	*in;
		size_t		 n;
		bool		 ignore_dots;
		const char	*out;
	} rows[] = {
		{ TEXT(""), false, "" },
		{ TEXT("a"), false, "a\r\n" },
		{ TEXT("a\nb\r\nc\rd\n\n"), false, "a\r\nb\r\nc\r\nd\r\n\r\n" },
		{ TEXT("a\n\0b\0\n"), false, "a\r\nb\r\n" },
		{ TEXT("a\n.\nb\n"), false, "a\r\n" },
		{ TEXT("a\n.\nb\n"), true, "a\r\n.\r\nb\r\n" },
		{ TEXT("a\n.\r\nb\n"), false, "a\r\n" },
		{ TEXT("a\n.b\n..\n"), false, "a\r\n.b\r\n..\r\n" },
		{ TEXT("a\n."), false, "a\r\n" },
		{ TEXT("a\n."), true, "a\r\n.\r\n" },
		{ TEXT("From x\nTo: y\n\nFrom z\n"), false, "To: y\r\n\r\nFrom z\r\n" },
		{ TEXT(">From x\nTo: y\n"), false, "To: y\r\n" },
		{ TEXT("From: x\n"), false, "From: x\r\n" },
	};
	static char line[70000];
	struct input in;

	(void)state;
	/* In one piece, and octet by octet. */
	for (size_t i = 0; i < 2 * COUNT(rows); i++) {
		size_t row = i / 2, piece = i % 2 == 0 ? rows[row].n : 1;

		input_init(&in, rows[row].ignore_dots);
		for (size_t at = 0; at < rows[row].n; at += piece)
			assert_int_equal(input_take(&in, rows[row].in + at, piece), ERR_OK);
		assert_int_equal(input_end(&in), ERR_OK);
		check_row(row, in.text.len == strlen(rows[row].out) &&
		    (in.text.len == 0 || memcmp(in.text.data, rows[row].out, in.text.len) == 0));
		check_row(row, !in.is_8bit);
		buf_free(&in.text);
	}
	memset(line, 0xe4, sizeof(line));
	input_init(&in, false);
	assert_int_equal(input_take(&in, line, sizeof(line)), ERR_OK);
	assert_int_equal(input_end(&in), ERR_OK);
	assert_int_equal(in.text.len, sizeof(line) + 3 * 2);
	assert_true(in.is_8bit);
	buf_free(&in.text);
}

static void
command_lines(void **state)
{
	static const struct {
		const char		*words[12];
		int			 err;
		enum sendmail_mode	 mode;
		bool			 from_header, ignore_dots;
		const char		*sender, *name, *notify, *first;
	} rows[] = {
	    {{"sendmail", "a@b"}, ERR_OK, MODE_SEND, false, false, NULL, NULL, NULL, "a@b"},
	    {{"sendmail", "-t", "-i"}, ERR_OK, MODE_SEND, true, true, NULL, NULL, NULL, NULL},
	    {{"/usr/lib/sendmail", "-ti"}, ERR_OK, MODE_SEND, true, true, NULL, NULL, NULL, NULL},
	    {{"sendmail", "-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"}, ERR_OK, MODE_SEND, true,
		true, "root", "CronDaemon", NULL, NULL},
	    {{"sendmail", "-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"}, ERR_OK, MODE_SEND, false, true, NULL,
		"CronDaemon", NULL, "root"},
	    {{"sendmail", "-oem", "-fa@b", "-N", "Failure,delay", "--", "-x@b"}, ERR_OK, MODE_SEND, false, false, "a@b",
		NULL, "FAILURE,DELAY", "-x@b"},
	    {{"sendmail", "a@b", "-t"}, ERR_OK, MODE_SEND, false, false, NULL, NULL, NULL, "a@b"},
	    {{"sendmail", "-N", "never", "-d0.4", "-q", "-bm", "x"}, ERR_OK, MODE_SEND, false, false, NULL, NULL,
		"NEVER", "x"},
	    {{"sendmail", "-OIgnoreDots=true", "-OPort=25", "x"}, ERR_OK, MODE_SEND, false, true, NULL, NULL, NULL,
		"x"},
	    {{"sendmail", "-bs"}, ERR_OK, MODE_SMTP, false, false, NULL, NULL, NULL, NULL},
	    {{"sendmail", "-q15m"}, ERR_OK, MODE_FLUSH, false, false, NULL, NULL, NULL, NULL},
	    {{"mailq"}, ERR_OK, MODE_QUEUE, false, false, NULL, NULL, NULL, NULL},
	    {{"/usr/bin/newaliases"}, ERR_OK, MODE_ALIASES, false, false, NULL, NULL, NULL, NULL},
	    {{"sendmail", "-bd"}, ERR_SYNTAX, MODE_SEND, false, false, NULL, NULL, NULL, NULL},
	    {{"sendmail", "-y"}, ERR_SYNTAX, MODE_SEND, false, false, NULL, NULL, NULL, NULL},
	    {{"sendmail", "-f"}, ERR_SYNTAX, MODE_SEND, false, false, NULL, NULL, NULL, NULL},
	    {{"sendmail", "-N", "failure,never"}, ERR_SYNTAX, MODE_SEND, false, false, NULL, NULL, NULL, NULL},
	    {{"sendmail", "-R", "all"}, ERR_SYNTAX, MODE_SEND, false, false, NULL, NULL, NULL, NULL},
	};
	struct options o;
	char why[128];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *words[13] = { NULL };
		int n = 0, err;

		for (; rows[i].words[n] != NULL; n++)
			words[n] = (char *)(uintptr_t)rows[i].words[n];
		optind = 0;	/* glibc: from the start */
		err = options_read(&o, n, words, why, sizeof(why));
		check_row(i, err == rows[i].err);
		if (err != ERR_OK)
			continue;
		check_row(i, o.mode == rows[i].mode && o.from_header == rows[i].from_header &&
				 o.ignore_dots == rows[i].ignore_dots);
		check_row(i, (o.sender == NULL) == (rows[i].sender == NULL) &&
				 (o.sender == NULL || strcmp(o.sender, rows[i].sender) == 0));
		check_row(i, (o.full_name == NULL) == (rows[i].name == NULL) &&
				 (o.full_name == NULL || strcmp(o.full_name, rows[i].name) == 0));
		check_row(i, (o.notify == NULL) == (rows[i].notify == NULL) &&
				 (o.notify == NULL || strcmp(o.notify, rows[i].notify) == 0));
		check_row(i, (o.recipients[0] == NULL) == (rows[i].first == NULL) &&
		    (rows[i].first == NULL || strcmp(o.recipients[0], rows[i].first) == 0));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(lists_cut),
		cmocka_unit_test(headers),
		cmocka_unit_test(octets),
		cmocka_unit_test(command_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
