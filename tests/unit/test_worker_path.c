/*
 * The arguments of MAIL and RCPT: a table of cases each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"

struct mail_case {
	const char	*argument;
	enum path_error	 error;
	const char	*address;	/* when good */
};

static const struct mail_case mails[] = {
	{ "FROM:<a@b.example>", PATH_OK, "a@b.example" },
	{ "from:<a@b.example>", PATH_OK, "a@b.example" },
	{ "FROM: <a@b.example>", PATH_OK, "a@b.example" },
	{ "FROM:<>", PATH_OK, "" },
	{ "FROM:<a@[192.0.2.1]>", PATH_OK, "a@[192.0.2.1]" },
	{ "FROM:<a@[IPv6:2001:db8::1]>", PATH_OK, "a@[IPv6:2001:db8::1]" },
	{ "FROM:<\"a b\"@b.example>", PATH_OK, "\"a b\"@b.example" },
	{ "FROM:<\"a>b\"@b.example>", PATH_OK, "\"a>b\"@b.example" },
	{ "FROM:<\"ab\"@b.example>", PATH_OK, "ab@b.example" },
	{ "FROM:<@one.example,@two.example:a@b.example>", PATH_OK, "a@b.example" },
	{ "FROM:<@one.example:a@b.example>", PATH_OK, "a@b.example" },
	{ "FROM:<a@b.example> SIZE=100", PATH_OK, "a@b.example" },
	{ "FROM:<a@b.example>  SIZE=100  BODY=8BITMIME", PATH_OK, "a@b.example" },
	{ "FROM:<a@b.example> body=7bit ret=hdrs ENVID=abc+2B AUTH=<>", PATH_OK, "a@b.example" },
	{ "FROM:<\xc3\xa4@b.example> SMTPUTF8", PATH_OK, "\xc3\xa4@b.example" },
	{ "FROM:", PATH_SYNTAX, NULL }, { "FROM: ", PATH_SYNTAX, NULL }, { "", PATH_SYNTAX, NULL },
	{ "<a@b.example>", PATH_SYNTAX, NULL }, { "TO:<a@b.example>", PATH_SYNTAX, NULL },
	{ "FROM<a@b.example>", PATH_SYNTAX, NULL },
	{ "FROM:<a@b.example>x", PATH_SYNTAX, NULL }, { "FROM:<a@b.example> <c@d>", PATH_SYNTAX, NULL },
	{ "FROM:<a@b.example> =1", PATH_SYNTAX, NULL }, { "FROM:<a@b.example> SIZE", PATH_SYNTAX, NULL },
	{ "FROM:<a@b.example> SIZE=", PATH_SYNTAX, NULL }, { "FROM:<a@b.example> SIZE=-1", PATH_SYNTAX, NULL },
	{ "FROM:<a@b.example> SIZE=1x", PATH_SYNTAX, NULL }, { "FROM:<a@b.example> SMTPUTF8=1", PATH_SYNTAX, NULL },
	{ "FROM:<a@b.example> RET=SOME", PATH_SYNTAX, NULL }, { "FROM:<a@b.example> ENVID=a+b", PATH_SYNTAX, NULL },
	{ "FROM:a@b.example", PATH_NEEDS_BRACKETS, NULL }, { "FROM:<a@b.example", PATH_NEEDS_BRACKETS, NULL },
	{ "FROM:a@b.example>", PATH_NEEDS_BRACKETS, NULL }, { "FROM:x<a@b.example>", PATH_NEEDS_BRACKETS, NULL },
	{ "FROM:<a>", PATH_INVALID, NULL }, { "FROM:<@b.example>", PATH_INVALID, NULL }, { "FROM:<a@>", PATH_INVALID, NULL },
	{ "FROM:<a@b..example>", PATH_INVALID, NULL }, { "FROM:<.a@b.example>", PATH_INVALID, NULL },
	{ "FROM:<\"a@b.example>", PATH_INVALID, NULL }, { "FROM:<\"a@b.example", PATH_NEEDS_BRACKETS, NULL },
	{ "FROM:<a b@b.example>", PATH_INVALID, NULL }, { "FROM:<a@b@c>", PATH_INVALID, NULL },
	{ "FROM:<a@[300.0.0.1]>", PATH_INVALID, NULL }, { "FROM:<a@b.example.>", PATH_INVALID, NULL },
	{ "FROM:<\xc3\xa4@b.example>", PATH_INVALID, NULL }, { "FROM:<\xff@b.example> SMTPUTF8", PATH_INVALID, NULL },
	{ "FROM:<@one.example,a@b.example>", PATH_INVALID, NULL },
	{ "FROM:<a@b.example> SIZE=1 SIZE=1", PATH_PARAMETER_TWICE, NULL },
	{ "FROM:<a@b.example> size=1 SIZE=1", PATH_PARAMETER_TWICE, NULL },
	{ "FROM:<a@b.example> FOO=bar", PATH_PARAMETER_UNKNOWN, NULL }, { "FROM:<a@b.example> FOO", PATH_PARAMETER_UNKNOWN, NULL },
	{ "FROM:<a@b.example> NOTIFY=NEVER", PATH_PARAMETER_UNKNOWN, NULL },
	{ "FROM:<a@b.example> BODY=BINARYMIME", PATH_PARAMETER_VALUE, NULL },
};

static void
mail_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
		struct ipc_sender m;
		enum path_error e = path_parse_mail((const uint8_t *)mails[i].argument, strlen(mails[i].argument), &m);

		if (e != mails[i].error)
			fail_msg("MAIL %s: %d, not %d", mails[i].argument, (int)e, (int)mails[i].error);
		if (e == PATH_OK)
			assert_string_equal(m.address.text, mails[i].address);
	}
}

static const struct mail_case rcpts[] = {
	{ "TO:<a@b.example>", PATH_OK, "a@b.example" }, { "TO:<postmaster>", PATH_OK, "postmaster@host.example" },
	{ "TO:<PostMaster>", PATH_OK, "postmaster@host.example" },
	{ "TO:<a@b.example> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a+2Bb@c", PATH_OK, "a@b.example" },
	{ "TO:<a@b.example> NOTIFY=never", PATH_OK, "a@b.example" },
	{ "TO:<>", PATH_INVALID, NULL }, { "TO:<a>", PATH_INVALID, NULL }, { "TO:<\xc3\xa4@b.example>", PATH_INVALID, NULL },
	{ "TO:a@b.example", PATH_NEEDS_BRACKETS, NULL }, { "FROM:<a@b.example>", PATH_SYNTAX, NULL }, { "TO:", PATH_SYNTAX, NULL },
	{ "TO:<a@b.example> NOTIFY=NEVER,DELAY", PATH_SYNTAX, NULL }, { "TO:<a@b.example> NOTIFY=", PATH_SYNTAX, NULL },
	{ "TO:<a@b.example> NOTIFY=DELAY,DELAY", PATH_SYNTAX, NULL }, { "TO:<a@b.example> NOTIFY=DELAY,", PATH_SYNTAX, NULL },
	{ "TO:<a@b.example> ORCPT=a@b", PATH_SYNTAX, NULL }, { "TO:<a@b.example> ORCPT=;a@b", PATH_SYNTAX, NULL },
	{ "TO:<a@b.example> SIZE=1", PATH_PARAMETER_UNKNOWN, NULL },
	{ "TO:<a@b.example> ORCPT=rfc822;a ORCPT=rfc822;a", PATH_PARAMETER_TWICE, NULL },
};

static void
rcpt_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rcpts) / sizeof(rcpts[0]); i++) {
		struct ipc_recipient m;
		enum path_error e = path_parse_rcpt((const uint8_t *)rcpts[i].argument, strlen(rcpts[i].argument),
		    "host.example", false, &m);

		if (e != rcpts[i].error)
			fail_msg("RCPT %s: %d, not %d", rcpts[i].argument, (int)e, (int)rcpts[i].error);
		if (e == PATH_OK)
			assert_string_equal(m.address.text, rcpts[i].address);
	}
}

static void
values_are_kept(void **state)
{
	static const char mail[] = "FROM:<a@b.example> SIZE=99999999999999999999 RET=FULL ENVID=x+2By BODY=8BITMIME SMTPUTF8";
	static const char rcpt[] = "TO:<a@b.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;q@r";
	struct ipc_recipient r;
	struct ipc_sender m;

	(void)state;
	assert_int_equal(path_parse_mail((const uint8_t *)mail, sizeof(mail) - 1, &m), PATH_OK);
	assert_true(m.size == UINT64_MAX);
	assert_int_equal(m.ret, DSN_RET_FULL);
	assert_int_equal(m.body, BODY_8BITMIME);
	assert_true(m.smtputf8);
	assert_string_equal(m.envid, "x+2By");
	assert_int_equal(path_parse_rcpt((const uint8_t *)rcpt, sizeof(rcpt) - 1, "h", false, &r), PATH_OK);
	assert_int_equal(r.notify, DSN_NOTIFY_FAILURE | DSN_NOTIFY_DELAY);
	assert_string_equal(r.orcpt, "rfc822;q@r");
}

/* RFC 6533, 3: an original recipient in UTF-8 as it is, where the transaction has SMTPUTF8. */
static void
utf8_original_recipient(void **state)
{
	static const struct {
		const char	*argument;
		bool		 smtputf8;
		enum path_error	 error;
	} rows[] = {
		{ "TO:<a@b> ORCPT=utf-8;\xc3\xa4@b", true, PATH_OK }, { "TO:<a@b> ORCPT=UTF-8;\xc3\xa4@b", true, PATH_OK },
		{ "TO:<a@b> ORCPT=utf-8;\xc3\xa4@b", false, PATH_SYNTAX }, { "TO:<a@b> ORCPT=rfc822;\xc3\xa4@b", true, PATH_SYNTAX },
		{ "TO:<a@b> ORCPT=utf-8;\xe4@b", true, PATH_SYNTAX }, { "TO:<a@b> ORCPT=utf-8;\x7f@b", true, PATH_SYNTAX },
		{ "TO:<a@b> ORCPT=utf-8;\\x{E4}@b", false, PATH_OK }, { "TO:<a@b> ORCPT=utf-8;a+2Bb@b", true, PATH_OK },
		{ "TO:<a@b> ORCPT=utf-8;", true, PATH_SYNTAX }, { "TO:<a@b> ORCPT=utf-\xc3\xa4;a@b", true, PATH_SYNTAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ipc_recipient r;
		enum path_error e = path_parse_rcpt((const uint8_t *)rows[i].argument, strlen(rows[i].argument), "h", rows[i].smtputf8, &r);

		if (e != rows[i].error)
			fail_msg("RCPT %s: %d, not %d", rows[i].argument, (int)e, (int)rows[i].error);
	}
}

/* Each good argument cut anywhere must be judged without touching what is behind the cut (the sanitizer build watches). */
static void
every_cut_is_safe(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
		for (size_t n = 0; n <= strlen(mails[i].argument); n++) {
			uint8_t *copy = malloc(n + 1);
			struct ipc_recipient r;
			struct ipc_sender m;

			assert_non_null(copy);
			memcpy(copy, mails[i].argument, n);
			path_parse_mail(copy, n, &m);
			path_parse_rcpt(copy, n, "h", true, &r);
			free(copy);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_cases), cmocka_unit_test(rcpt_cases), cmocka_unit_test(values_are_kept),
		cmocka_unit_test(utf8_original_recipient),
		cmocka_unit_test(every_cut_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
