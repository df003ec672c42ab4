/*
 * Senders and recipients at a real postern-auth, header From, a spool that is started again, changes
 * in the registry while a session runs.
 */
#include "auth_driver.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "password.h"

static void
test_transaction(void **state)
{
	int fd = log_in("alice@example.org", "secret", driver.alice);
	uint64_t n = driver.next_session;
	uint32_t number;

	(void)state;
	assert_int_equal(sender(fd, "bob@example.org", 0, NULL), SENDER_NOT_ALLOWED);
	assert_int_equal(sender(fd, "", 0, NULL), SENDER_NOT_ALLOWED);
	assert_int_equal(sender(fd, "alice@example.org", (1 << 20) + 1, NULL), SENDER_TOO_BIG);
	expect_silence(driver.link);
	assert_true(log_has("event=sender.refused account=alice@example.org sender=bob@example.org"));
	assert_int_equal(sender(fd, "Alice@EXAMPLE.org", 1 << 20, &number), SENDER_OK);
	assert_int_equal(number, 1);
	expect_envelope_sender(n, 1, "Alice@EXAMPLE.org");
	assert_int_equal(recipient(fd, "x@y"), RECIPIENT_OK);
	expect_envelope_recipient(n, 1, "x@y");
	assert_int_equal(recipient(fd, "x@Y"), RECIPIENT_OK);	/* the same one: stored once */
	expect_silence(driver.link);
	assert_int_equal(recipient(fd, "X@y"), RECIPIENT_OK);
	expect_envelope_recipient(n, 1, "X@y");
	assert_int_equal(recipient(fd, "z@y"), RECIPIENT_OK);
	expect_envelope_recipient(n, 1, "z@y");
	assert_int_equal(recipient(fd, "fourth@y"), RECIPIENT_TOO_MANY);
	assert_int_equal(recipient(fd, "z@y"), RECIPIENT_OK);
	expect_silence(driver.link);
	/* A second one drops the first; a refused one too. */
	assert_int_equal(sender(fd, "alice@example.org", 0, &number), SENDER_OK);
	assert_int_equal(number, 2);
	expect_envelope_sender(n, 2, "alice@example.org");
	assert_int_equal(sender(fd, "bob@example.org", 0, NULL), SENDER_NOT_ALLOWED);
	expect_drop(n, 2);
	assert_int_equal(sender(fd, "alice@example.org", 0, &number), SENDER_OK);
	assert_int_equal(number, 3);
	expect_envelope_sender(n, 3, "alice@example.org");
	ipc_put_empty(begin(), IPC_RESET);
	send_out(fd, -1);
	expect_drop(n, 3);
	ipc_put_empty(begin(), IPC_RESET);
	send_out(fd, -1);
	assert_int_equal(sender(fd, "alice@example.org", 0, &number), SENDER_OK);
	assert_int_equal(number, 4);
	expect_envelope_sender(n, 4, "alice@example.org");
	close(fd);
	expect_silence(driver.link);
}

static void
test_storage(void **state)
{
	struct ipc_storage m = { .ok = false };
	int fd = log_in("alice@example.org", "secret", driver.alice);

	(void)state;
	ipc_put_storage(begin(), &m);
	send_out(driver.link, -1);
	usleep(50000);
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_NO_STORAGE);
	m.ok = true;
	ipc_put_storage(begin(), &m);
	send_out(driver.link, -1);
	usleep(50000);
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(driver.next_session, 1, "alice@example.org");
	close(fd);
}

static bool
from(uint64_t session, const char *one, const char *two)
{
	return judge_from(session, 1, one, two) == HEADER_ALLOWED;
}

static void
test_from(void **state)
{
	int fd = log_in("alice@example.org", "secret", driver.alice), anonymous;
	uint64_t n = driver.next_session;

	(void)state;
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(n, 1, "alice@example.org");
	assert_true(from(n, "alice@example.org", NULL));
	assert_false(from(n, "bob@example.org", NULL));
	assert_false(from(n, "alice@example.org", "bob@example.org"));
	/* No From field: only the login counts. */
	assert_true(from(n, NULL, NULL));
	anonymous = begin_session();
	assert_false(from(driver.next_session, "alice@example.org", NULL));
	close(anonymous);
	close(fd);
	usleep(50000);
	/* A session that is not known: of one before, perhaps. Its worker is gone, or the login may hold and can't be asked about. */
	assert_int_equal(judge_from(n, 1, "alice@example.org", NULL), HEADER_UNAVAILABLE);
	/* More questions than the socket holds answers: none is lost. */
	for (int i = 0; i < 3000; i++) {
		static struct ipc_from m = { .session = 1, .n = 1 };

		m.t = (uint32_t)i;
		assert_int_equal(addr_parse(&m.addresses[0], "a@b", 3, true), ERR_OK);
		ipc_put_from(begin(), &m);
		assert_int_equal(ipc_send(driver.link, &out, NULL, 0, true), ERR_OK);
	}
	for (uint32_t i = 0; i < 3000; i++) {
		struct ipc_from_answer answer;
		struct ipc_message got;

		receive(driver.link, IPC_SPOOL_FROM_AUTH, IPC_FROM_ANSWER, &got);
		assert_int_equal(ipc_get_from_answer(&got.body, &answer), ERR_OK);
		assert_int_equal(answer.t, i);
	}
}

static void
test_changes_are_felt(void **state)
{
	char hash[REGISTRY_HASH_MAX];
	int fd = log_in("alice@example.org", "secret", driver.alice);
	uint64_t n = driver.next_session;

	(void)state;
	assert_int_equal(sender(fd, "sales@example.org", 0, NULL), SENDER_NOT_ALLOWED);
	assert_int_equal(registry_add_sender(driver.registry, driver.alice, "sales@example.org"), ERR_OK);
	assert_int_equal(sender(fd, "sales@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(n, 1, "sales@example.org");
	assert_int_equal(registry_set_disabled(driver.registry, driver.alice, true), ERR_OK);
	assert_int_equal(recipient(fd, "x@y"), RECIPIENT_LOGIN_VOID);
	assert_int_equal(sender(fd, "sales@example.org", 0, NULL), SENDER_LOGIN_VOID);
	expect_drop(n, 1);
	assert_int_equal(registry_set_disabled(driver.registry, driver.alice, false), ERR_OK);
	assert_int_equal(sender(fd, "sales@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(n, 2, "sales@example.org");
	/* A new password ends what the old one began, remembered or not. */
	assert_int_equal(password_hash("newer", 5, hash), ERR_OK);
	assert_int_equal(registry_set_credential(driver.registry, driver.alice, "password", hash), ERR_OK);
	assert_int_equal(sender(fd, "sales@example.org", 0, NULL), SENDER_LOGIN_VOID);
	expect_drop(n, 2);
	close(fd);
	fd = begin_session();
	ask_login_as(fd, "", "alice@example.org", "secret");
	assert_int_equal(take_login(fd, NULL), LOGIN_INVALID);
	close(fd);
	close(log_in("alice@example.org", "newer", driver.alice));
	assert_int_equal(password_hash("secret", 6, hash), ERR_OK);
	assert_int_equal(registry_set_credential(driver.registry, driver.alice, "password", hash), ERR_OK);
}

static void
test_new_spool(void **state)
{
	int fd = log_in("alice@example.org", "secret", driver.alice), late, spool, worker;
	uint64_t n = driver.next_session;
	struct ipc_spool_answer answer;
	struct ipc_message m;

	(void)state;
	assert_int_equal(sender(fd, "alice@example.org", 77, NULL), SENDER_OK);
	expect_envelope_sender(n, 1, "alice@example.org");
	assert_int_equal(recipient(fd, "x@y"), RECIPIENT_OK);
	assert_int_equal(recipient(fd, "z@y"), RECIPIENT_OK);
	expect_envelope_recipient(n, 1, "x@y");
	expect_envelope_recipient(n, 1, "z@y");
	/* The spool dies. */
	close(driver.link);
	usleep(50000);
	ipc_put_empty(begin(), IPC_SPOOL);
	send_out(fd, -1);
	receive(fd, IPC_WORKER_FROM_AUTH, IPC_SPOOL_ANSWER, &m);
	assert_int_equal(ipc_get_spool_answer(&m.body, &answer), ERR_OK);
	assert_false(answer.ok);
	assert_int_equal(m.nfds, 0);
	assert_int_equal(recipient(fd, "new@y"), RECIPIENT_UNAVAILABLE);
	late = begin_session();
	ask_login_as(late, "", "alice@example.org", "secret");
	assert_int_equal(take_login(late, NULL), LOGIN_UNAVAILABLE);
	/* A new one comes, and is told the session and its envelope when the worker asks. */
	make_link();
	ask_login_as(late, "", "alice@example.org", "secret");
	assert_int_equal(take_login(late, NULL), LOGIN_OK);
	close(take_grant(driver.next_session, driver.alice));
	close(late);
	ipc_put_empty(begin(), IPC_SPOOL);
	send_out(fd, -1);
	receive(fd, IPC_WORKER_FROM_AUTH, IPC_SPOOL_ANSWER, &m);
	assert_int_equal(ipc_get_spool_answer(&m.body, &answer), ERR_OK);
	assert_true(answer.ok);
	assert_int_equal(m.nfds, 1);
	worker = m.fds[0];
	spool = take_grant(n, driver.alice);
	expect_envelope_sender(n, 1, "alice@example.org");
	expect_envelope_recipient(n, 1, "x@y");
	expect_envelope_recipient(n, 1, "z@y");
	/* The two sockets are each other's ends. */
	ipc_put_transaction(begin(), IPC_OPEN, 1);
	send_out(worker, -1);
	receive(spool, IPC_SPOOL_FROM_WORKER, IPC_OPEN, &m);
	close(worker);
	close(spool);
	close(fd);
}

static bool
ask_spool(int fd)
{
	struct ipc_spool_answer answer;
	struct ipc_message m;

	ipc_put_empty(begin(), IPC_SPOOL);
	send_out(fd, -1);
	receive(fd, IPC_WORKER_FROM_AUTH, IPC_SPOOL_ANSWER, &m);
	assert_int_equal(ipc_get_spool_answer(&m.body, &answer), ERR_OK);
	assert_int_equal(m.nfds, answer.ok);
	ipc_message_close(&m);
	return answer.ok;
}

/* An approval is good for one message, and while the login holds: a new socket does not bring it back. */
static void
test_envelope_is_told_once(void **state)
{
	int fd = log_in("alice@example.org", "secret", driver.alice);
	uint64_t n = driver.next_session;

	(void)state;
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(n, 1, "alice@example.org");
	assert_true(ask_spool(fd));
	close(take_grant(n, driver.alice));
	expect_silence(driver.link);
	/* A new spool is told, unless the account was disabled. */
	close(driver.link);
	usleep(50000);
	make_link();
	assert_int_equal(registry_set_disabled(driver.registry, driver.alice, true), ERR_OK);
	assert_true(ask_spool(fd));
	close(take_grant(n, driver.alice));
	expect_silence(driver.link);
	assert_int_equal(registry_set_disabled(driver.registry, driver.alice, false), ERR_OK);
	/* Nor is it told one whose message an earlier one had judged. */
	assert_true(from(n, "alice@example.org", NULL));
	close(driver.link);
	usleep(50000);
	make_link();
	assert_true(ask_spool(fd));
	close(take_grant(n, driver.alice));
	expect_silence(driver.link);
	/* Nobody needs many sockets to one spool. */
	for (int i = 0; i < 7; i++) {
		assert_true(ask_spool(fd));
		close(take_grant(n, driver.alice));
	}
	ipc_put_empty(begin(), IPC_SPOOL);
	send_out(fd, -1);
	expect_end(fd);
	expect_drop(n, 1);
}

/* RFC 6531, 3.3: only a worker that was taken over asks for these. */
static void
test_utf8_without_smtputf8(void **state)
{
	int fd = log_in("alice@example.org", "secret", driver.alice);
	struct ipc_recipient m = { .notify = 0 };
	struct ipc_sender from = { .size = 0 };

	(void)state;
	assert_int_equal(addr_parse(&from.address, "al\xc3\xafice@example.org", 19, true), ERR_OK);
	ipc_put_sender(begin(), &from);
	send_out(fd, -1);
	expect_end(fd);
	fd = log_in("alice@example.org", "secret", driver.alice);
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(driver.next_session, 1, "alice@example.org");
	assert_int_equal(addr_parse(&m.address, "x@\xc3\xaf.example", 12, true), ERR_OK);
	ipc_put_recipient(begin(), &m);
	send_out(fd, -1);
	expect_end(fd);
	expect_drop(driver.next_session, 1);
}

/*
 * A worker that was taken over takes back what the spool has opened, by RESET or by the next SENDER, so that it does not count:
 * then it is no message either.
 */
static void
test_taken_back(void **state)
{
	int fd = log_in("alice@example.org", "secret", driver.alice);
	uint64_t n = driver.next_session;

	(void)state;
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(n, 1, "alice@example.org");
	ipc_put_empty(begin(), IPC_RESET);
	send_out(fd, -1);
	expect_drop(n, 1);
	assert_int_equal(judge_from(n, 1, "alice@example.org", NULL), HEADER_UNAVAILABLE);
	assert_int_equal(judge_from(n, 1, NULL, NULL), HEADER_UNAVAILABLE);
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(n, 2, "alice@example.org");
	assert_int_equal(judge_from(n, 1, "alice@example.org", NULL), HEADER_UNAVAILABLE);
	close(fd);
}

/* A writer in the middle of a transaction holds nobody up. */
static void
test_locked_registry(void **state)
{
	int fd = log_in("alice@example.org", "secret", driver.alice);
	uint64_t started;

	(void)state;
	assert_int_equal(registry_begin(driver.registry), ERR_OK);
	assert_int_equal(registry_set_disabled(driver.registry, driver.alice, true), ERR_OK);
	started = io_now_ms();
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
	assert_true(io_now_ms() - started < 1000);
	expect_envelope_sender(driver.next_session, 1, "alice@example.org");
	registry_rollback(driver.registry);
	close(fd);
}

static void
run_sql(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

/* Behind its sandbox the service follows a log that grows beyond its first index page, starts anew, and loses its index. */
static void
test_registry_moves(void **state)
{
	static const char zeros[136];
	int fd = log_in("alice@example.org", "secret", driver.alice), shm;
	char path[128];
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(driver.in.registry_file, &db), SQLITE_OK);
	run_sql(db, "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0");
	for (int i = 0; i < 6000; i++)
		run_sql(db, "INSERT INTO history (time_us, what, account, account_name, detail) VALUES (1, 'x', 1, 'x', 'x')");
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(driver.next_session, 1, "alice@example.org");
	run_sql(db, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(driver.next_session, 2, "alice@example.org");
	run_sql(db, "UPDATE account SET disabled = 1 WHERE name = 'alice@example.org'");
	snprintf(path, sizeof(path), "%s/registry/registry.db-shm", driver.folder);
	assert_true((shm = open(path, O_RDWR)) >= 0);
	assert_int_equal(pwrite(shm, zeros, sizeof(zeros), 0), sizeof(zeros));
	close(shm);
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_LOGIN_VOID);
	expect_drop(driver.next_session, 2);
	run_sql(db, "UPDATE account SET disabled = 0 WHERE name = 'alice@example.org'");
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(driver.next_session, 3, "alice@example.org");
	sqlite3_close(db);
	close(fd);
}

/* While the registry can't answer nobody is told that he may, nor that he may not. */
static void
test_registry_is_silent(void **state)
{
	static uint8_t whole[1 << 20], zeros[1 << 20];
	int fd = log_in("alice@example.org", "secret", driver.alice), file;
	uint64_t n = driver.next_session;
	struct ipc_status_answer status;
	struct ipc_message m;
	sqlite3 *db;
	ssize_t size;

	(void)state;
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(n, 1, "alice@example.org");
	/* All but the first page is lost, for a while. The file stays open: closing it would drop the locks of this process. */
	assert_int_equal(sqlite3_open(driver.in.registry_file, &db), SQLITE_OK);
	run_sql(db, "DELETE FROM history");
	run_sql(db, "VACUUM");
	run_sql(db, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_true((file = open(driver.in.registry_file, O_RDWR | O_CLOEXEC)) >= 0);
	size = pread(file, whole, sizeof(whole), 0);
	assert_in_range(size, 8192, sizeof(whole) - 1);
	assert_int_equal(pwrite(file, zeros, (size_t)size - 4096, 4096), size - 4096);
	assert_int_equal(recipient(fd, "x@y"), RECIPIENT_UNAVAILABLE);
	assert_int_equal(judge_from(n, 1, "alice@example.org", NULL), HEADER_UNAVAILABLE);
	assert_int_equal(judge_from(n, 1, NULL, NULL), HEADER_UNAVAILABLE);
	ipc_put_empty(begin(), IPC_STATUS);
	send_out(fd, -1);
	receive(fd, IPC_WORKER_FROM_AUTH, IPC_STATUS_ANSWER, &m);
	assert_int_equal(ipc_get_status_answer(&m.body, &status), ERR_OK);
	assert_true(!status.ok && !status.login_void);
	assert_int_equal(pwrite(file, whole, (size_t)size, 0), size);
	run_sql(db, "INSERT INTO history (time_us, what, account, account_name, detail) VALUES (1, 'x', 1, 'x', 'x')");
	assert_true(from(n, "alice@example.org", NULL));
	sqlite3_close(db);
	close(fd);
}

/* The master ends: what is under way is finished, nothing new begins, and then the service ends. */
static void
test_stop(void **state)
{
	int fd = log_in("alice@example.org", "secret", driver.alice), other = begin_session(), status;
	uint64_t n = driver.next_session - 1;

	(void)state;
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(n, 1, "alice@example.org");
	close(driver.control);
	driver.control = -1;
	usleep(50000);
	assert_int_equal(recipient(fd, "x@y"), RECIPIENT_OK);
	expect_envelope_recipient(n, 1, "x@y");
	assert_true(from(n, "alice@example.org", NULL));
	ask_login_as(other, "", "alice@example.org", "secret");
	assert_int_equal(take_login(other, NULL), LOGIN_UNAVAILABLE);
	assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_UNAVAILABLE);
	expect_drop(n, 1);
	close(other);
	assert_int_equal(waitpid(driver.pid, &status, WNOHANG), 0);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transaction),
		cmocka_unit_test(test_storage),
		cmocka_unit_test(test_from),
		cmocka_unit_test(test_changes_are_felt),
		cmocka_unit_test(test_new_spool),
		cmocka_unit_test(test_envelope_is_told_once),
		cmocka_unit_test(test_utf8_without_smtputf8),
		cmocka_unit_test(test_taken_back),
		cmocka_unit_test(test_locked_registry),
		cmocka_unit_test(test_registry_moves),
		cmocka_unit_test(test_registry_is_silent),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, driver_set_up, driver_tear_down);
}
