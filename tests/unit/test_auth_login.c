/*
 * Logins at a real postern-auth: who gets in, how long a refusal takes, floods, slots, a new configuration.
 */
#include "auth_driver.h"

#include <string.h>
#include <unistd.h>

#include "err.h"
#include "io.h"

/* Right ones at once (by now or remembered), wrong ones all after the same time. */
static void
test_login(void **state)
{
	static const struct {
		const char		*authzid, *user, *password;
		enum login_verdict	 verdict;
		bool			 is_bob;
	} cases[] = {
		{ "", "alice@example.org", "secret", LOGIN_OK, false },
		{ "", "ALICE@Example.Org", "secret", LOGIN_OK, false },
		{ "Alice@example.org", "alice@example.org", "secret", LOGIN_OK, false },
		{ "bob@example.org", "alice@example.org", "secret", LOGIN_INVALID, false },
		{ "", "alice@example.org", "Secret", LOGIN_INVALID, false },
		{ "", "alice@example.org", "secret2", LOGIN_INVALID, false },
		{ "", "alice@example.org", "", LOGIN_INVALID, false },
		{ "", "", "secret", LOGIN_INVALID, false },
		{ "", "nobody@example.org", "secret", LOGIN_INVALID, false },
		{ "", "bob@example.org", "hidden", LOGIN_OK, true },
		{ "", "bob@example.org", "pass2", LOGIN_OK, true },	/* his third credential */
		{ "", "bob@example.org", "secret", LOGIN_INVALID, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int fd = begin_session();
		uint64_t started = io_now_ms(), took;

		ask_login_as(fd, cases[i].authzid, cases[i].user, cases[i].password);
		check_row(i, take_login(fd, NULL) == cases[i].verdict);
		took = io_now_ms() - started;
		if (cases[i].verdict == LOGIN_INVALID)
			check_row(i, took + 2 >= DELAY && took < DELAY * 4);
		else
			close(take_grant(driver.next_session, cases[i].is_bob ? driver.bob : driver.alice));
		close(fd);
	}
	expect_silence(driver.link);
	assert_true(log_has("reason=unknown"));
	assert_true(log_has("reason=password"));
	assert_true(log_has("reason=authzid"));
	assert_false(log_has("secret"));
}

static void
test_login_odd(void **state)
{
	struct ipc_login m = { .mechanism = MECHANISM_LOGIN, .user = (const uint8_t *)"alice@example.org\0x", .user_len = 19,
	    .password = (const uint8_t *)"secret", .password_len = 6 };
	static uint8_t text[IPC_CREDENTIAL_MAX];
	int fd = begin_session();

	(void)state;
	ipc_put_login(begin(), &m);
	send_out(fd, -1);
	assert_int_equal(take_login(fd, NULL), LOGIN_INVALID);
	m.user_len = 17;
	m.password = (const uint8_t *)"secret\0";
	m.password_len = 7;
	ipc_put_login(begin(), &m);
	send_out(fd, -1);
	assert_int_equal(take_login(fd, NULL), LOGIN_INVALID);
	memset(text, 'a', sizeof(text));
	m.password = text;
	m.password_len = sizeof(text);
	ipc_put_login(begin(), &m);
	send_out(fd, -1);
	assert_int_equal(take_login(fd, NULL), LOGIN_INVALID);
	/* The same session may try again, and succeed. */
	ask_login_as(fd, "", "alice@example.org", "secret");
	assert_int_equal(take_login(fd, NULL), LOGIN_OK);
	close(take_grant(driver.next_session, driver.alice));
	close(fd);
}

static void
test_login_disabled(void **state)
{
	uint64_t started = io_now_ms();
	int fd = begin_session();

	(void)state;
	assert_int_equal(registry_set_disabled(driver.registry, driver.bob, true), ERR_OK);
	ask_login_as(fd, "", "bob@example.org", "hidden");
	assert_int_equal(take_login(fd, NULL), LOGIN_INVALID);
	assert_in_range(io_now_ms() - started + 2, DELAY, DELAY * 4);
	assert_true(log_has("reason=disabled"));
	assert_int_equal(registry_set_disabled(driver.registry, driver.bob, false), ERR_OK);
	ask_login_as(fd, "", "bob@example.org", "hidden");
	assert_int_equal(take_login(fd, NULL), LOGIN_OK);
	close(take_grant(driver.next_session, driver.bob));
	close(fd);
}

/* More wrong passwords at once than the children check in the time: each is answered at a multiple of it, or unavailable. */
static void
test_login_flood(void **state)
{
	int fds[160], friend;
	int invalid = 0, unavailable = 0;
	uint64_t started = io_now_ms();

	(void)state;
	for (size_t i = 0; i < COUNT(fds); i++) {
		fds[i] = begin_session_at("198.51.100.7:1");
		ask_login_as(fds[i], "", "alice@example.org", "guess");
	}
	/* Another network does not wait behind them. */
	friend = begin_session_at("203.0.113.5:1");
	ask_login_as(friend, "", "bob@example.org", "pass2");
	assert_int_equal(take_login(friend, NULL), LOGIN_OK);
	assert_true(io_now_ms() - started < 1500);
	close(take_grant(driver.next_session, driver.bob));
	close(friend);
	for (size_t i = 0; i < COUNT(fds); i++) {
		enum login_verdict verdict = take_login(fds[i], NULL);

		invalid += verdict == LOGIN_INVALID;
		unavailable += verdict == LOGIN_UNAVAILABLE;
		close(fds[i]);
	}
	assert_int_equal(invalid + unavailable, COUNT(fds));
	assert_in_range(invalid, 128, 140);	/* waiting, being computed, and computed meanwhile */
	assert_true(log_has("hashing.queue_full"));
}

/* Workers that go away while their login is being hashed, waits, or is to be answered. */
static void
test_login_gone(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		int fd = begin_session();

		ask_login_as(fd, "", "alice@example.org", i % 2 != 0 ? "guess" : "secret");
		usleep((useconds_t)(i * 5000));
		close(fd);
	}
	usleep(500000);
	for (struct ipc_message m; receive_within(driver.link, IPC_SPOOL_FROM_AUTH, &m, 50) == ERR_OK;)
		ipc_message_close(&m);
	close(log_in("alice@example.org", "secret", driver.alice));
}

static void
test_slots(void **state)
{
	int one = log_in("alice@example.org", "secret", driver.alice), three, bob;
	int two = log_in("alice@example.org", "secret", driver.alice);
	uint64_t started = io_now_ms();

	(void)state;
	three = begin_session();
	ask_login_as(three, "", "alice@example.org", "secret");
	/* Others are not held up. */
	bob = log_in("bob@example.org", "hidden", driver.bob);
	close(bob);
	assert_int_equal(take_login(three, NULL), LOGIN_TOO_MANY);
	assert_in_range(io_now_ms() - started + 5, 2000, 4000);
	assert_true(log_has("login.too_many"));
	/* Free within the two seconds. */
	started = io_now_ms();
	ask_login_as(three, "", "alice@example.org", "secret");
	usleep(300000);
	close(one);
	assert_int_equal(take_login(three, NULL), LOGIN_OK);
	assert_true(io_now_ms() - started < 1900);
	close(take_grant(driver.next_session - 1, driver.alice));
	close(two);
	close(three);
}

static void
test_reload(void **state)
{
	static const char text[] = "[limits]\nrecipients = 1\nsessions_per_account = 5\n[auth]\nfailure_delay = 200ms\nthrottle_after = 1000\n";
	int old = log_in("alice@example.org", "secret", driver.alice), new, memory = make_memory(text);
	uint64_t old_number = driver.next_session, started;

	(void)state;
	ipc_put_empty(begin(), IPC_RELOAD);
	send_out(driver.control, memory);
	close(memory);
	new = begin_session();
	started = io_now_ms();
	ask_login_as(new, "", "alice@example.org", "guess");
	assert_int_equal(take_login(new, NULL), LOGIN_INVALID);
	assert_in_range(io_now_ms() - started + 2, 200, DELAY - 2);
	ask_login_as(new, "", "alice@example.org", "secret");
	assert_int_equal(take_login(new, NULL), LOGIN_OK);
	close(take_grant(driver.next_session, driver.alice));
	assert_int_equal(sender(new, "alice@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(driver.next_session, 1, "alice@example.org");
	assert_int_equal(recipient(new, "a@b"), RECIPIENT_OK);
	expect_envelope_recipient(driver.next_session, 1, "a@b");
	assert_int_equal(recipient(new, "c@b"), RECIPIENT_TOO_MANY);
	assert_int_equal(sender(old, "alice@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(old_number, 1, "alice@example.org");
	assert_int_equal(recipient(old, "a@b"), RECIPIENT_OK);
	assert_int_equal(recipient(old, "c@b"), RECIPIENT_OK);
	expect_envelope_recipient(old_number, 1, "a@b");
	expect_envelope_recipient(old_number, 1, "c@b");
	/* A bad one changes nothing. */
	memory = make_memory("nonsense = 1\n");
	ipc_put_empty(begin(), IPC_RELOAD);
	send_out(driver.control, memory);
	close(memory);
	assert_int_equal(recipient(new, "d@b"), RECIPIENT_TOO_MANY);
	close(old);
	close(new);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_login_odd),
		cmocka_unit_test(test_login_disabled),
		cmocka_unit_test(test_login_flood),
		cmocka_unit_test(test_login_gone),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_reload),
	};

	return cmocka_run_group_tests(tests, driver_set_up, driver_tear_down);
}
