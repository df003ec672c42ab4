/*
 * What narrows a credential at a real postern-auth: networks and canaries at login, senders, recipients and limits afterwards; and an
 * account that gets another name while sessions run.
 */
#include "auth_driver.h"

#include <string.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "message_control.h"
#include "password.h"

static void
add_credential(uint64_t account, const char *name, const char *password)
{
	char hash[REGISTRY_HASH_MAX];

	assert_int_equal(password_hash(password, strlen(password), hash), ERR_OK);
	assert_int_equal(registry_add_credential(driver.registry, account, name, hash, 0), ERR_OK);
}

static void
add_scope(uint64_t account, const char *name, enum scope_kind kind, const char *pattern)
{
	assert_int_equal(registry_add_scope(driver.registry, account, name, kind, pattern), ERR_OK);
}

/* How long the refusal took. */
static uint64_t
refuse_login(const char *peer, const char *user, const char *password)
{
	int fd = begin_session_at(peer);
	uint64_t started = io_now_ms();

	ask_login_as(fd, "", user, password);
	assert_int_equal(take_login(fd, NULL), LOGIN_INVALID);
	close(fd);
	return io_now_ms() - started;
}

static void
accept_login(const char *peer, const char *user, const char *password, uint64_t account)
{
	int fd = begin_session_at(peer);

	ask_login_as(fd, "", user, password);
	assert_int_equal(take_login(fd, NULL), LOGIN_OK);
	close(take_grant(driver.next_session, account));
	close(fd);
}

static void
test_networks(void **state)
{
	(void)state;
	add_credential(driver.alice, "office", "officepass");
	add_scope(driver.alice, "office", SCOPE_NETWORK, "198.51.100.0/24");
	add_scope(driver.alice, "office", SCOPE_NETWORK, "2001:db8::/32");
	/* Elsewhere as a wrong password, to the time of its answer; also when it is remembered from where it is right. */
	assert_in_range(refuse_login("192.0.2.1:1", "alice@example.org", "officepass") + 2, DELAY, DELAY * 4);
	assert_true(log_has("reason=network"));
	accept_login("198.51.100.9:1", "alice@example.org", "officepass", driver.alice);
	accept_login("[2001:db8::1]:1", "alice@example.org", "officepass", driver.alice);
	assert_in_range(refuse_login("192.0.2.1:1", "alice@example.org", "officepass") + 2, DELAY, DELAY * 4);
	/* Another credential with the same password is not held up by it. */
	add_scope(driver.bob, "password", SCOPE_NETWORK, "198.51.100.0/24");
	accept_login("192.0.2.1:1", "bob@example.org", "hidden", driver.bob);
	assert_int_equal(registry_clear_scope(driver.registry, driver.bob, "password", SCOPE_NETWORK), ERR_OK);
	assert_int_equal(registry_remove_credential(driver.registry, driver.alice, "office"), ERR_OK);
	assert_false(log_has("credential.canary"));
}

/* A session that runs is felt to be elsewhere once the admin says so. */
static void
test_networks_later(void **state)
{
	int fd = log_in("alice@example.org", "secret", driver.alice);

	(void)state;
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(driver.next_session, 1, "alice@example.org");
	add_scope(driver.alice, "password", SCOPE_NETWORK, "198.51.100.0/24");
	assert_int_equal(recipient(fd, "x@y"), RECIPIENT_LOGIN_VOID);
	assert_int_equal(registry_clear_scope(driver.registry, driver.alice, "password", SCOPE_NETWORK), ERR_OK);
	assert_int_equal(recipient(fd, "x@y"), RECIPIENT_OK);
	expect_envelope_recipient(driver.next_session, 1, "x@y");
	close(fd);
}

static void
test_canary(void **state)
{
	(void)state;
	add_credential(driver.alice, "bait", "canarypass");
	assert_int_equal(registry_set_canary(driver.registry, driver.alice, "bait", true), ERR_OK);
	assert_in_range(refuse_login("192.0.2.1:7", "alice@example.org", "canarypass") + 2, DELAY, DELAY * 4);
	assert_true(log_has("level=alarm"));
	assert_true(log_has("event=credential.canary account=alice@example.org credential=bait peer=192.0.2.1:7"));
	assert_true(log_has("reason=canary"));
	/* It is not remembered: each time is an alarm. */
	refuse_login("192.0.2.1:8", "alice@example.org", "canarypass");
	assert_true(log_has("credential=bait peer=192.0.2.1:8"));
	assert_false(log_has("canarypass"));
	assert_int_equal(registry_remove_credential(driver.registry, driver.alice, "bait"), ERR_OK);
}

/* A local user's credential is no password, whatever is tried. */
static void
test_local(void **state)
{
	static const char *const passwords[] = { "!", "", "www-data", "33" };
	uint64_t carol;

	(void)state;
	assert_int_equal(registry_add_bare_account(driver.registry, "carol", &carol), ERR_OK);
	assert_int_equal(registry_add_local(driver.registry, carol, "local:www-data", "www-data", 33, 0), ERR_OK);
	for (size_t i = 0; i < COUNT(passwords); i++)
		check_row(i, refuse_login("192.0.2.1:1", "carol", passwords[i]) + 2 >= DELAY);
	assert_int_equal(registry_remove_account(driver.registry, carol), ERR_OK);
}

static enum header_verdict
ask_from(uint64_t session, uint32_t t, const char *address)
{
	struct ipc_from m = { .session = session, .t = t, .n = 1 };
	struct ipc_from_answer answer;
	struct ipc_message got;

	assert_int_equal(addr_parse(&m.addresses[0], address, strlen(address), true), ERR_OK);
	ipc_put_from(begin(), &m);
	send_out(driver.link, -1);
	receive(driver.link, IPC_SPOOL_FROM_AUTH, IPC_FROM_ANSWER, &got);
	assert_int_equal(ipc_get_from_answer(&got.body, &answer), ERR_OK);
	assert_int_equal(answer.t, t);
	return answer.verdict;
}

static void
test_patterns(void **state)
{
	uint64_t n;
	int fd;

	(void)state;
	assert_int_equal(registry_add_sender(driver.registry, driver.alice, "*@example.net"), ERR_OK);
	add_credential(driver.alice, "shop", "shoppass");
	add_scope(driver.alice, "shop", SCOPE_SENDER, "shop@example.net");
	add_scope(driver.alice, "shop", SCOPE_SENDER, "x@example.com");	/* which is none of hers */
	add_scope(driver.alice, "shop", SCOPE_RECIPIENT, "*@example.org");
	add_scope(driver.alice, "shop", SCOPE_RECIPIENT, "boss@example.com");
	fd = log_in("alice@example.org", "shoppass", driver.alice);
	n = driver.next_session;
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_NOT_ALLOWED);
	assert_int_equal(sender(fd, "other@example.net", 0, NULL), SENDER_NOT_ALLOWED);
	assert_int_equal(sender(fd, "x@example.com", 0, NULL), SENDER_NOT_ALLOWED);
	assert_int_equal(sender(fd, "Shop@Example.net", 0, NULL), SENDER_OK);
	expect_envelope_sender(n, 1, "Shop@Example.net");
	assert_int_equal(recipient(fd, "a@example.com"), RECIPIENT_DENIED);
	assert_int_equal(recipient(fd, "a@sub.example.org"), RECIPIENT_DENIED);
	assert_true(log_has("event=recipient.refused account=alice@example.org recipient=a@sub.example.org reason=credential"));
	assert_int_equal(recipient(fd, "a@example.org"), RECIPIENT_OK);
	assert_int_equal(recipient(fd, "boss@example.com"), RECIPIENT_OK);
	expect_envelope_recipient(n, 1, "a@example.org");
	expect_envelope_recipient(n, 1, "boss@example.com");
	assert_int_equal(ask_from(n, 1, "shop@example.net"), HEADER_ALLOWED);
	assert_int_equal(ask_from(n, 1, "alice@example.org"), HEADER_NOT_ALLOWED);
	/* What the admin changes is felt at the next command, and the account's other credentials feel nothing. */
	assert_int_equal(registry_clear_scope(driver.registry, driver.alice, "shop", SCOPE_RECIPIENT), ERR_OK);
	assert_int_equal(recipient(fd, "a@example.com"), RECIPIENT_OK);
	expect_envelope_recipient(n, 1, "a@example.com");
	assert_int_equal(registry_clear_scope(driver.registry, driver.alice, "shop", SCOPE_SENDER), ERR_OK);
	assert_int_equal(ask_from(n, 1, "alice@example.org"), HEADER_ALLOWED);
	close(fd);
	assert_int_equal(registry_remove_credential(driver.registry, driver.alice, "shop"), ERR_OK);
	assert_int_equal(registry_remove_sender(driver.registry, driver.alice, "*@example.net"), ERR_OK);
}

/* The whole answer to MAIL. */
static struct ipc_sender_answer
ask_sender(int fd, const char *address)
{
	struct ipc_sender m = { .size = 0 };
	struct ipc_sender_answer answer;
	struct ipc_message got;

	assert_int_equal(addr_parse(&m.address, address, strlen(address), true), ERR_OK);
	ipc_put_sender(begin(), &m);
	send_out(fd, -1);
	receive(fd, IPC_WORKER_FROM_AUTH, IPC_SENDER_ANSWER, &got);
	assert_int_equal(ipc_get_sender_answer(&got.body, &answer), ERR_OK);
	return answer;
}

/* The smaller one of account and credential; one above the account's is none. */
static void
test_limits(void **state)
{
	const struct registry_limits own = { .recipients = 2, .message_size = 1000 }, wide = { .recipients = 100, .message_size = 1 << 30 };
	const struct registry_limits none = { .recipients = 0 };
	int fd = log_in("alice@example.org", "secret", driver.alice);
	uint64_t n = driver.next_session;

	(void)state;
	assert_int_equal(registry_set_credential_limits(driver.registry, driver.alice, "password", &own), ERR_OK);
	assert_int_equal(sender(fd, "alice@example.org", 1001, NULL), SENDER_TOO_BIG);
	assert_int_equal(ask_sender(fd, "alice@example.org").message_size, 1000);
	expect_envelope_sender(n, 1, "alice@example.org");
	assert_int_equal(recipient(fd, "a@b"), RECIPIENT_OK);
	assert_int_equal(recipient(fd, "b@b"), RECIPIENT_OK);
	assert_int_equal(recipient(fd, "c@b"), RECIPIENT_TOO_MANY);
	expect_envelope_recipient(n, 1, "a@b");
	expect_envelope_recipient(n, 1, "b@b");
	assert_int_equal(registry_set_credential_limits(driver.registry, driver.alice, "password", &wide), ERR_OK);
	assert_int_equal(recipient(fd, "c@b"), RECIPIENT_OK);
	expect_envelope_recipient(n, 1, "c@b");
	assert_int_equal(recipient(fd, "d@b"), RECIPIENT_TOO_MANY);
	assert_int_equal(sender(fd, "alice@example.org", (1 << 20) + 1, NULL), SENDER_TOO_BIG);
	expect_drop(n, 1);
	close(fd);
	assert_int_equal(registry_set_credential_limits(driver.registry, driver.alice, "password", &none), ERR_OK);
}

static void
test_messages_per_hour(void **state)
{
	const struct registry_limits two = { .messages_per_hour = 2 }, one = { .messages_per_hour = 1 }, none = { .messages_per_hour = 0 };
	int fd, other;
	struct ipc_sender_answer answer;
	struct ipc_message m;
	uint64_t n;

	(void)state;
	assert_int_equal(registry_set_limits(driver.registry, driver.bob, &two), ERR_OK);
	fd = log_in("bob@example.org", "pass2", driver.bob);
	n = driver.next_session;
	/* What comes to nothing does not count. */
	for (uint32_t i = 1; i <= 4; i++) {
		assert_int_equal(ask_sender(fd, "bob@example.org").verdict, SENDER_OK);
		expect_envelope_sender(n, i, "bob@example.org");
		ipc_put_empty(begin(), IPC_RESET);
		send_out(fd, -1);
		expect_drop(n, i);
	}
	/* Two do; sessions beside each other share them, also while neither is finished. */
	assert_int_equal(ask_sender(fd, "bob@example.org").verdict, SENDER_OK);
	expect_envelope_sender(n, 5, "bob@example.org");
	assert_int_equal(ask_from(n, 5, "bob@example.org"), HEADER_ALLOWED);
	other = log_in("bob@example.org", "pass2", driver.bob);
	assert_int_equal(ask_sender(other, "bob@example.org").verdict, SENDER_OK);
	expect_envelope_sender(driver.next_session, 1, "bob@example.org");
	answer = ask_sender(fd, "bob@example.org");
	assert_true(answer.verdict == SENDER_THROTTLED && answer.t == 0 && answer.message_size == 0);
	assert_in_range(answer.wait_seconds, 3500, 3660);
	assert_true(log_has("reason=too_many_messages"));
	expect_drop(n, 5);
	/* The other one's came to nothing: there is room again. */
	close(other);
	while (receive_within(driver.link, IPC_SPOOL_FROM_AUTH, &m, 100) == ERR_OK)
		ipc_message_close(&m);
	assert_int_equal(ask_sender(fd, "bob@example.org").verdict, SENDER_OK);
	expect_envelope_sender(n, 6, "bob@example.org");
	assert_int_equal(ask_from(n, 6, "bob@example.org"), HEADER_ALLOWED);
	assert_int_equal(ask_sender(fd, "bob@example.org").verdict, SENDER_THROTTLED);
	expect_drop(n, 6);
	/* Without the account's limit the credential's own holds, which looks back. */
	assert_int_equal(registry_set_limits(driver.registry, driver.bob, &none), ERR_OK);
	assert_int_equal(registry_set_credential_limits(driver.registry, driver.bob, "tablet", &one), ERR_OK);
	assert_int_equal(ask_sender(fd, "bob@example.org").verdict, SENDER_THROTTLED);
	assert_int_equal(registry_set_credential_limits(driver.registry, driver.bob, "tablet", &none), ERR_OK);
	assert_int_equal(ask_sender(fd, "bob@example.org").verdict, SENDER_OK);
	expect_envelope_sender(n, 7, "bob@example.org");
	close(fd);
}

static void
expect_kind(enum ipc_kind kind)
{
	struct ipc_message m;

	receive(driver.link, IPC_SPOOL_FROM_AUTH, kind, &m);
}

static void
tell_refused(uint64_t session, uint32_t t)
{
	struct ipc_refused m = { .session = session, .t = t };

	ipc_put_refused(begin(), &m);
	send_out(driver.link, -1);
}

/* The same where the header is not checked: a message counts whatever its From field, and so do recipients; a sender alone does not. */
static void
test_messages_per_hour_unchecked(void **state)
{
	const struct registry_limits one = { .messages_per_hour = 1 }, two = { .messages_per_hour = 2 },
	    none = { .messages_per_hour = 0 };
	int fd, memory = make_memory("[auth]\nfailure_delay = 400ms\n[senders]\ncheck_header = off\n");

	(void)state;
	ipc_put_empty(begin(), IPC_RELOAD);
	send_out(driver.control, memory);
	close(memory);
	add_credential(driver.alice, "hourly", "hourpass");
	assert_int_equal(registry_set_credential_limits(driver.registry, driver.alice, "hourly", &one), ERR_OK);
	fd = log_in("alice@example.org", "hourpass", driver.alice);
	assert_int_equal(ask_sender(fd, "alice@example.org").verdict, SENDER_OK);
	ipc_put_empty(begin(), IPC_RESET);
	send_out(fd, -1);
	assert_int_equal(ask_sender(fd, "alice@example.org").verdict, SENDER_OK);
	expect_kind(IPC_ENVELOPE_SENDER);
	expect_kind(IPC_ENVELOPE_DROP);
	expect_kind(IPC_ENVELOPE_SENDER);
	assert_int_equal(ask_from(driver.next_session, 2, "bob@example.org"), HEADER_NOT_ALLOWED);
	assert_int_equal(ask_sender(fd, "alice@example.org").verdict, SENDER_THROTTLED);
	expect_drop(driver.next_session, 2);
	close(fd);
	/* One about which nobody asks; and one that the spool says it has refused. */
	assert_int_equal(registry_set_credential_limits(driver.registry, driver.alice, "hourly", &two), ERR_OK);
	fd = log_in("alice@example.org", "hourpass", driver.alice);
	assert_int_equal(ask_sender(fd, "alice@example.org").verdict, SENDER_OK);
	assert_int_equal(recipient(fd, "a@b"), RECIPIENT_OK);
	assert_int_equal(ask_sender(fd, "alice@example.org").verdict, SENDER_THROTTLED);
	expect_kind(IPC_ENVELOPE_SENDER);
	expect_kind(IPC_ENVELOPE_RECIPIENT);
	expect_kind(IPC_ENVELOPE_DROP);
	tell_refused(driver.next_session, 1);
	usleep(50000);
	assert_int_equal(ask_sender(fd, "alice@example.org").verdict, SENDER_OK);
	expect_kind(IPC_ENVELOPE_SENDER);
	close(fd);
	assert_int_equal(registry_set_credential_limits(driver.registry, driver.alice, "hourly", &none), ERR_OK);
}

/* A message that the spool did not take after its sender was judged (a full disk, bad octets) does not count. */
static void
test_refused_messages(void **state)
{
	const struct registry_limits one = { .messages_per_hour = 1 }, none = { .messages_per_hour = 0 };
	int fd, other;
	uint64_t n;

	(void)state;
	add_credential(driver.alice, "refused", "refusedpass");
	assert_int_equal(registry_set_credential_limits(driver.registry, driver.alice, "refused", &one), ERR_OK);
	fd = log_in("alice@example.org", "refusedpass", driver.alice);
	n = driver.next_session;
	for (uint32_t t = 1; t <= 3; t++) {
		assert_int_equal(ask_sender(fd, "alice@example.org").verdict, SENDER_OK);
		expect_envelope_sender(n, t, "alice@example.org");
		assert_int_equal(ask_from(n, t, "alice@example.org"), HEADER_ALLOWED);
		/* No other one, none of before, no other session's. */
		tell_refused(n, t - 1);
		tell_refused(n, t + 1);
		tell_refused(n + 1, t);
		if (t == 2) {
			/* At once, for the sessions beside it. */
			tell_refused(n, t);
			usleep(50000);
			other = log_in("alice@example.org", "refusedpass", driver.alice);
			assert_int_equal(ask_sender(other, "alice@example.org").verdict, SENDER_OK);
			expect_envelope_sender(n + 1, 1, "alice@example.org");
			/* Once is enough; and nothing more comes of it, which would go uncounted. */
			tell_refused(n, t);
			assert_int_equal(ask_from(n, t, "alice@example.org"), HEADER_UNAVAILABLE);
			assert_int_equal(ask_sender(fd, "alice@example.org").verdict, SENDER_THROTTLED);
			expect_drop(n, t);
			close(other);
			usleep(50000);
		} else {
			/* What the spool has said before the client's next word counts, though both wait to be read. */
			tell_refused(n, t);
		}
	}
	assert_int_equal(ask_sender(fd, "alice@example.org").verdict, SENDER_OK);
	expect_envelope_sender(n, 4, "alice@example.org");
	/* As when the client leaves right after the reply. */
	assert_int_equal(ask_from(n, 4, "alice@example.org"), HEADER_ALLOWED);
	tell_refused(n, 4);
	close(fd);
	usleep(50000);
	/* And as when it left before the spool has seen that; once. */
	fd = log_in("alice@example.org", "refusedpass", driver.alice);
	n = driver.next_session;
	assert_int_equal(ask_sender(fd, "alice@example.org").verdict, SENDER_OK);
	expect_envelope_sender(n, 1, "alice@example.org");
	assert_int_equal(ask_from(n, 1, "alice@example.org"), HEADER_ALLOWED);
	assert_int_equal(ask_sender(fd, "alice@example.org").verdict, SENDER_THROTTLED);
	expect_drop(n, 1);
	tell_refused(n, 1);
	tell_refused(n, 1);
	usleep(50000);
	assert_int_equal(ask_sender(fd, "alice@example.org").verdict, SENDER_OK);
	expect_envelope_sender(n, 2, "alice@example.org");
	assert_int_equal(ask_from(n, 2, "alice@example.org"), HEADER_ALLOWED);
	close(fd);
	usleep(50000);
	tell_refused(n, 1);
	tell_refused(n, 2);
	usleep(50000);
	fd = log_in("alice@example.org", "refusedpass", driver.alice);
	n = driver.next_session;
	assert_int_equal(ask_sender(fd, "alice@example.org").verdict, SENDER_OK);
	expect_envelope_sender(n, 1, "alice@example.org");
	/* One that was taken stays counted. */
	assert_int_equal(ask_from(n, 1, "alice@example.org"), HEADER_ALLOWED);
	assert_int_equal(ask_sender(fd, "alice@example.org").verdict, SENDER_THROTTLED);
	expect_drop(n, 1);
	close(fd);
	assert_int_equal(registry_set_credential_limits(driver.registry, driver.alice, "refused", &none), ERR_OK);
}

static void
expect_names(uint64_t session, const char *name)
{
	struct ipc_session_account told;
	struct ipc_grant_name granted;
	struct ipc_message m;

	receive(driver.link, IPC_SPOOL_FROM_AUTH, IPC_GRANT_NAME, &m);
	assert_int_equal(ipc_get_grant_name(&m.body, &granted), ERR_OK);
	assert_true(granted.session == session);
	assert_string_equal(granted.name, name);
	/* The master has heard other things, too. */
	do {
		assert_int_equal(receive_within(driver.control, IPC_MASTER_FROM_SERVICE, &m, 5000), ERR_OK);
	} while (m.kind != IPC_SESSION_ACCOUNT || ipc_get_session_account(&m.body, &told) != ERR_OK ||
	    told.session != session || strcmp(told.name, name) != 0);
}

static void
test_rename(void **state)
{
	int fd = log_in("alice@example.org", "secret", driver.alice);
	struct ipc_status_answer status;
	struct ipc_message m;
	uint64_t n = driver.next_session;

	(void)state;
	assert_int_equal(registry_rename_account(driver.registry, driver.alice, "alice.new@example.org"), ERR_OK);
	/* Before the envelope, so that its message stands under the new name. */
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
	expect_names(n, "alice.new@example.org");
	expect_envelope_sender(n, 1, "alice@example.org");
	assert_true(log_has("event=account.renamed account=alice@example.org name=alice.new@example.org"));
	/* Once. */
	assert_int_equal(recipient(fd, "x@y"), RECIPIENT_OK);
	expect_envelope_recipient(n, 1, "x@y");
	expect_silence(driver.link);
	/* At any command; HELP STATUS says the new one. */
	assert_int_equal(registry_rename_account(driver.registry, driver.alice, "alice@example.org"), ERR_OK);
	ipc_put_empty(begin(), IPC_STATUS);
	send_out(fd, -1);
	receive(fd, IPC_WORKER_FROM_AUTH, IPC_STATUS_ANSWER, &m);
	assert_int_equal(ipc_get_status_answer(&m.body, &status), ERR_OK);
	assert_true(status.ok && !status.login_void);
	assert_string_equal(status.name, "alice@example.org");
	expect_names(n, "alice@example.org");
	/* What VRFY and HELP ask knows an account that was disabled from a registry that can't answer. */
	assert_int_equal(registry_set_disabled(driver.registry, driver.alice, true), ERR_OK);
	ipc_put_empty(begin(), IPC_STATUS);
	send_out(fd, -1);
	receive(fd, IPC_WORKER_FROM_AUTH, IPC_STATUS_ANSWER, &m);
	assert_int_equal(ipc_get_status_answer(&m.body, &status), ERR_OK);
	assert_true(!status.ok && status.login_void);
	assert_int_equal(registry_set_disabled(driver.registry, driver.alice, false), ERR_OK);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_networks_later),
		cmocka_unit_test(test_canary),
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_messages_per_hour),
		cmocka_unit_test(test_rename),
		cmocka_unit_test(test_refused_messages),
		cmocka_unit_test(test_messages_per_hour_unchecked),
	};

	return cmocka_run_group_tests(tests, driver_set_up, driver_tear_down);
}
