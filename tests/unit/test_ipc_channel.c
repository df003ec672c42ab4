/*
 * Sending and receiving: what may come on which channel with how many descriptors, and that whatever is refused leaves
 * no descriptor open. The table here is written from the comments of ipc.h, not from the code.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "err.h"
#include "ipc.h"
#include "unit.h"

/* What the next calls say in place of the kernel, or 0. */
static int recvmsg_error;

ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	if (recvmsg_error == 0)
		return syscall(SYS_recvmsg, fd, msg, flags);
	errno = recvmsg_error;
	return -1;
}

#define NCHANNELS (IPC_RELAY_FROM_RESOLVER + 1)
#define NKINDS 0xc0

static const struct {
	enum ipc_kind		kind;
	enum ipc_channel	channel;
	size_t			fds_min, fds_max;
} permitted[] = {
	{ IPC_SESSION, IPC_WORKER_FROM_MASTER, 2, 3 },
	{ IPC_SESSION, IPC_AUTH_FROM_MASTER, 1, 1 },
	{ IPC_SESSION, IPC_KEYS_FROM_MASTER, 1, 1 },
	{ IPC_SESSION_END, IPC_MASTER_FROM_WORKER, 0, 0 },
	{ IPC_READY, IPC_MASTER_FROM_SERVICE, 0, 0 },
	{ IPC_FAILED, IPC_MASTER_FROM_SERVICE, 0, 0 },
	{ IPC_LINK, IPC_AUTH_FROM_MASTER, 1, 1 },
	{ IPC_LINK, IPC_SPOOL_FROM_MASTER, 1, 1 },
	{ IPC_RELOAD, IPC_AUTH_FROM_MASTER, 1, 1 },
	{ IPC_RELOAD, IPC_SPOOL_FROM_MASTER, 1, 1 },
	{ IPC_LOGIN, IPC_AUTH_FROM_WORKER, 0, 0 },
	{ IPC_LOGIN_ANSWER, IPC_WORKER_FROM_AUTH, 0, 1 },
	{ IPC_SENDER, IPC_AUTH_FROM_WORKER, 0, 0 },
	{ IPC_SENDER_ANSWER, IPC_WORKER_FROM_AUTH, 0, 0 },
	{ IPC_RECIPIENT, IPC_AUTH_FROM_WORKER, 0, 0 },
	{ IPC_RECIPIENT_ANSWER, IPC_WORKER_FROM_AUTH, 0, 0 },
	{ IPC_RESET, IPC_AUTH_FROM_WORKER, 0, 0 },
	{ IPC_SPOOL, IPC_AUTH_FROM_WORKER, 0, 0 },
	{ IPC_SPOOL_ANSWER, IPC_WORKER_FROM_AUTH, 0, 1 },
	{ IPC_STATUS, IPC_AUTH_FROM_WORKER, 0, 0 },
	{ IPC_STATUS_ANSWER, IPC_WORKER_FROM_AUTH, 0, 0 },
	{ IPC_GRANT, IPC_SPOOL_FROM_AUTH, 1, 1 },
	{ IPC_ENVELOPE_SENDER, IPC_SPOOL_FROM_AUTH, 0, 0 },
	{ IPC_ENVELOPE_RECIPIENT, IPC_SPOOL_FROM_AUTH, 0, 0 },
	{ IPC_ENVELOPE_DROP, IPC_SPOOL_FROM_AUTH, 0, 0 },
	{ IPC_FROM, IPC_AUTH_FROM_SPOOL, 0, 0 },
	{ IPC_FROM_ANSWER, IPC_SPOOL_FROM_AUTH, 0, 0 },
	{ IPC_STORAGE, IPC_AUTH_FROM_SPOOL, 0, 0 },
	{ IPC_OPEN, IPC_SPOOL_FROM_WORKER, 0, 0 },
	{ IPC_DATA, IPC_SPOOL_FROM_WORKER, 0, 0 },
	{ IPC_COMMIT, IPC_SPOOL_FROM_WORKER, 0, 0 },
	{ IPC_COMMIT_ANSWER, IPC_WORKER_FROM_SPOOL, 0, 0 },
	{ IPC_ABORT, IPC_SPOOL_FROM_WORKER, 0, 0 },
	{ IPC_OUTCOME, IPC_SPOOL_FROM_WORKER, 0, 0 },
	{ IPC_OUTCOME_ANSWER, IPC_WORKER_FROM_SPOOL, 0, 0 },
	{ IPC_ETRN, IPC_SPOOL_FROM_WORKER, 0, 0 },
	{ IPC_ETRN_ANSWER, IPC_WORKER_FROM_SPOOL, 0, 0 },
	{ IPC_SIGN, IPC_KEYS_FROM_WORKER, 0, 0 },
	{ IPC_SIGN_ANSWER, IPC_WORKER_FROM_KEYS, 0, 0 },
	{ IPC_HASH, IPC_HASHER_FROM_AUTH, 0, 0 },
	{ IPC_HASH_ANSWER, IPC_AUTH_FROM_HASHER, 0, 0 },
	{ IPC_USAGE, IPC_AUTH_FROM_SPOOL, 0, 0 },
	{ IPC_REFUSED, IPC_AUTH_FROM_SPOOL, 0, 0 },
	{ IPC_QUEUE, IPC_SPOOL_FROM_ADMIN, 0, 0 },
	{ IPC_QUEUE_ANSWER, IPC_ADMIN_FROM_SPOOL, 0, 0 },
	{ IPC_DELIVERY, IPC_SPOOL_FROM_ADMIN, 0, 0 },
	{ IPC_DELIVERY_ANSWER, IPC_ADMIN_FROM_SPOOL, 0, 0 },
	{ IPC_SESSION_ACCOUNT, IPC_MASTER_FROM_SERVICE, 0, 0 },
	{ IPC_COUNTERS, IPC_MASTER_FROM_SERVICE, 0, 0 },
	{ IPC_BAN, IPC_MASTER_FROM_SERVICE, 0, 0 },
	{ IPC_CONTROL_SESSIONS, IPC_MASTER_FROM_ADMIN, 0, 0 },
	{ IPC_CONTROL_SESSIONS_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0 },
	{ IPC_CONTROL_KILL, IPC_MASTER_FROM_ADMIN, 0, 0 },
	{ IPC_CONTROL_KILL_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0 },
	{ IPC_CONTROL_STATUS, IPC_MASTER_FROM_ADMIN, 0, 0 },
	{ IPC_CONTROL_STATUS_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0 },
	{ IPC_CONTROL_METRICS, IPC_MASTER_FROM_ADMIN, 0, 0 },
	{ IPC_CONTROL_METRICS_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0 },
	{ IPC_CONTROL_RELOAD, IPC_MASTER_FROM_ADMIN, 0, 0 },
	{ IPC_CONTROL_RELOAD_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0 },
	{ IPC_CONTROL_PAUSE, IPC_MASTER_FROM_ADMIN, 0, 0 },
	{ IPC_CONTROL_PAUSE_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0 },
	{ IPC_CONTROL_RESUME, IPC_MASTER_FROM_ADMIN, 0, 0 },
	{ IPC_CONTROL_RESUME_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0 },
	{ IPC_CONTROL_DRAIN, IPC_MASTER_FROM_ADMIN, 0, 0 },
	{ IPC_CONTROL_DRAIN_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0 },
	{ IPC_GRANT_NAME, IPC_SPOOL_FROM_AUTH, 0, 0 },
	{ IPC_LINK, IPC_KEYS_FROM_MASTER, 1, 1 },
	{ IPC_DKIM_SIGN, IPC_KEYS_FROM_SPOOL, 0, 0 },
	{ IPC_DKIM_SIGN_ANSWER, IPC_SPOOL_FROM_KEYS, 0, 0 },
	{ IPC_DKIM_KEYS, IPC_SPOOL_FROM_KEYS, 0, 0 },
	{ IPC_LINK, IPC_RELAY_FROM_MASTER, 1, 1 },
	{ IPC_DELIVER, IPC_RELAY_FROM_SPOOL, 2, 2 },
	{ IPC_DELIVER, IPC_OUTBOUND_FROM_RELAY, 2, 2 },
	{ IPC_DELIVER_RECIPIENT, IPC_RELAY_FROM_SPOOL, 0, 0 },
	{ IPC_DELIVER_RECIPIENT, IPC_OUTBOUND_FROM_RELAY, 0, 0 },
	{ IPC_RESULT, IPC_SPOOL_FROM_DELIVERY, 0, 0 },
	{ IPC_FINISHED, IPC_SPOOL_FROM_DELIVERY, 0, 0 },
	{ IPC_FINISHED, IPC_RELAY_FROM_OUTBOUND, 0, 0 },
	{ IPC_FINISHED_ANSWER, IPC_DELIVERY_FROM_SPOOL, 0, 0 },
	{ IPC_UNDERWAY, IPC_SPOOL_FROM_RELAY, 1, 1 },
	{ IPC_RELAY_READY, IPC_SPOOL_FROM_RELAY, 0, 0 },
	{ IPC_RESULT_SOCKET, IPC_OUTBOUND_FROM_RELAY, 1, 1 },
	{ IPC_IDLE, IPC_RELAY_FROM_OUTBOUND, 0, 0 },
	{ IPC_RESOLVE, IPC_RESOLVER_FROM_RELAY, 0, 0 },
	{ IPC_RESOLVE_ANSWER, IPC_RELAY_FROM_RESOLVER, 0, 0 },
};

static size_t
open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* Sends octets with n copies of a descriptor, more than ipc_send() ever would, in so many control messages. */
static void
send_raw(int fd, const void *p, size_t len, size_t n, size_t controls)
{
	union {
		struct cmsghdr	align;
		char		space[4 * CMSG_SPACE(sizeof(int) * 16)];
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int copies[16];

	for (size_t i = 0; i < 16; i++)
		copies[i] = STDERR_FILENO;
	if (n != 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.space;
		msg.msg_controllen = controls * CMSG_SPACE(sizeof(int) * n);
		c = CMSG_FIRSTHDR(&msg);
		for (size_t i = 0; i < controls; i++, c = CMSG_NXTHDR(&msg, c)) {
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(sizeof(int) * n);
			memcpy(CMSG_DATA(c), copies, sizeof(int) * n);
		}
	}
	assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), len);
}

static void
send_kind(int fd, unsigned kind, size_t n)
{
	uint8_t data[2] = { (uint8_t)(kind >> 8), (uint8_t)kind };

	send_raw(fd, data, sizeof(data), n, 1);
}

static bool
is_permitted(unsigned kind, unsigned channel, size_t nfds)
{
	for (size_t i = 0; i < COUNT(permitted); i++)
		if (permitted[i].kind == kind && permitted[i].channel == channel)
			return nfds >= permitted[i].fds_min && nfds <= permitted[i].fds_max;
	return false;
}

static void
every_kind_on_every_channel(void **state)
{
	uint8_t buf[64];
	struct ipc_message m;
	int fds[2];
	size_t before;

	(void)state;
	assert_int_equal(ipc_pair(fds), ERR_OK);
	before = open_descriptors();
	for (unsigned channel = 0; channel < NCHANNELS; channel++) {
		for (unsigned kind = 0; kind < NKINDS; kind++) {
			for (size_t n = 0; n <= IPC_FDS_MAX; n++) {
				bool good = is_permitted(kind, channel, n);
				int err;

				send_kind(fds[0], kind, n);
				err = ipc_recv(fds[1], (enum ipc_channel)channel, buf, sizeof(buf), false, &m);
				if (err != (good ? ERR_OK : ERR_DENIED)) {
					print_error("kind %#x, channel %u, %zu descriptors: %d\n", kind, channel, n, err);
					fail();
				}
				assert_int_equal(m.nfds, good ? n : 0);
				if (!good)
					continue;
				assert_int_equal(m.kind, kind);
				for (size_t i = 0; i < m.nfds; i++)
					assert_true((fcntl(m.fds[i], F_GETFD) & FD_CLOEXEC) != 0);
				ipc_message_close(&m);
				assert_int_equal(m.nfds, 0);
			}
		}
		assert_int_equal(open_descriptors(), before);
	}
	close(fds[0]);
	close(fds[1]);
}

static void
too_many_descriptors(void **state)
{
	static const uint8_t session[] = { 0, IPC_SESSION }, login[] = { 0, IPC_LOGIN };
	uint8_t buf[64];
	struct ipc_message m;
	int fds[2];
	size_t before;

	(void)state;
	assert_int_equal(ipc_pair(fds), ERR_OK);
	before = open_descriptors();
	for (size_t n = IPC_FDS_MAX + 1; n <= 16; n++) {
		send_raw(fds[0], session, sizeof(session), n, 1);
		check_row(n, ipc_recv(fds[1], IPC_WORKER_FROM_MASTER, buf, sizeof(buf), false, &m) < 0);
		check_row(n, m.nfds == 0 && open_descriptors() == before);
		send_raw(fds[0], login, sizeof(login), n, 1);
		check_row(n, ipc_recv(fds[1], IPC_AUTH_FROM_WORKER, buf, sizeof(buf), false, &m) < 0);
		check_row(n, m.nfds == 0 && open_descriptors() == before);
	}
	send_raw(fds[0], session, sizeof(session), 1, 3);	/* three control messages of one each */
	if (ipc_recv(fds[1], IPC_WORKER_FROM_MASTER, buf, sizeof(buf), false, &m) == ERR_OK)
		ipc_message_close(&m);
	assert_int_equal(open_descriptors(), before);
	/* Descriptors on a datagram without octets: an end, and nothing kept. */
	send_raw(fds[0], session, 0, 2, 1);
	assert_int_equal(ipc_recv(fds[1], IPC_WORKER_FROM_MASTER, buf, sizeof(buf), false, &m), ERR_CLOSED);
	assert_int_equal(open_descriptors(), before);
	close(fds[0]);
	close(fds[1]);
}

static void
datagrams_too_short_or_long(void **state)
{
	static const size_t shorts[] = { 1 };
	static uint8_t big[IPC_DATAGRAM_MAX], buf[IPC_SMALL_MAX];
	struct ipc_message m;
	int fds[2];
	size_t before;

	(void)state;
	big[1] = IPC_SESSION_END;
	assert_int_equal(ipc_pair(fds), ERR_OK);
	before = open_descriptors();
	for (size_t i = 0; i < COUNT(shorts); i++) {
		send_raw(fds[0], big, shorts[i], 1, 1);
		check_row(i, ipc_recv(fds[1], IPC_MASTER_FROM_WORKER, buf, sizeof(buf), false, &m) == ERR_SHORT);
		check_row(i, open_descriptors() == before);
	}
	for (size_t len = IPC_SMALL_MAX - 1; len <= IPC_SMALL_MAX + 1; len++) {
		int err;

		send_raw(fds[0], big, len, 0, 0);
		err = ipc_recv(fds[1], IPC_MASTER_FROM_WORKER, buf, sizeof(buf), false, &m);
		check_row(len, err == (len <= IPC_SMALL_MAX ? ERR_OK : ERR_TOOBIG));
		if (err == ERR_OK)
			check_row(len, m.body.left == len - 2);
	}
	big[1] = IPC_SESSION;
	send_raw(fds[0], big, sizeof(big), 2, 1);	/* too long, with descriptors that would be right */
	assert_int_equal(ipc_recv(fds[1], IPC_WORKER_FROM_MASTER, buf, sizeof(buf), false, &m), ERR_TOOBIG);
	assert_int_equal(m.nfds, 0);
	assert_int_equal(open_descriptors(), before);
	close(fds[0]);
	close(fds[1]);
}

static void
waiting_and_ends(void **state)
{
	uint8_t data[64], buf[64];
	struct ipc_message m;
	struct wire_out out;
	int fds[2], four[4] = { 2, 2, 2, 2 };
	size_t sent;

	(void)state;
	assert_int_equal(ipc_pair(fds), ERR_OK);
	assert_int_equal(ipc_recv(fds[1], IPC_AUTH_FROM_WORKER, buf, sizeof(buf), false, &m), ERR_BUSY);
	assert_int_equal(m.nfds, 0);
	wire_out_init(&out, data, sizeof(data));
	ipc_put_empty(&out, IPC_RESET);
	/* A peer that does not read: busy, not blocked, and all that was taken arrives. */
	for (sent = 0; sent < 1000000; sent++) {
		int err = ipc_send(fds[0], &out, NULL, 0, false);

		if (err == ERR_OK)
			continue;
		assert_int_equal(err, ERR_BUSY);
		break;
	}
	assert_true(sent > 0 && sent < 1000000);
	for (size_t i = 0; i < sent; i++)
		assert_int_equal(ipc_recv(fds[1], IPC_AUTH_FROM_WORKER, buf, sizeof(buf), true, &m), ERR_OK);
	assert_int_equal(ipc_recv(fds[1], IPC_AUTH_FROM_WORKER, buf, sizeof(buf), false, &m), ERR_BUSY);
	assert_int_equal(ipc_send(fds[0], &out, four, 4, true), ERR_TOOBIG);
	wire_put_raw(&out, buf, sizeof(buf));
	assert_int_equal(ipc_send(fds[0], &out, NULL, 0, true), ERR_TOOBIG);
	wire_out_init(&out, data, sizeof(data));
	ipc_put_empty(&out, IPC_RESET);
	assert_int_equal(ipc_send(fds[0], &out, NULL, 0, true), ERR_OK);
	close(fds[0]);
	assert_int_equal(ipc_recv(fds[1], IPC_AUTH_FROM_WORKER, buf, sizeof(buf), true, &m), ERR_OK);
	assert_int_equal(ipc_get_empty(&m.body), ERR_OK);
	assert_int_equal(ipc_recv(fds[1], IPC_AUTH_FROM_WORKER, buf, sizeof(buf), true, &m), ERR_CLOSED);
	assert_int_equal(ipc_send(fds[1], &out, NULL, 0, true), ERR_CLOSED);	/* without SIGPIPE */
	close(fds[1]);
	assert_int_equal(ipc_recv(-1, IPC_AUTH_FROM_WORKER, buf, sizeof(buf), true, &m), ERR_SYSTEM);
	assert_int_equal(ipc_send(-1, &out, NULL, 0, true), ERR_SYSTEM);
}

/* Want of memory passes: the socket is as it was, and so is what waits in it. */
static void
want_of_memory(void **state)
{
	static const int errors[] = { ENOMEM, ENOBUFS };
	uint8_t data[64], buf[64];
	struct ipc_message m;
	struct wire_out out;
	int fds[2];

	(void)state;
	assert_int_equal(ipc_pair(fds), ERR_OK);
	wire_out_init(&out, data, sizeof(data));
	ipc_put_empty(&out, IPC_RESET);
	assert_int_equal(ipc_send(fds[0], &out, NULL, 0, true), ERR_OK);
	for (size_t i = 0; i < COUNT(errors); i++) {
		recvmsg_error = errors[i];
		check_row(i, ipc_recv(fds[1], IPC_AUTH_FROM_WORKER, buf, sizeof(buf), false, &m) == ERR_BUSY && m.nfds == 0);
		check_row(i, ipc_recv(fds[1], IPC_AUTH_FROM_WORKER, buf, sizeof(buf), true, &m) == ERR_BUSY && m.nfds == 0);
	}
	recvmsg_error = EBADF;
	assert_int_equal(ipc_recv(fds[1], IPC_AUTH_FROM_WORKER, buf, sizeof(buf), false, &m), ERR_SYSTEM);
	recvmsg_error = 0;
	assert_int_equal(ipc_recv(fds[1], IPC_AUTH_FROM_WORKER, buf, sizeof(buf), false, &m), ERR_OK);
	close(fds[0]);
	close(fds[1]);
}

static void
largest_datagrams_pass(void **state)
{
	static uint8_t data[IPC_DATAGRAM_MAX], octets[IPC_DATA_MAX], buf[IPC_DATAGRAM_MAX];
	struct ipc_message m;
	struct wire_out out;
	const uint8_t *p;
	int fds[2];
	size_t n;

	(void)state;
	memset(octets, 'x', sizeof(octets));
	assert_int_equal(ipc_pair(fds), ERR_OK);
	wire_out_init(&out, data, sizeof(data));
	ipc_put_data(&out, octets, sizeof(octets));
	assert_int_equal(ipc_send(fds[0], &out, NULL, 0, false), ERR_OK);
	assert_int_equal(ipc_send(fds[0], &out, NULL, 0, false), ERR_OK);	/* a second one fits beside it */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ipc_recv(fds[1], IPC_SPOOL_FROM_WORKER, buf, sizeof(buf), false, &m), ERR_OK);
		assert_int_equal(ipc_get_data(&m.body, &p, &n), ERR_OK);
		assert_int_equal(n, IPC_DATA_MAX);
		assert_memory_equal(p, octets, n);
	}
	close(fds[0]);
	close(fds[1]);
}

static void
who_may_what_when(void **state)
{
	static const struct {
		enum ipc_kind	kind;
		unsigned	states;
	} rows[] = {
		{ IPC_LOGIN, IPC_STATE_ANONYMOUS },
		{ IPC_SENDER, IPC_STATE_USER | IPC_STATE_TRANSACTION },
		{ IPC_RECIPIENT, IPC_STATE_TRANSACTION },
		{ IPC_RESET, IPC_STATE_USER | IPC_STATE_TRANSACTION },
		{ IPC_SPOOL, IPC_STATE_USER | IPC_STATE_TRANSACTION },
		{ IPC_OPEN, IPC_STATE_GRANTED },
		{ IPC_DATA, IPC_STATE_OPEN },
		{ IPC_COMMIT, IPC_STATE_OPEN },
		{ IPC_ABORT, IPC_STATE_OPEN },
		{ IPC_OUTCOME, IPC_STATE_GRANTED },
		{ IPC_ETRN, IPC_STATE_GRANTED },
		{ IPC_SIGN, IPC_STATE_UNSIGNED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (unsigned bit = 1; bit <= IPC_STATE_SIGNED; bit <<= 1)
			check_row(i, ipc_may(rows[i].kind, (enum ipc_state)bit) == ((rows[i].states & bit) != 0));
	assert_false(ipc_may((enum ipc_kind)0, IPC_STATE_ANY));
	for (size_t i = 0; i < COUNT(permitted); i++)
		assert_string_not_equal(ipc_kind_name(permitted[i].kind), "?");
	assert_string_equal(ipc_kind_name(IPC_LOGIN_ANSWER), "LOGIN_ANSWER");
	assert_string_equal(ipc_kind_name((enum ipc_kind)1), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_on_every_channel),
		cmocka_unit_test(too_many_descriptors),
		cmocka_unit_test(datagrams_too_short_or_long),
		cmocka_unit_test(waiting_and_ends),
		cmocka_unit_test(want_of_memory),
		cmocka_unit_test(largest_datagrams_pass),
		cmocka_unit_test(who_may_what_when),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
