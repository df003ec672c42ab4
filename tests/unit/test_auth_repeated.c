/*
 * A recipient that is given again, at a real postern-auth: one copy, and of the wishes of both what asks for more.
 */
#include "auth_driver.h"

#include <string.h>
#include <unistd.h>

#include "err.h"

static enum recipient_verdict
recipient_with(int fd, const char *address, uint8_t notify, const char *orcpt, uint32_t t)
{
	struct ipc_recipient m = { .notify = notify };
	struct ipc_recipient_answer answer;
	struct ipc_message got;

	snprintf(m.orcpt, sizeof(m.orcpt), "%s", orcpt);
	assert_int_equal(addr_parse(&m.address, address, strlen(address), true), ERR_OK);
	ipc_put_recipient(begin(), &m);
	send_out(fd, -1);
	receive(fd, IPC_WORKER_FROM_AUTH, IPC_RECIPIENT_ANSWER, &got);
	assert_int_equal(ipc_get_recipient_answer(&got.body, &answer), ERR_OK);
	assert_int_equal(answer.t, t);
	return answer.verdict;
}

static void
expect_recipient_with(uint64_t session, const char *address, uint8_t notify, const char *orcpt)
{
	struct ipc_envelope_recipient e;
	struct ipc_message m;

	receive(driver.link, IPC_SPOOL_FROM_AUTH, IPC_ENVELOPE_RECIPIENT, &m);
	assert_int_equal(ipc_get_envelope_recipient(&m.body, &e), ERR_OK);
	assert_int_equal(e.session, session);
	assert_string_equal(e.recipient.address.text, address);
	assert_int_equal(e.recipient.notify, notify);
	assert_string_equal(e.recipient.orcpt, orcpt);
}

/* The same recipient again: one copy, and of the reports that were asked for none is lost. The spool hears the envelope anew. */
static void
test_recipient_again(void **state)
{
	enum { NEVER = DSN_NOTIFY_NEVER, SUCCESS = DSN_NOTIFY_SUCCESS, FAILURE = DSN_NOTIFY_FAILURE, LATE = DSN_NOTIFY_DELAY };
	static const struct {
		uint8_t		 first, second, both;	/* NOTIFY; 0: not given, which is FAILURE and DELAY */
		const char	*orcpt, *second_orcpt, *both_orcpt;
	} cases[] = {
		{ NEVER, FAILURE, FAILURE, "", "", "" },
		{ NEVER, 0, 0, "", "", "" },
		{ NEVER, SUCCESS, SUCCESS, "rfc822;a", "rfc822;b", "rfc822;a" },
		{ FAILURE, SUCCESS, SUCCESS | FAILURE, "", "rfc822;b", "rfc822;b" },
		{ FAILURE, SUCCESS | LATE, SUCCESS | FAILURE | LATE, "rfc822;a", "", "rfc822;a" },
		{ 0, SUCCESS, SUCCESS | FAILURE | LATE, "", "", "" },
		{ SUCCESS, 0, SUCCESS | FAILURE | LATE, "", "", "" },
		{ LATE, 0, 0, "", "", "" },
		{ FAILURE, FAILURE, FAILURE, "", "rfc822;b", "rfc822;b" },
		/* Nothing is added. */
		{ FAILURE, FAILURE, 255, "rfc822;a", "rfc822;b", "" },
		{ 0, 0, 255, "", "", "" },
		{ 0, FAILURE, 255, "", "", "" },
		{ 0, NEVER, 255, "", "", "" },
		{ FAILURE, NEVER, 255, "", "", "" },
		{ NEVER, NEVER, 255, "", "", "" },
	};
	int fd = log_in("alice@example.org", "secret", driver.alice);
	uint64_t n = driver.next_session;
	struct ipc_message m;
	uint32_t t;

	(void)state;
	for (uint32_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(sender(fd, "alice@example.org", 0, &t), SENDER_OK);
		expect_envelope_sender(n, t, "alice@example.org");
		assert_int_equal(recipient_with(fd, "x@y", SUCCESS, "rfc822;x", t), RECIPIENT_OK);
		expect_recipient_with(n, "x@y", SUCCESS, "rfc822;x");
		assert_int_equal(recipient_with(fd, "a@b", cases[i].first, cases[i].orcpt, t), RECIPIENT_OK);
		expect_recipient_with(n, "a@b", cases[i].first, cases[i].orcpt);
		assert_int_equal(recipient_with(fd, "z@y", 0, "", t), RECIPIENT_OK);
		expect_recipient_with(n, "z@y", 0, "");
		if (cases[i].both == 255) {
			assert_int_equal(recipient_with(fd, "a@B", cases[i].second, cases[i].second_orcpt, t), RECIPIENT_OK);
			check_row(i, receive_within(driver.link, IPC_SPOOL_FROM_AUTH, &m, 50) == ERR_TIMEOUT);
			continue;
		}
		/* What was opened by the old number is no message any more. */
		assert_int_equal(recipient_with(fd, "a@B", cases[i].second, cases[i].second_orcpt, t + 1), RECIPIENT_OK);
		expect_envelope_sender(n, t + 1, "alice@example.org");
		expect_recipient_with(n, "x@y", SUCCESS, "rfc822;x");
		expect_recipient_with(n, "a@b", cases[i].both, cases[i].both_orcpt);
		expect_recipient_with(n, "z@y", 0, "");
		assert_int_equal(judge_from(n, t, "alice@example.org", NULL), HEADER_UNAVAILABLE);
		assert_int_equal(recipient_with(fd, "fourth@y", 0, "", 0), RECIPIENT_TOO_MANY);
		assert_int_equal(judge_from(n, t + 1, "alice@example.org", NULL), HEADER_ALLOWED);
		/* An approval is good for one message: none more comes of it. */
		assert_int_equal(recipient_with(fd, "x@y", LATE, "", 0), RECIPIENT_UNAVAILABLE);
	}
	close(fd);
	expect_silence(driver.link);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recipient_again),
	};

	return cmocka_run_group_tests(tests, driver_set_up, driver_tear_down);
}
