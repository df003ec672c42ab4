/*
 * Drives a real postern-auth as master, workers and spool would: its sockets, its configuration, a
 * registry of two accounts.
 */
#include "auth_driver.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "conf.h"
#include "err.h"
#include "io.h"
#include "password.h"
#include "service.h"
#include "str.h"

static const char conf_text[] =
    "hostname = mail.example.org\n"
    "[limits]\nrecipients = 3\nmessage_size = 1M\nsessions_per_account = 2\n"
    "[auth]\nfailure_delay = 400ms\nhashers = 2\nthrottle_after = 1000\n";

struct driver driver;
uint8_t data[IPC_SMALL_MAX], received[IPC_SMALL_MAX];
struct wire_out out;

struct wire_out *
begin(void)
{
	wire_out_init(&out, data, sizeof(data));
	return &out;
}

void
send_out(int fd, int passed)
{
	assert_int_equal(ipc_send(fd, &out, &passed, passed >= 0 ? 1 : 0, false), ERR_OK);
}

/* The next datagram within ms, ERR_TIMEOUT when there is none. */
int
receive_within(int fd, enum ipc_channel channel, struct ipc_message *m, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, ms) != 1)
		return ERR_TIMEOUT;
	return ipc_recv(fd, channel, received, sizeof(received), false, m);
}

void
receive(int fd, enum ipc_channel channel, enum ipc_kind kind, struct ipc_message *m)
{
	int err = receive_within(fd, channel, m, 5000);

	if (err != ERR_OK || m->kind != kind)
		fail_msg("expected %s: %s %s", ipc_kind_name(kind), err_text(err), err == ERR_OK ? ipc_kind_name(m->kind) : "");
}

int
make_memory(const char *text)
{
	int fd = memfd_create("conf", 0);

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, text, strlen(text)), ERR_OK);
	return fd;
}

static void
start_service(void)
{
	char build[PATH_MAX - 16], program[PATH_MAX], *slash;
	int fds[2], conf, log, null;
	struct ipc_message m;
	struct ipc_ready ready;
	ssize_t n = readlink("/proc/self/exe", build, sizeof(build) - 1);

	/* BUILD/tests/unit/test_auth_...: BUILD/postern-auth */
	assert_true(n > 0);
	build[n] = 0;
	for (int i = 0; i < 3 && (slash = strrchr(build, '/')) != NULL; i++)
		*slash = 0;
	assert_int_equal(str_fmt(program, sizeof(program), "%s/postern-auth", build), ERR_OK);
	assert_int_equal(ipc_pair(fds), ERR_OK);
	conf = make_memory(conf_text);
	assert_true((driver.pid = fork()) >= 0);
	if (driver.pid == 0) {
		log = open(driver.log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		null = open("/dev/null", O_RDWR);
		/* Out of the way of 3 and 4 first. */
		fds[1] = fcntl(fds[1], F_DUPFD, 20);
		conf = fcntl(conf, F_DUPFD, 20);
		dup2(null, 0);
		dup2(null, 1);
		dup2(log, 2);
		dup2(fds[1], SERVICE_CONTROL_FD);
		dup2(conf, SERVICE_CONF_FD);
		close_range(5, ~0U, 0);
		execl(program, "postern-auth", "--root", driver.folder, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	close(conf);
	driver.control = fds[0];
	if (receive_within(driver.control, IPC_MASTER_FROM_SERVICE, &m, 20000) != ERR_OK)
		fail_msg("%s did not start", program);
	if (m.kind == IPC_FAILED) {
		struct ipc_failed failed;

		assert_int_equal(ipc_get_failed(&m.body, &failed), ERR_OK);
		fail_msg("%s", failed.reason);
	}
	assert_int_equal(ipc_get_ready(&m.body, &ready), ERR_OK);
}

void
make_link(void)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), ERR_OK);
	ipc_put_link(begin(), LINK_SPOOL);
	send_out(driver.control, fds[1]);
	close(fds[1]);
	driver.link = fds[0];
}

int
driver_set_up(void **state)
{
	char hash[REGISTRY_HASH_MAX];
	struct conf_error error;
	struct conf c;

	(void)state;
	snprintf(driver.folder, sizeof(driver.folder), "/tmp/postern-auth.XXXXXX");
	if (mkdtemp(driver.folder) == NULL || instance_open(&driver.in, driver.folder) != ERR_OK ||
	    conf_parse(&c, conf_text, sizeof(conf_text) - 1, &error) != ERR_OK)
		return -1;
	snprintf(driver.log, sizeof(driver.log), "%s/log", driver.folder);
	instance_ids(&driver.in, &c, &driver.ids);
	mkdir(driver.in.run_dir, 0755);
	mkdir(driver.in.empty_dir, 0555);
	if (registry_create(&driver.in, &driver.ids) != ERR_OK ||
	    registry_open(&driver.registry, &driver.in, &driver.ids, true) != ERR_OK ||
	    password_hash("secret", 6, hash) != ERR_OK ||
	    registry_add_account(driver.registry, "alice@example.org", hash, &driver.alice) != ERR_OK ||
	    password_hash("hidden", 6, hash) != ERR_OK ||
	    registry_add_account(driver.registry, "bob@example.org", hash, &driver.bob) != ERR_OK ||
	    registry_set_credential(driver.registry, driver.bob, "phone", hash) != ERR_OK ||
	    password_hash("pass2", 5, hash) != ERR_OK ||
	    registry_set_credential(driver.registry, driver.bob, "tablet", hash) != ERR_OK)
		return -1;
	start_service();
	make_link();
	return 0;
}

int
driver_tear_down(void **state)
{
	static const char *const names[] = { "registry/registry.db", "registry/registry.db-wal", "registry/registry.db-shm",
	    "registry", "run/empty", "run", "log", "" };
	char path[128];
	int status;

	(void)state;
	close(driver.control);
	for (int i = 0; i < 80 && waitpid(driver.pid, &status, WNOHANG) == 0; i++)
		usleep(100000);
	registry_close(driver.registry);
	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", driver.folder, names[i]);
		if (remove(path) != 0)
			print_error("%s stays\n", path);
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == driver.expected_exit ? 0 : -1;
}

int
begin_session_at(const char *peer)
{
	struct ipc_session m = { .session = ++driver.next_session, .listener = LISTENER_SUBMISSION };
	int fds[2];

	assert_int_equal(netaddr_parse(&m.peer, peer), ERR_OK);
	assert_int_equal(netaddr_parse(&m.local, "127.0.0.1:587"), ERR_OK);
	assert_int_equal(ipc_pair(fds), ERR_OK);
	ipc_put_session(begin(), &m);
	send_out(driver.control, fds[1]);
	close(fds[1]);
	return fds[0];
}

int
begin_local_session(uid_t uid)
{
	struct ipc_session m = { .session = ++driver.next_session, .listener = LISTENER_LOCAL, .peer = netaddr_of_user(uid) };
	int fds[2];

	assert_int_equal(ipc_pair(fds), ERR_OK);
	ipc_put_session(begin(), &m);
	send_out(driver.control, fds[1]);
	close(fds[1]);
	return fds[0];
}

int
begin_session(void)
{
	return begin_session_at("192.0.2.1:4000");
}

void
ask_login_as(int fd, const char *authzid, const char *user, const char *password)
{
	struct ipc_login m = { .mechanism = MECHANISM_PLAIN,
	    .authzid = (const uint8_t *)authzid, .authzid_len = strlen(authzid), .user = (const uint8_t *)user,
	    .user_len = strlen(user), .password = (const uint8_t *)password, .password_len = strlen(password) };

	ipc_put_login(begin(), &m);
	send_out(fd, -1);
}

/* The verdict; the spool's socket through spool (or closed). */
enum login_verdict
take_login(int fd, int *spool)
{
	struct ipc_login_answer answer;
	struct ipc_message m;

	receive(fd, IPC_WORKER_FROM_AUTH, IPC_LOGIN_ANSWER, &m);
	assert_int_equal(ipc_get_login_answer(&m.body, &answer), ERR_OK);
	assert_int_equal(m.nfds, answer.verdict == LOGIN_OK);
	assert_true((answer.account != 0) == (answer.verdict == LOGIN_OK));
	if (spool != NULL && m.nfds == 1) {
		*spool = m.fds[0];
		m.fds[0] = -1;
	}
	ipc_message_close(&m);
	return answer.verdict;
}

/* The grant at the spool; its socket is returned. */
int
take_grant(uint64_t session, uint64_t account)
{
	struct ipc_grant grant;
	struct ipc_message m;

	receive(driver.link, IPC_SPOOL_FROM_AUTH, IPC_GRANT, &m);
	assert_int_equal(ipc_get_grant(&m.body, &grant), ERR_OK);
	assert_int_equal(grant.session, session);
	assert_int_equal(grant.account, account);
	assert_int_equal(m.nfds, 1);
	return m.fds[0];
}

/* A session of alice's, with the spool's ends closed. */
int
log_in(const char *user, const char *password, uint64_t account)
{
	int fd = begin_session();

	ask_login_as(fd, "", user, password);
	assert_int_equal(take_login(fd, NULL), LOGIN_OK);
	close(take_grant(driver.next_session, account));
	return fd;
}

static void
ask_sender(int fd, const char *address, uint64_t size)
{
	struct ipc_sender m = { .size = size };

	addr_set_null(&m.address);
	if (address[0] != 0)
		assert_int_equal(addr_parse(&m.address, address, strlen(address), true), ERR_OK);
	ipc_put_sender(begin(), &m);
	send_out(fd, -1);
}

enum sender_verdict
sender(int fd, const char *address, uint64_t size, uint32_t *number)
{
	struct ipc_sender_answer answer;
	struct ipc_message m;

	ask_sender(fd, address, size);
	receive(fd, IPC_WORKER_FROM_AUTH, IPC_SENDER_ANSWER, &m);
	assert_int_equal(ipc_get_sender_answer(&m.body, &answer), ERR_OK);
	assert_true((answer.t != 0) == (answer.verdict == SENDER_OK));
	if (number != NULL)
		*number = answer.t;
	return answer.verdict;
}

enum recipient_verdict
recipient(int fd, const char *address)
{
	struct ipc_recipient m = { .notify = DSN_NOTIFY_FAILURE, .orcpt = "rfc822;x" };
	struct ipc_recipient_answer answer;
	struct ipc_message got;

	assert_int_equal(addr_parse(&m.address, address, strlen(address), true), ERR_OK);
	ipc_put_recipient(begin(), &m);
	send_out(fd, -1);
	receive(fd, IPC_WORKER_FROM_AUTH, IPC_RECIPIENT_ANSWER, &got);
	assert_int_equal(ipc_get_recipient_answer(&got.body, &answer), ERR_OK);
	return answer.verdict;
}

void
expect_envelope_sender(uint64_t session, uint32_t number, const char *address)
{
	struct ipc_envelope_sender e;
	struct ipc_message m;

	receive(driver.link, IPC_SPOOL_FROM_AUTH, IPC_ENVELOPE_SENDER, &m);
	assert_int_equal(ipc_get_envelope_sender(&m.body, &e), ERR_OK);
	assert_int_equal(e.session, session);
	assert_int_equal(e.t, number);
	assert_string_equal(e.sender.address.text, address);
	assert_true(e.check_header);
}

void
expect_envelope_recipient(uint64_t session, uint32_t number, const char *address)
{
	struct ipc_envelope_recipient e;
	struct ipc_message m;

	receive(driver.link, IPC_SPOOL_FROM_AUTH, IPC_ENVELOPE_RECIPIENT, &m);
	assert_int_equal(ipc_get_envelope_recipient(&m.body, &e), ERR_OK);
	assert_int_equal(e.session, session);
	assert_int_equal(e.t, number);
	assert_string_equal(e.recipient.address.text, address);
	assert_string_equal(e.recipient.orcpt, "rfc822;x");
	assert_int_equal(e.recipient.notify, DSN_NOTIFY_FAILURE);
}

void
expect_drop(uint64_t session, uint32_t number)
{
	struct ipc_envelope_drop e;
	struct ipc_message m;

	receive(driver.link, IPC_SPOOL_FROM_AUTH, IPC_ENVELOPE_DROP, &m);
	assert_int_equal(ipc_get_envelope_drop(&m.body, &e), ERR_OK);
	assert_int_equal(e.session, session);
	assert_int_equal(e.t, number);
}

void
expect_silence(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 50), 0);
}

void
expect_end(int fd)
{
	struct ipc_message m;

	assert_int_equal(receive_within(fd, IPC_WORKER_FROM_AUTH, &m, 5000), ERR_CLOSED);
	close(fd);
}

/* What auth says of a message of transaction t. */
enum header_verdict
judge_from(uint64_t session, uint32_t t, const char *one, const char *two)
{
	static struct ipc_from m;
	struct ipc_from_answer answer;
	struct ipc_message got;

	m = (struct ipc_from){ .session = session, .t = t, .n = (uint8_t)((one != NULL) + (two != NULL)) };
	if (one != NULL)
		assert_int_equal(addr_parse(&m.addresses[0], one, strlen(one), true), ERR_OK);
	if (two != NULL)
		assert_int_equal(addr_parse(&m.addresses[1], two, strlen(two), true), ERR_OK);
	ipc_put_from(begin(), &m);
	send_out(driver.link, -1);
	receive(driver.link, IPC_SPOOL_FROM_AUTH, IPC_FROM_ANSWER, &got);
	assert_int_equal(ipc_get_from_answer(&got.body, &answer), ERR_OK);
	assert_int_equal(answer.session, session);
	assert_int_equal(answer.t, t);
	return answer.verdict;
}

bool
log_has(const char *text)
{
	struct buf b;
	bool found;

	buf_init(&b, 1 << 20);
	assert_int_equal(io_read_file(driver.log, &b), ERR_OK);
	assert_int_equal(buf_put_nul(&b), ERR_OK);
	found = strstr((char *)b.data, text) != NULL;
	buf_free(&b);
	return found;
}
