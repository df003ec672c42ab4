/*
 * The reply table: every row is well formed, and every reply of the specification that has its cause by now is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "reply.h"

static void
check_form(enum reply_id id, const struct reply *r, const struct reply_form *f)
{
	assert_true(f->code >= 211 && f->code <= 555);
	if ((r->traits & REPLY_BARE) != 0) {
		assert_int_equal(f->enhanced[0], 0);
	} else {
		if (f->code / 100 != f->enhanced[0])
			fail_msg("row %d: class of %u is not that of %u.x.x", (int)id, f->code, f->enhanced[0]);
	}
	if (f->code / 100 == 3)
		assert_true((r->traits & REPLY_BARE) != 0);
	assert_null(strpbrk(f->text, "\r\n"));
	assert_true(strlen(f->text) < REPLY_LINE_MAX - 64);
	assert_int_equal((r->traits & REPLY_TAKES_ARGUMENT) != 0, strchr(f->text, '$') != NULL);
}

static void
every_row_is_well_formed(void **state)
{
	(void)state;
	assert_null(reply_find(REPLY_NONE));
	assert_null(reply_find(REPLY_COUNT));
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		const struct reply *r = reply_find((enum reply_id)id);

		assert_non_null(r);
		assert_non_null(r->form.text);
		assert_non_null(r->cause);
		check_form((enum reply_id)id, r, &r->form);
		if (r->rfc.code != 0)
			check_form((enum reply_id)id, r, &r->rfc);
		/* What closes says 2xx, 4xx or 5xx, never leaves the client waiting. */
		if ((r->traits & REPLY_CLOSES) != 0)
			assert_int_not_equal(r->form.code / 100, 3);
	}
}

static void
specification_is_covered(void **state)
{
	static const struct { unsigned code; const char *text; } wanted[] = {
		{ 214, "Help message" }, { 220, "SMTP Service ready" }, { 220, "Ready to start TLS" },
		{ 221, "Service closing transmission channel" }, { 235, "Authentication successful" }, { 250, "Ok" },
		{ 252, "Cannot VRFY user, but will accept message and attempt delivery" },
		{ 334, "VXNlcm5hbWU6" }, { 334, "UGFzc3dvcmQ6" }, { 334, "Ok" },
		{ 354, "Start mail input; end with <CRLF>.<CRLF>" }, { 421, "Timeout waiting for data from client" },
		{ 421, "Service not available, closing transmission channel" },
		{ 450, "Requested mail action not taken: mailbox unavailable" },
		{ 451, "Requested action aborted: local error in processing" },
		{ 452, "Requested action not taken: insufficient system storage" }, { 452, "Too many recipients" },
		{ 454, "TLS not available due to temporary reason" }, { 454, "Temporary authentication failure" },
		{ 500, "Syntax error, command unrecognized" }, { 500, "The number of sessions exceeds the maximum" },
		{ 501, "Syntax error in parameters or arguments" },
		{ 501, "Email address must be enclosed in angle brackets,like <address>" },
		{ 501, "Invalid command argument, not a valid Base64 string" },
		{ 501, "Syntax error, no parameters allowed" }, { 502, "Command not implemented" },
		{ 503, "Refusing any other AUTH command" }, { 503, "Bad sequence of commands" },
		{ 504, "Command parameter not implemented" }, { 521, "Machine does not accept mail" },
		{ 530, "Invalid email address" }, { 530, "Authentication required" },
		{ 530, "Must issue a STARTTLS command first" }, { 535, "Authentication credentials invalid" },
		{ 538, "Encryption required for requested authentication mechanism" },
		{ 550, "Requested action not taken: mailbox unavailable" },
		{ 552, "Requested mail action aborted: exceeded storage allocation" }, { 553, "Sender not allowed" },
		{ 554, "Transaction failed" }, { 554, "No SMTP service here" },
		{ 555, "MAIL FROM/RCPT TO parameters not recognized or not implemented" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		char line[REPLY_LINE_MAX * 2];
		bool found = false;

		for (int id = REPLY_NONE + 1; id < REPLY_COUNT && !found; id++) {
			const struct reply *r = reply_find((enum reply_id)id);
			size_t n = reply_put(line, sizeof(line) - 1, (enum reply_id)id, "Help message", false);

			line[n] = 0;
			found = r->form.code == wanted[i].code && strstr(line, wanted[i].text) != NULL;
		}
		if (!found)
			fail_msg("no reply %u %s", wanted[i].code, wanted[i].text);
	}
}

static void
lines_are_made_as_they_should(void **state)
{
	static const struct { enum reply_id id; const char *argument; bool rfc; const char *line; } cases[] = {
		{ REPLY_OK, NULL, false, "250 2.0.0 Ok\r\n" },
		{ REPLY_GREETING, "mail.example.org", false, "220 mail.example.org ESMTP SMTP Service ready\r\n" },
		{ REPLY_BYE, "mail.example.org", false, "221 2.0.0 mail.example.org Service closing transmission channel\r\n" },
		{ REPLY_QUEUED, "abc", false, "250 2.0.0 Ok: queued as abc\r\n" },
		{ REPLY_HELLO, "one\ntwo\nthree", false, "250-one\r\n250-two\r\n250 three\r\n" },
		{ REPLY_HELP, "a\nb", false, "214-2.0.0 a\r\n214 2.0.0 b\r\n" },
		{ REPLY_AUTH_CONTINUE, NULL, false, "334 Ok\r\n" }, { REPLY_AUTH_CONTINUE, NULL, true, "334 \r\n" },
		{ REPLY_TOO_MANY_SESSIONS, NULL, true, "421 4.7.0 The number of sessions exceeds the maximum\r\n" },
		{ REPLY_INVALID_ADDRESS, NULL, true, "553 5.1.3 Invalid email address\r\n" },
		/* Nothing foreign ends a line or begins another. */
		{ REPLY_QUEUED, "a\r\nb\x01\xff", false, "250 2.0.0 Ok: queued as a??b??\r\n" },
	};
	char line[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = reply_put(line, sizeof(line) - 1, cases[i].id, cases[i].argument, cases[i].rfc);

		line[n] = 0;
		assert_string_equal(line, cases[i].line);
	}
	assert_int_equal(reply_put(line, 5, REPLY_OK, NULL, false), 0);
	assert_int_equal(reply_put(line, sizeof(line), REPLY_NONE, NULL, false), 0);
}

static void
long_argument_is_cut(void **state)
{
	char argument[4096], line[REPLY_LINE_MAX + 1];
	size_t n;

	(void)state;
	memset(argument, 'x', sizeof(argument) - 1);
	argument[sizeof(argument) - 1] = 0;
	n = reply_put(line, sizeof(line), REPLY_QUEUED, argument, false);
	assert_int_equal(n, REPLY_LINE_MAX);
	assert_memory_equal(line + n - 2, "\r\n", 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_well_formed), cmocka_unit_test(specification_is_covered),
		cmocka_unit_test(lines_are_made_as_they_should), cmocka_unit_test(long_argument_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
