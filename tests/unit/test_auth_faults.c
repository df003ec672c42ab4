/*
 * What a real postern-auth must survive: messages that are malformed or may not come, octets of no
 * meaning, the death of its children.
 */
#include "auth_driver.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "err.h"
#include "password.h"

/* Each message in each state in which it may not come, cut short, with more behind, and octets of no meaning. */
static void
test_bad_messages(void **state)
{
	struct ipc_sender from_alice = { .size = 0 };
	struct ipc_recipient to = { .notify = 0 };
	struct ipc_login login = { .mechanism = MECHANISM_PLAIN };
	int other = log_in("bob@example.org", "hidden", driver.bob), fd;
	uint64_t n;

	(void)state;
	assert_int_equal(addr_parse(&from_alice.address, "alice@example.org", 17, true), ERR_OK);
	assert_int_equal(addr_parse(&to.address, "x@y", 3, true), ERR_OK);
	for (int i = 0; i < 18; i++) {
		bool logged_in = i >= 5;

		fd = logged_in ? log_in("alice@example.org", "secret", driver.alice) : begin_session();
		n = driver.next_session;
		begin();
		switch (i) {
		case 0:
			ipc_put_sender(&out, &from_alice);
			break;
		case 1:
		case 5:		/* a recipient without a sender */
			ipc_put_recipient(&out, &to);
			break;
		case 2:
			ipc_put_empty(&out, IPC_RESET);
			break;
		case 3:
			ipc_put_empty(&out, IPC_SPOOL);
			break;
		case 4:		/* a message that only the master may send */
		case 6:
			ipc_put_empty(&out, IPC_RELOAD);
			break;
		case 7:		/* a second login */
			ipc_put_login(&out, &login);
			break;
		case 8:		/* cut */
			ipc_put_sender(&out, &from_alice);
			out.len--;
			break;
		case 9:		/* something behind */
			ipc_put_sender(&out, &from_alice);
			wire_put_u8(&out, 0);
			break;
		case 10:
			ipc_put_empty(&out, IPC_RESET);
			wire_put_u8(&out, 0);
			break;
		case 11:
			wire_put_u8(&out, 0);
			break;
		case 12:	/* an answer */
			ipc_put_empty(&out, IPC_SENDER_ANSWER);
			break;
		case 13:	/* no address */
			ipc_put_sender(&out, &from_alice);
			memcpy(strstr((char *)data + 4, "alice"), "al ce", 5);
			break;
		case 14:
			wire_put_u16(&out, 0xffff);
			break;
		case 15:	/* longer than any */
			out.len = sizeof(data);
			memset(data, 'x', sizeof(data));
			break;
		case 16:	/* a bad message in a transaction drops that, too */
			assert_int_equal(sender(fd, "alice@example.org", 0, NULL), SENDER_OK);
			expect_envelope_sender(n, 1, "alice@example.org");
			begin();
			ipc_put_empty(&out, IPC_SPOOL);
			wire_put_u8(&out, 0);
			break;
		case 17:
			wire_put_u32(&out, 0x5a5a5a5a);
			break;
		}
		send_out(fd, -1);
		expect_end(fd);
		if (i == 16)
			expect_drop(n, 1);
	}
	/* A descriptor where none belongs. */
	fd = begin_session();
	login.user = (const uint8_t *)"x";
	login.user_len = 1;
	ipc_put_login(begin(), &login);
	send_out(fd, STDERR_FILENO);
	expect_end(fd);
	/* While a login is being checked nothing may be said. */
	fd = begin_session();
	ask_login_as(fd, "", "alice@example.org", "guess");
	ask_login_as(fd, "", "alice@example.org", "guess");
	expect_end(fd);
	assert_true(log_has("event=message.bad peer=worker kind=RECIPIENT"));
	/* All that was none of the other session's business. */
	assert_int_equal(sender(other, "bob@example.org", 0, NULL), SENDER_OK);
	expect_envelope_sender(1, 1, "bob@example.org");
	close(other);
}

/* The worker of a client that is not served has nothing to ask: one that was taken over may not log in all the same. */
static void
test_refused_session(void **state)
{
	(void)state;
	for (int verdict = PEER_TOO_MANY; verdict <= PEER_PAUSED; verdict++) {
		struct ipc_session m = { .session = ++driver.next_session, .listener = LISTENER_SUBMISSION,
		    .verdict = (enum peer_verdict)verdict };
		int fds[2];

		assert_int_equal(netaddr_parse(&m.peer, "192.0.2.1:4000"), ERR_OK);
		assert_int_equal(ipc_pair(fds), ERR_OK);
		ipc_put_session(begin(), &m);
		send_out(driver.control, fds[1]);
		close(fds[1]);
		ask_login_as(fds[0], "", "alice@example.org", "secret");
		expect_end(fds[0]);
	}
	assert_true(log_has("event=message.bad peer=worker kind=LOGIN"));
}

/* Octets of no meaning to each of its sockets: the service goes on. */
static void
test_garbage(void **state)
{
	int sockets[2] = { driver.control, driver.link }, fd;

	(void)state;
	srandom(4711);
	for (int i = 0; i < 400; i++) {
		size_t n = 1 + (size_t)random() % 60;

		for (size_t j = 0; j < n; j++)
			data[j] = (uint8_t)random();
		if (n > 1 && i % 2 == 0) {
			data[0] = 0;
			data[1] = (uint8_t)(0x10 + random() % 0x62);
		}
		out = (struct wire_out){ .data = data, .len = n, .size = sizeof(data) };
		assert_int_equal(ipc_send(sockets[i % 2], &out, NULL, 0, true), ERR_OK);
		fd = begin_session();
		ipc_send(fd, &out, NULL, 0, false);
		close(fd);
	}
	/* A random FROM may have been well-formed. */
	usleep(200000);
	for (struct ipc_message m; receive_within(driver.link, IPC_SPOOL_FROM_AUTH, &m, 50) == ERR_OK;)
		ipc_message_close(&m);
	close(log_in("alice@example.org", "secret", driver.alice));
}

/* The numbers of the service's children, at most two. */
static int
children(pid_t pids[2])
{
	char path[64], line[64] = "", *end = line;
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)driver.pid, (int)driver.pid);
	if ((f = fopen(path, "r")) == NULL)
		return 0;
	if (fgets(line, sizeof(line), f) == NULL)
		line[0] = 0;
	fclose(f);
	while (n < 2 && (pids[n] = (pid_t)strtoul(end, &end, 10)) > 1)
		n++;
	return n;
}

static void
reload(const char *text)
{
	int memory = make_memory(text);

	ipc_put_empty(begin(), IPC_RELOAD);
	send_out(driver.control, memory);
	close(memory);
}

static enum login_verdict
try_at(const char *peer, const char *user, const char *password)
{
	int fd = begin_session_at(peer);
	enum login_verdict verdict;

	ask_login_as(fd, "", user, password);
	verdict = take_login(fd, NULL);
	if (verdict == LOGIN_OK) {
		struct ipc_message m;

		receive(driver.link, IPC_SPOOL_FROM_AUTH, IPC_GRANT, &m);
		ipc_message_close(&m);
	}
	close(fd);
	return verdict;
}

/* As no program of ours writes it. */
static void
damage_hash(uint64_t account)
{
	char path[128], text[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/registry/registry.db", driver.folder);
	snprintf(text, sizeof(text), "UPDATE credential SET hash = '$unknown$salt$hash' WHERE account = %d", (int)account);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_close(db);
}

static unsigned
number_of(pid_t pid, const char *field)
{
	char path[64], line[256];
	unsigned number = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	assert_non_null(f = fopen(path, "r"));
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, field, strlen(field)) == 0)
			number = (unsigned)strtoul(line + strlen(field), NULL, 10);
	fclose(f);
	return number;
}

/* Sets what a child may map from now on, as its own user, since root need not have the right. */
static void
limit_memory(pid_t pid, rlim_t octets)
{
	unsigned uid = number_of(pid, "Uid:"), gid = number_of(pid, "Gid:");
	struct rlimit limit;
	int status;
	pid_t helper = fork();

	assert_true(helper >= 0);
	if (helper == 0)
		_exit(setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0 || prlimit(pid, RLIMIT_AS, NULL, &limit) != 0 ||
		    (limit.rlim_cur = octets, prlimit(pid, RLIMIT_AS, &limit, NULL)) != 0);
	assert_int_equal(waitpid(helper, &status, 0), helper);
	assert_int_equal(status, 0);
}

/* A hash that crypt(3) can't compute is no wrong password: temporary, and counted against nobody. The account's others are tried. */
static void
test_unknown_hash(void **state)
{
	char hash[REGISTRY_HASH_MAX];
	uint64_t carol;

	(void)state;
	reload("[auth]\nfailure_delay = 400ms\nthrottle_after = 2\n");
	assert_int_equal(password_hash("goodpass", 8, hash), ERR_OK);
	assert_int_equal(registry_add_account(driver.registry, "carol@example.org", hash, &carol), ERR_OK);
	damage_hash(carol);
	for (int i = 0; i < 4; i++)
		assert_int_equal(try_at("198.51.100.1:4000", "carol@example.org", "guess"), LOGIN_UNAVAILABLE);
	assert_true(log_has("event=hash.failed account=carol@example.org credential=password"));
	assert_true(log_has("reason=\"crypt(3) does not know"));
	assert_false(log_has("event=login.failed account=carol@example.org"));
	assert_int_equal(registry_set_credential(driver.registry, carol, "zz", hash), ERR_OK);
	assert_int_equal(try_at("198.51.100.1:4000", "carol@example.org", "goodpass"), LOGIN_OK);
	/* The wrong one may be the right one of that hash. */
	assert_int_equal(try_at("198.51.100.1:4000", "carol@example.org", "guess"), LOGIN_UNAVAILABLE);
	assert_int_equal(try_at("198.51.100.1:4000", "bob@example.org", "pass2"), LOGIN_OK);
	/* What is wrong is still counted. */
	assert_int_equal(try_at("198.51.100.1:4000", "nobody@example.org", "guess"), LOGIN_INVALID);
	assert_int_equal(try_at("198.51.100.1:4000", "nobody@example.org", "guess"), LOGIN_INVALID);
	assert_int_equal(try_at("198.51.100.1:4000", "nobody@example.org", "guess"), LOGIN_THROTTLED);
	assert_int_equal(registry_remove_account(driver.registry, carol), ERR_OK);
}

/* No memory for yescrypt's 16 MiB: the same, for accounts that are there and for those that are not. */
static void
test_hash_without_memory(void **state)
{
	pid_t pids[2];

	(void)state;
	if (children(pids) != 2)
		skip();
	limit_memory(pids[0], 1 << 20);
	limit_memory(pids[1], 1 << 20);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(try_at("198.51.101.1:4000", "bob@example.org", "guess"), LOGIN_UNAVAILABLE);
		assert_int_equal(try_at("198.51.101.1:4000", "nobody@example.org", "guess"), LOGIN_UNAVAILABLE);
	}
	assert_true(log_has("event=hash.failed account=bob@example.org"));
	assert_true(log_has("reason=\"no memory"));
	limit_memory(pids[0], RLIM_INFINITY);
	limit_memory(pids[1], RLIM_INFINITY);
	assert_int_equal(try_at("198.51.101.1:4000", "bob@example.org", "hidden"), LOGIN_OK);
	reload("[auth]\nfailure_delay = 400ms\nthrottle_after = 1000\n");
}

/* One hashing child killed: an alarm, and the other one goes on. */
static void
test_hasher_dies(void **state)
{
	pid_t pids[2];

	(void)state;
	if (children(pids) != 2)
		skip();
	kill(pids[0], SIGKILL);
	usleep(200000);
	for (int i = 0; i < 5; i++) {
		int fd = begin_session();

		ask_login_as(fd, "", "bob@example.org", "guess");
		assert_int_equal(take_login(fd, NULL), LOGIN_INVALID);
		close(fd);
	}
	assert_true(log_has("event=hasher.lost"));
	assert_true(log_has("signal=9"));
	close(log_in("bob@example.org", "hidden", driver.bob));
}

/* Without any, the service ends, so that the master starts it anew. */
static void
test_all_hashers_die(void **state)
{
	pid_t pids[2];
	int fd = begin_session();

	(void)state;
	if (children(pids) != 1)
		skip();
	driver.expected_exit = EX_SOFTWARE;
	kill(pids[0], SIGKILL);
	expect_end(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_messages),
		cmocka_unit_test(test_refused_session),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_unknown_hash),
		cmocka_unit_test(test_hash_without_memory),
		cmocka_unit_test(test_hasher_dies),
		cmocka_unit_test(test_all_hashers_die),
	};

	return cmocka_run_group_tests(tests, driver_set_up, driver_tear_down);
}
