/*
 * Logins on the local socket at a real postern-auth: whose user gets in, as whom, and that nobody gets in so elsewhere.
 */
#include "auth_driver.h"

#include <string.h>
#include <unistd.h>

#include "err.h"
#include "io.h"

static void
ask_local(int fd)
{
	struct ipc_login m = { .mechanism = MECHANISM_LOCAL };

	ipc_put_login(begin(), &m);
	send_out(fd, -1);
}

/* The sender that a user's programs are told, "?" when it is refused. */
static const char *
sender_of(uid_t uid, uint64_t account)
{
	static struct ipc_login_answer answer;
	int fd = begin_local_session(uid);
	struct ipc_message m;

	ask_local(fd);
	receive(fd, IPC_WORKER_FROM_AUTH, IPC_LOGIN_ANSWER, &m);
	assert_int_equal(ipc_get_login_answer(&m.body, &answer), ERR_OK);
	assert_int_equal(m.nfds, answer.verdict == LOGIN_OK);
	if (answer.verdict == LOGIN_OK) {
		assert_int_equal(answer.account, account);
		close(take_grant(driver.next_session, account));
	} else {
		assert_int_equal(answer.verdict, LOGIN_INVALID);
	}
	ipc_message_close(&m);
	close(fd);
	return answer.verdict == LOGIN_OK ? answer.sender : "?";
}

static void
who_gets_in(void **state)
{
	(void)state;
	assert_string_equal(sender_of(1000, driver.alice), "?");
	assert_int_equal(registry_add_local(driver.registry, driver.alice, "local:jobs", "jobs", 1000, 0), ERR_OK);
	assert_string_equal(sender_of(1000, driver.alice), "alice@example.org");
	assert_string_equal(sender_of(1001, driver.alice), "?");
	assert_string_equal(sender_of(0, driver.alice), "?");
	assert_int_equal(registry_set_disabled(driver.registry, driver.alice, true), ERR_OK);
	assert_string_equal(sender_of(1000, driver.alice), "?");
	assert_int_equal(registry_set_disabled(driver.registry, driver.alice, false), ERR_OK);
	assert_string_equal(sender_of(1000, driver.alice), "alice@example.org");
	assert_int_equal(registry_set_expiry(driver.registry, driver.alice, "local:jobs", io_now_us() - 1), ERR_OK);
	assert_string_equal(sender_of(1000, driver.alice), "?");
	assert_int_equal(registry_set_expiry(driver.registry, driver.alice, "local:jobs", 0), ERR_OK);
	assert_true(log_has("peer=\"local uid=1000\""));
	assert_true(log_has("reason=unknown"));
	assert_true(log_has("reason=disabled_or_expired"));
}

static void
which_sender(void **state)
{
	struct registry *r = driver.registry;
	uint64_t id;

	(void)state;
	assert_int_equal(registry_add_bare_account(r, "server", &id), ERR_OK);
	assert_int_equal(registry_add_local(r, id, "root", "root", 0, 0), ERR_OK);
	assert_string_equal(sender_of(0, id), "");
	assert_int_equal(registry_add_sender(r, id, "<>"), ERR_OK);
	assert_string_equal(sender_of(0, id), "");
	assert_int_equal(registry_add_sender(r, id, "*@hosts.example.org"), ERR_OK);
	assert_string_equal(sender_of(0, id), "*@hosts.example.org");
	assert_int_equal(registry_add_sender(r, id, "zoe@example.org"), ERR_OK);
	assert_string_equal(sender_of(0, id), "zoe@example.org");
	assert_int_equal(registry_add_sender(r, id, "jobs+*@example.org"), ERR_OK);
	assert_string_equal(sender_of(0, id), "zoe@example.org");
	/* A credential that is narrowed names its own. */
	assert_int_equal(registry_add_scope(r, id, "root", SCOPE_SENDER, "cron@hosts.example.org"), ERR_OK);
	assert_string_equal(sender_of(0, id), "cron@hosts.example.org");
	assert_int_equal(registry_clear_scope(r, id, "root", SCOPE_SENDER), ERR_OK);
	assert_int_equal(registry_add_scope(r, id, "root", SCOPE_SENDER, "alice@example.org"), ERR_OK);
	assert_string_equal(sender_of(0, id), "");
}

/* On the local socket only so, and so only there. */
static void
bad_frames(void **state)
{
	int fd = begin_local_session(1000);

	(void)state;
	ask_login_as(fd, "", "alice@example.org", "secret");
	expect_end(fd);
	close(fd);
	fd = begin_session();
	ask_local(fd);
	expect_end(fd);
	close(fd);
	fd = begin_local_session(1000);
	ask_local(fd);
	assert_int_equal(take_login(fd, NULL), LOGIN_OK);
	close(take_grant(driver.next_session, driver.alice));
	ask_local(fd);
	expect_end(fd);
	close(fd);
	expect_silence(driver.link);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_gets_in),
		cmocka_unit_test(which_sender),
		cmocka_unit_test(bad_frames),
	};

	return cmocka_run_group_tests(tests, driver_set_up, driver_tear_down);
}
