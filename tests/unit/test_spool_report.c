/*
 * Reports: composed from each kind of failure, with hostile words in every place, and read back by a checker that takes nothing
 * on trust: CRLF lines, known fields, three parts that end where they should.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "err.h"
#include "report.h"
#include "report_words.h"
#include "unit.h"

#define ARRIVAL 1795310000000000ULL
#define NOW (ARRIVAL + 5ULL * 86400 * 1000000)

static const char message[] = "Received: from x by y;\r\n\tSun, 22 Nov 2026 01:00:00 +0000\r\nFrom: alice@example.org\r\n"
    "Subject: An offer\r\nMessage-ID: <offer.1@example.org>\r\n\r\nBody line\r\n";

/* A report about one recipient, to be varied. */
struct sample {
	struct spool_recipient	 recipients[3];
	struct spool_envelope	 envelope;
	struct state_recipient	 results[3];
	struct state		 state;
	size_t			 indexes[3];
	struct report		 report;
};

static struct sample *
make(enum report_kind kind, const char *address, enum delivery_stage stage, uint16_t code, const char *enhanced, const char *reply)
{
	static struct sample s;

	s = (struct sample){ .indexes = { 0, 1, 2 } };
	s.recipients[0].address = (char *)(uintptr_t)address;
	s.results[0] = (struct state_recipient){ .status = RECIPIENT_BOUNCED, .stage = stage, .code = code, .time_us = NOW,
	    .enhanced = (char *)(uintptr_t)enhanced, .reply = (char *)(uintptr_t)reply, .host = (char *)(uintptr_t)"mx.example.net" };
	s.envelope = (struct spool_envelope){ .id = "0sgd8c7jhv3ker6t", .account = (char *)(uintptr_t)"alice@example.org", .arrival_us = ARRIVAL,
	    .sender = (char *)(uintptr_t)"alice@example.org", .recipients = s.recipients, .nrecipients = 1, .message_size = sizeof(message) - 1 };
	s.state = (struct state){ .nrecipients = 1, .recipients = s.results };
	s.report = (struct report){ .kind = kind, .id = "0sgd8c7jtfqyfxb0", .hostname = "mail.example.org", .now_us = NOW,
	    .to = "alice@example.org", .envelope = &s.envelope, .state = &s.state, .indexes = s.indexes, .n = 1,
	    .until_us = NOW + 86400000000ULL, .message = (const uint8_t *)message, .message_len = sizeof(message) - 1 };
	return &s;
}

/* What the checker has taken apart. */
struct checked {
	char	*text;			/* all of it, with a NUL */
	char	 header[4096], boundary[80];
	char	*parts[3];		/* with their own headers */
};

/* Lines end with CRLF only, are not too long and hold no control; eight bits only where that is said. */
static void
check_lines(const struct buf *b, bool body_8bit)
{
	size_t line = 0;

	for (size_t i = 0; i < b->len; i++) {
		uint8_t c = b->data[i];

		if (c == '\n') {
			assert_true(i > 0 && b->data[i - 1] == '\r');
			assert_true(i - line < 1000);
			line = i + 1;
		} else if (c == '\r') {
			assert_true(i + 1 < b->len && b->data[i + 1] == '\n');
		} else {
			assert_true(c >= ' ' || c == '\t');
			assert_int_not_equal(c, 0x7f);
		}
		assert_true(c < 0x80 || body_8bit);
	}
	assert_int_equal(line, b->len);
}

static size_t
count_of(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

/* Each line of a header is one of these fields, once, or goes on. */
static void
check_fields(const char *p, const char *end, const char *const *names, size_t n, bool once)
{
	bool seen[24] = { false };

	for (const char *next; p < end; p = next) {
		size_t i = 0;

		next = strstr(p, "\r\n");
		assert_true(next != NULL && next < end + 2);
		next += 2;
		if (*p == ' ' || *p == '\t')
			continue;
		while (i < n && (strncmp(p, names[i], strlen(names[i])) != 0 || strncmp(p + strlen(names[i]), ": ", 2) != 0))
			i++;
		if (i == n)
			print_error("unknown field: %.60s\n", p);
		assert_true(i < n);
		assert_false(once && seen[i]);
		seen[i] = true;
	}
}

static void
check(const struct report *r, struct checked *c, struct report_needs *needs)
{
	static const char *const fields[] = { "Date", "From", "To", "Subject", "Message-ID", "References", "Auto-Submitted", "MIME-Version",
	    "Content-Type", "Content-Transfer-Encoding" };
	static const char *const of_message[] = { "Reporting-MTA", "Original-Envelope-Id", "X-Postern-Queue-Id", "Arrival-Date" };
	static const char *const of_recipient[] = { "Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA",
	    "Diagnostic-Code", "Last-Attempt-Date", "Will-Retry-Until" };
	char delimiter[90], *at, *end, *group;
	struct buf b;

	buf_init(&b, 8u << 20);
	assert_int_equal(report_compose(r, &b, needs), ERR_OK);
	assert_int_equal(buf_put_nul(&b), ERR_OK);
	if (!needs->smtputf8)
		check_lines(&b, needs->body_8bit);
	c->text = (char *)b.data;
	end = strstr(c->text, "\r\n\r\n");
	assert_non_null(end);
	snprintf(c->header, sizeof(c->header), "%.*s", (int)(end + 2 - c->text), c->text);
	check_fields(c->header, c->header + strlen(c->header), fields, 10, true);
	assert_int_equal(sscanf(strstr(c->header, "boundary=\"") + 10, "%79[^\"]", c->boundary), 1);
	snprintf(delimiter, sizeof(delimiter), "\r\n--%s\r\n", c->boundary);
	assert_int_equal(count_of(c->text, c->boundary), 1 + 3 + 1);
	for (size_t i = 0; i < 3; i++) {
		at = strstr(i == 0 ? c->text : c->parts[i - 1], delimiter);
		assert_non_null(at);
		c->parts[i] = at + strlen(delimiter);
		*at = 0;
	}
	snprintf(delimiter, sizeof(delimiter), "\r\n--%s--\r\n", c->boundary);
	at = strstr(c->parts[2], delimiter);
	assert_non_null(at);
	assert_string_equal(at, delimiter);
	*at = 0;
	/* The machine's part: a group of the message, then one a recipient. */
	assert_int_equal(strncmp(c->parts[1], "Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: 7bit\r\n\r\n", 74), 0);
	group = c->parts[1] + 74;
	end = strstr(group, "\r\n\r\n");
	assert_non_null(end);
	check_fields(group, end + 2, of_message, 4, true);
	for (size_t i = 0; i < r->n; i++) {
		group = end + 4;
		end = strstr(group, "\r\n\r\n");
		if (end == NULL)
			end = group + strlen(group) - 2;
		check_fields(group, end + 2, of_recipient, 8, true);
	}
	assert_int_equal(end[2], 0);
}

static void
assert_has(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		print_error("'%s' is not in:\n%s\n", what, text);
	assert_non_null(strstr(text, what));
}

/* The same of words, which may be on two lines. */
static void
assert_says(const char *text, const char *what)
{
	char *copy = strdup(text), *to = copy;

	for (const char *p = text; *p != 0; p++)
		if (*p != '\r')
			*to++ = *p == '\n' ? ' ' : *p;
	*to = 0;
	assert_has(copy, what);
	free(copy);
}

static void
test_causes(void **state)
{
	static const struct {
		enum delivery_stage	stage;
		uint16_t		code;
		const char		*enhanced, *reply, *words, *status;
	} rows[] = {
		{ DELIVERY_RCPT, 550, "5.1.1", "5.1.1 unknown", "There is no such mailbox.", "5.1.1" },
		{ DELIVERY_RCPT, 550, NULL, "unknown", "There is no such mailbox.", "5.0.0" },
		{ DELIVERY_RCPT, 552, "5.2.2", "over quota", "The mailbox is full.", "5.2.2" },
		{ DELIVERY_RCPT, 452, "4.2.2", "over quota", "The mailbox is full.", "4.4.7" },
		{ DELIVERY_RCPT, 550, "5.2.1", "disabled", "The mailbox is not in use.", "5.2.1" },
		{ DELIVERY_RESOLVE, 0, "5.1.2", "there is no such domain", "The domain of the address does not exist.", "5.1.2" },
		{ DELIVERY_RESOLVE, 0, "5.1.10", "null MX", "The domain of the address takes no mail.", "5.1.10" },
		{ DELIVERY_RESOLVE, 0, "4.4.3", "no answer of the name server", "It could not be found out", "4.4.7" },
		{ DELIVERY_CONNECT, 0, "4.4.1", "connection refused", "could not be reached.", "4.4.7" },
		{ DELIVERY_GREETING, 554, NULL, "go away", "takes it for spam", "5.0.0" },
		{ DELIVERY_TLS, 0, "4.7.5", "certificate verify failed", "encrypted connection", "4.4.7" },
		{ DELIVERY_LOGIN, 535, "5.7.8", "no", "could not log in", "5.7.8" },
		{ DELIVERY_END, 554, "5.7.1", "spam", "takes it for spam", "5.7.1" },
		{ DELIVERY_END, 550, "5.7.26", "by DMARC", "could not make sure that the message comes from your domain", "5.7.26" },
		{ DELIVERY_END, 552, "5.3.4", "too big", "too big", "5.3.4" },
		{ DELIVERY_MAIL, 552, NULL, "too big", "too big", "5.0.0" },
		{ DELIVERY_MAIL, 0, "5.6.7", "no SMTPUTF8", "letters outside ASCII", "5.6.7" },
		{ DELIVERY_MAIL, 0, "5.6.3", "no 8BITMIME", "message of this form", "5.6.3" },
		{ DELIVERY_END, 451, "4.7.1", "greylisted", "for now, each time", "4.4.7" },
		{ DELIVERY_ROUTE, 0, "5.4.6", "loop", "in a circle", "5.4.6" },
		{ DELIVERY_ROUTE, 0, "4.4.4", "no route", "no way to send", "4.4.7" },
		{ DELIVERY_ROUTE, 0, "5.0.0", STATE_RETURNED_REPLY, "returned by the administrator", "5.0.0" },
		{ DELIVERY_RCPT, 599, "9.9.9", "?", "does not take the message", "5.0.0" },
	};
	struct report_needs needs;
	struct checked c;
	char status[40];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sample *s = make(REPORT_FAILURE, "bob@example.net", rows[i].stage, rows[i].code, rows[i].enhanced, rows[i].reply);

		check(&s->report, &c, &needs);
		assert_says(c.parts[0], rows[i].words);
		snprintf(status, sizeof(status), "\r\nStatus: %s\r\n", rows[i].status);
		assert_has(c.parts[1], status);
		assert_has(c.parts[1], "\r\nAction: failed\r\n");
		assert_says(c.parts[0], "has been tried for 5 days");
		assert_has(c.header, "Subject: Your message could not be delivered to\r\n bob@example.net\r\n");
		assert_has(c.header, "References: <offer.1@example.org>\r\n");
		free(c.text);
	}
}

static void
test_kinds(void **state)
{
	struct report_needs needs;
	struct checked c;
	struct sample *s;

	(void)state;
	s = make(REPORT_DELAY, "bob@example.net", DELIVERY_CONNECT, 0, "4.4.1", "connection refused");
	check(&s->report, &c, &needs);
	assert_has(c.parts[1], "\r\nAction: delayed\r\nStatus: 4.4.1\r\n");
	assert_has(c.parts[1], "\r\nWill-Retry-Until: ");
	assert_says(c.parts[0], "You need not send it again");
	assert_has(c.header, "is delayed on its way to\r\n bob@example.net\r\n");
	free(c.text);
	s = make(REPORT_SUCCESS, "bob@example.net", DELIVERY_END, 250, "2.1.5", "2.1.5 ok");
	check(&s->report, &c, &needs);
	assert_has(c.parts[1], "\r\nAction: delivered\r\nStatus: 2.1.5\r\n");
	free(c.text);
	s->results[0].is_relayed = true;
	check(&s->report, &c, &needs);
	assert_has(c.parts[1], "\r\nAction: relayed\r\n");
	assert_says(c.parts[0], "Handed on to a server");
	free(c.text);
	/* Several: one cause stands once, with all whom it has met. */
	s = make(REPORT_FAILURE, "a@example.net", DELIVERY_RCPT, 550, "5.1.1", "no a");
	s->recipients[1].address = (char *)(uintptr_t)"b@example.net";
	s->recipients[2].address = (char *)(uintptr_t)"c@example.net";
	s->results[1] = s->results[2] = s->results[0];
	s->results[1].enhanced = (char *)(uintptr_t)"5.2.2";
	s->envelope.nrecipients = s->state.nrecipients = s->report.n = 3;
	check(&s->report, &c, &needs);
	assert_int_equal(count_of(c.parts[0], "There is no such mailbox."), 1);
	assert_int_equal(count_of(c.parts[0], "The mailbox is full."), 1);
	assert_true(strstr(c.parts[0], "c@example.net") < strstr(c.parts[0], "b@example.net"));
	assert_has(c.header, "could not be delivered to 3 recipients\r\n");
	free(c.text);
	/* A postmaster's copy never shows a body. */
	s = make(REPORT_FAILURE, "a@example.net", DELIVERY_RCPT, 550, "5.1.1", "no a");
	s->report.is_copy = true;
	s->report.to = "postmaster@example.org";
	s->envelope.ret = (char *)(uintptr_t)"FULL";
	check(&s->report, &c, &needs);
	assert_null(strstr(c.parts[2], "Body line"));
	assert_says(c.parts[0], "Its sender is alice@example.org.");
	free(c.text);
}

static void
test_quotes(void **state)
{
	static char large[REPORT_QUOTE_MAX + 1];
	struct report_needs needs;
	struct checked c;
	struct sample *s;

	(void)state;
	s = make(REPORT_FAILURE, "bob@example.net", DELIVERY_RCPT, 550, "5.1.1", "no");
	check(&s->report, &c, &needs);
	assert_int_equal(strncmp(c.parts[2], "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\nReceived: ", 80), 0);
	assert_null(strstr(c.parts[2], "Body line"));
	free(c.text);
	s->envelope.ret = (char *)(uintptr_t)"FULL";
	check(&s->report, &c, &needs);
	assert_has(c.parts[2], "Content-Type: message/rfc822\r\n");
	assert_has(c.parts[2], "\r\n\r\nBody line\r\n");
	assert_false(needs.body_8bit);
	free(c.text);
	/* One that is too big to be given whole. */
	memset(large, 'x', sizeof(large));
	memcpy(large, "X: y\r\nSubject: z\r\nZ: ", 21);
	s->report.message = (const uint8_t *)large;
	s->report.message_len = REPORT_QUOTE_MAX;
	s->envelope.message_size = 10 * REPORT_QUOTE_MAX;
	assert_int_equal(report_quote_size(&s->envelope), REPORT_QUOTE_MAX);
	check(&s->report, &c, &needs);
	assert_string_equal(strstr(c.parts[2], "\r\n\r\n") + 4, "X: y\r\nSubject: z\r\n");
	free(c.text);
	/* A boundary that the message holds already. */
	snprintf(large, sizeof(large), "A: b\r\n\r\n--=_0sgd8c7jtfqyfxb0_0\r\n--=_0sgd8c7jtfqyfxb0_1--\r\n");
	s->report.message_len = s->envelope.message_size = strlen(large);
	check(&s->report, &c, &needs);
	assert_string_equal(c.boundary, "=_0sgd8c7jtfqyfxb0_2");
	free(c.text);
	/* Eight bits: in a whole message as they are, in a header encoded. */
	snprintf(large, sizeof(large), "Subject: \xc3\xbc\r\n\r\n\xc3\xbc\r\n");
	s->report.message_len = s->envelope.message_size = strlen(large);
	check(&s->report, &c, &needs);
	assert_true(needs.body_8bit);
	free(c.text);
	s->envelope.ret = NULL;
	s->envelope.smtputf8 = true;
	check(&s->report, &c, &needs);
	assert_false(needs.body_8bit);
	assert_has(c.parts[2], "message/global-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSubject: =C3=BC\r\n");
	free(c.text);
	/* An empty message. */
	s->report.message_len = s->envelope.message_size = 0;
	check(&s->report, &c, &needs);
	free(c.text);
}

static void
test_addresses(void **state)
{
	struct report_needs needs;
	struct checked c;
	struct sample *s;

	(void)state;
	s = make(REPORT_FAILURE, "j\xc3\xb6rg@ex\xc3\xa4mple.net", DELIVERY_RCPT, 550, "5.1.1", "no");
	s->recipients[0].orcpt = (char *)(uintptr_t)"rfc822;Bob+2BTag+40example.net";
	s->envelope.envid = (char *)(uintptr_t)"QQ+2B314+0D+0AX";
	check(&s->report, &c, &needs);
	assert_false(needs.smtputf8 || needs.body_8bit);
	assert_has(c.parts[1], "Final-Recipient: utf-8; j\\x{F6}rg@ex\\x{E4}mple.net\r\n");
	assert_has(c.parts[1], "Original-Recipient: rfc822; Bob+Tag@example.net\r\n");
	assert_has(c.parts[1], "Original-Envelope-Id: QQ+314??X\r\n");
	assert_has(c.parts[0], "charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n");
	assert_has(c.parts[0], "    j=C3=B6rg@ex=C3=A4mple.net\r\n");
	assert_has(c.header, "could not be delivered to 1 recipient\r\n");
	free(c.text);
	s->report.to = "\xc3\xa4lice@example.org";
	check(&s->report, &c, &needs);
	assert_true(needs.smtputf8);
	free(c.text);
	s = make(REPORT_FAILURE, "\"a b\\\"c\"@example.net", DELIVERY_RCPT, 550, "5.1.1", "no");
	check(&s->report, &c, &needs);
	free(c.text);
}

/* What others say can end no line, begin no field, and is bounded. */
static void
test_hosts(void **state)
{
	static const char *const rows[][2] = {
		{ "mx.example.net", "dns; mx.example.net" }, { "192.0.2.7", "dns; [192.0.2.7]" }, { "2001:db8::7", "dns; [IPv6:2001:db8::7]" },
		{ "[192.0.2.7]", "dns; [192.0.2.7]" }, { "/run/lmtp", "x-unix; /run/lmtp" }, { "4.example.net", "dns; 4.example.net" },
	};
	struct report_needs needs;
	struct checked c;
	char field[80];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sample *s = make(REPORT_FAILURE, "bob@example.net", DELIVERY_RCPT, 550, "5.1.1", "unknown");

		s->results[0].host = (char *)(uintptr_t)rows[i][0];
		check(&s->report, &c, &needs);
		snprintf(field, sizeof(field), "\r\nRemote-MTA: %s\r\n", rows[i][1]);
		assert_has(c.parts[1], field);
		free(c.text);
	}
}

static void
test_hostile(void **state)
{
	static char long_reply[RELAY_REPLY_MAX];
	static const char *const replies[] = { "a\r\nAction: delivered", "a\nStatus: 2.0.0", "\x1b[31mred\x07", "\xff\xfe\x80", "a\tb", " ", "", long_reply,
	    "--=_0sgd8c7jtfqyfxb0_0", "a  b   c" };
	struct report_needs needs;
	struct checked c;

	(void)state;
	memset(long_reply, 'w', sizeof(long_reply) - 1);
	for (size_t i = 0; i < COUNT(replies); i++) {
		struct sample *s = make(REPORT_FAILURE, "bob@example.net", DELIVERY_END, 554, "5.7.1", replies[i]);

		check(&s->report, &c, &needs);
		assert_int_equal(count_of(c.parts[1], "\r\nAction: "), 1);
		assert_int_equal(count_of(c.parts[1], "\r\nStatus: "), 1);
		free(c.text);
	}
	/* A field's value for the words is one line, whatever it holds. */
	{
		static const char odd[] = "Subject:\r\n one\x01\r\n\ttwo  \r\nSUBJECT: no\r\n\r\n";
		char value[40];

		report_get_field((const uint8_t *)odd, sizeof(odd) - 1, "Subject", value, sizeof(value));
		assert_string_equal(value, "one two");
		for (size_t cut = 0; cut < sizeof(odd); cut++) {
			uint8_t *copy = malloc(cut + 1);

			memcpy(copy, odd, cut);
			report_get_field(copy, cut, "Subject", value, sizeof(value));
			report_get_field(copy, cut, "Subject", value, 4);
			free(copy);
		}
	}
}

/* A buffer that is too small at any place is an error, and nothing leaks. */
static void
test_no_room(void **state)
{
	struct sample *s = make(REPORT_FAILURE, "bob@example.net", DELIVERY_RCPT, 550, "5.1.1", "no");
	struct report_needs needs;
	struct buf b;
	int err = ERR_TOOBIG;
	size_t max;

	(void)state;
	for (max = 1; err != ERR_OK && max < 100000; max += 37) {
		buf_init(&b, max);
		err = report_compose(&s->report, &b, &needs);
		assert_true(err == ERR_OK || err == ERR_TOOBIG);
		buf_free(&b);
	}
	assert_int_equal(err, ERR_OK);
}

/* 10,000 recipients take no time that matters to others. */
static void
test_many(void **state)
{
	enum { MANY = 10000 };
	struct sample *s = make(REPORT_FAILURE, "bob@example.net", DELIVERY_RCPT, 550, "5.1.1", "no such user");
	struct spool_recipient *recipients = calloc(MANY, sizeof(*recipients));
	struct state_recipient *results = calloc(MANY, sizeof(*results));
	size_t *indexes = calloc(MANY, sizeof(*indexes));
	struct report_needs needs;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		recipients[i] = s->recipients[0];
		results[i] = s->results[0];
		results[i].enhanced = (char *)(uintptr_t)(i % 3 == 0 ? "5.1.1" : i % 3 == 1 ? "5.2.2" : "5.7.1");
		indexes[i] = i;
	}
	s->envelope.recipients = recipients;
	s->state.recipients = results;
	s->envelope.nrecipients = s->state.nrecipients = s->report.n = MANY;
	s->report.indexes = indexes;
	buf_init(&b, 32u << 20);
	assert_int_equal(report_compose(&s->report, &b, &needs), ERR_OK);
	assert_true(b.len > MANY * 100);
	buf_free(&b);
	free(recipients);
	free(results);
	free(indexes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_causes), cmocka_unit_test(test_kinds), cmocka_unit_test(test_quotes), cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_hosts), cmocka_unit_test(test_hostile), cmocka_unit_test(test_no_room), cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
