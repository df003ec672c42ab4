/*
 * A session process that a hostile server has taken over: linked into postern-relay in place of relay/session.c (and, so that a test sees
 * its end, of relay/patience.c). The server's greeting
 * says which act it is to do; what came of it is told to the server, a line `ok` or `FAIL` and why. Run by
 * tests/faults/test_attack_outbound.py. Invariant: it has what a real session process has at that moment, and no more.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "err.h"
#include "ipc.h"
#include "patience.h"
#include "session.h"

/* In place of relay/patience.c: what takes minutes and days there. */
const uint64_t patience_end_ms = 1500, patience_delivery_ms = 3000, patience_life_ms = 1000;

static struct {
	const struct session_facts *facts;
	int		fd, control_fd, file_fd, result_fd;
	struct ipc_deliver deliver;
	struct ipc_deliver_recipient recipient;
} me;
static uint8_t data[IPC_SMALL_MAX];
static struct wire_out out;

static void
say(const char *word, const char *why)
{
	char line[200];
	int n = snprintf(line, sizeof(line), "%s %s\r\n", word, why);
	ssize_t done = write(me.fd, line, (size_t)n);

	(void)done;
}

static struct wire_out *
begin(void)
{
	wire_out_init(&out, data, sizeof(data));
	return &out;
}

static void
idle(uint64_t number, bool is_open)
{
	const struct ipc_delivery m = { .number = number, .is_open = is_open };

	ipc_put_delivery(begin(), IPC_IDLE, &m);
	ipc_send(me.control_fd, &out, NULL, 0, true);
}

static struct ipc_finished
finished(uint64_t number, enum delivery_verdict verdict)
{
	struct ipc_finished m = { .number = number, .outcome = { .verdict = verdict, .stage = DELIVERY_END, .code = 250 } };

	snprintf(m.outcome.enhanced, sizeof(m.outcome.enhanced), "2.0.0");
	snprintf(m.outcome.reply, sizeof(m.outcome.reply), "said by the attacker");
	return m;
}

static void
send_finished(int fd, uint64_t number, enum delivery_verdict verdict)
{
	struct ipc_finished m = finished(number, verdict);

	ipc_put_finished(begin(), &m);
	ipc_send(fd, &out, NULL, 0, true);
}

static void
send_result(uint16_t index, enum delivery_verdict verdict)
{
	struct ipc_result m = { .index = index, .outcome = finished(0, verdict).outcome };

	ipc_put_result(begin(), &m);
	ipc_send(me.result_fd, &out, NULL, 0, true);
}

/* The next datagram of a socket; -1 at its end. */
static int
receive(int fd, enum ipc_channel channel, struct ipc_message *m)
{
	static uint8_t buffer[IPC_SMALL_MAX];

	return ipc_recv(fd, channel, buffer, sizeof(buffer), true, m) == ERR_OK ? 0 : -1;
}

static void
take_delivery(void)
{
	struct ipc_message m;

	idle(0, true);
	if (receive(me.control_fd, IPC_OUTBOUND_FROM_RELAY, &m) != 0 || ipc_get_deliver(&m.body, &me.deliver) != ERR_OK)
		_exit(1);
	me.file_fd = m.fds[0];
	me.result_fd = m.fds[1];
	for (unsigned i = 0; i < me.deliver.nrecipients; i++)
		if (receive(me.control_fd, IPC_OUTBOUND_FROM_RELAY, &m) != 0 || ipc_get_deliver_recipient(&m.body, &me.recipient) != ERR_OK)
			_exit(1);
}

/* Whether the other side has ended the socket within a second. */
static void
expect_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	if (poll(&p, 1, 3000) == 1)
		say("ok", "the socket was ended");
	else
		say("FAIL", "the socket is still open");
}

static void
garbage(int fd)
{
	uint32_t seed = 7;

	for (unsigned i = 0; i < 300; i++) {
		uint8_t octets[64];

		for (size_t j = 0; j < sizeof(octets); j++) {
			seed = seed * 1103515245 + 12345;
			octets[j] = (uint8_t)(seed >> 16);
		}
		octets[0] = 0;
		octets[1] = (uint8_t)(i % 2 == 0 ? IPC_RESULT : octets[1]);
		if (write(fd, octets, 2 + i % 60) < 0)
			break;
	}
	expect_end(fd);
}

/* Descriptors that nobody asked for. */
static void
send_descriptors(int fd)
{
	const int fds[3] = { me.fd, me.fd, me.fd };
	unsigned sent = 0, refused = 0;

	while (sent < 50 && refused < 100) {
		const struct ipc_delivery m = { .number = 1, .is_open = true };

		ipc_put_delivery(begin(), IPC_IDLE, &m);
		if (ipc_send(fd, &out, fds, 3, true) == ERR_OK) {
			sent++;
			continue;
		}
		if (sent != 0)
			break;
		/* All processes of an ordinary user have few descriptors under way together: another test's may be. */
		refused++;
		poll(NULL, 0, 20);
	}
	expect_end(fd);
}

static void
refused(const char *what, long result)
{
	char text[100];

	snprintf(text, sizeof(text), "%s: %s", what, result < 0 ? strerror(errno) : "done");
	say(result < 0 ? "ok" : "FAIL", text);
}

/* Acts before a delivery. */

static void act_garbage(void) { garbage(me.control_fd); }
static void act_descriptors(void) { send_descriptors(me.control_fd); }
static void act_delivered_early(void) { send_finished(me.control_fd, 0, DELIVERY_DELIVERED); expect_end(me.control_fd); }
static void act_idle_early(void) { idle(77, true); expect_end(me.control_fd); }
static void act_silent(void) { expect_end(me.control_fd); pause(); }

static void
act_huge(void)
{
	if (write(me.control_fd, data, sizeof(data)) < 0)
		say("FAIL", strerror(errno));
	expect_end(me.control_fd);
}


static void
act_failed_late(void)
{
	idle(0, true);
	send_finished(me.control_fd, 0, DELIVERY_FAILED);
	expect_end(me.control_fd);
}

static void
act_idle_twice(void)
{
	take_delivery();
	idle(me.deliver.number, true);
	idle(me.deliver.number, true);
	expect_end(me.control_fd);
}

static void
act_idle_of_another(void)
{
	take_delivery();
	idle(me.deliver.number + 1, true);
	expect_end(me.control_fd);
}

/* Acts of the kernel's. Those that end the process say nothing; the server sees the connection's end. */

static void act_socket(void) { refused("socket", syscall(__NR_socket, AF_INET, SOCK_STREAM, 0)); }
static void act_connect(void) { refused("connect", syscall(__NR_connect, me.fd, NULL, 0)); }
static void act_execve(void) { refused("execve", syscall(__NR_execve, "/bin/sh", NULL, NULL)); }
static void act_fork(void) { refused("fork", syscall(__NR_clone, SIGCHLD, 0, 0, 0, 0)); }
static void act_kill(void) { refused("kill", syscall(__NR_kill, 1, SIGKILL)); }
static void act_open(void) { refused("openat", syscall(__NR_openat, AT_FDCWD, "/", O_RDONLY)); }
static void act_fchdir(void) { refused("fchdir", syscall(__NR_fchdir, me.control_fd)); }
static void act_seccomp(void) { refused("seccomp", syscall(__NR_seccomp, 0, 0, NULL)); }
static void act_ptrace(void) { refused("ptrace", syscall(__NR_ptrace, PTRACE_ATTACH, 1, 0, 0)); }

static void
act_execute_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	refused("executable memory", p == MAP_FAILED ? -1 : 0);
}

static void
act_write_message(void)
{
	take_delivery();
	refused("write to the message", write(me.file_fd, "x", 1));
}

/* Acts against the spool. */

static void act_spool_garbage(void) { take_delivery(); garbage(me.result_fd); }
static void act_spool_descriptors(void) { take_delivery(); send_descriptors(me.result_fd); }

static void
act_spool_foreign_result(void)
{
	take_delivery();
	send_result((uint16_t)(me.recipient.index + 1), DELIVERY_DELIVERED);
	expect_end(me.result_fd);
}

static void
act_spool_foreign_number(void)
{
	take_delivery();
	send_finished(me.result_fd, me.deliver.number + 1, DELIVERY_DELIVERED);
	expect_end(me.result_fd);
}

static void
act_spool_finished_twice(void)
{
	struct ipc_message m;

	take_delivery();
	send_finished(me.result_fd, me.deliver.number, DELIVERY_DEFERRED);
	send_finished(me.result_fd, me.deliver.number, DELIVERY_DELIVERED);
	receive(me.result_fd, IPC_DELIVERY_FROM_SPOOL, &m);
	expect_end(me.result_fd);
}

static void
act_spool_silent(void)
{
	take_delivery();
	say("ok", "says nothing, and ends");
}

/* Acts of one that never ends, whatever its sockets say. */

static void
stay(void)
{
	for (;;)
		poll(NULL, 0, -1);
}

static void
act_stay_busy(void)
{
	take_delivery();
	say("ok", "stays");
	stay();
}

static void
act_stay_over(void)
{
	struct ipc_message m;

	take_delivery();
	say("ok", "stays");
	send_finished(me.result_fd, me.deliver.number, DELIVERY_DELIVERED);
	receive(me.result_fd, IPC_DELIVERY_FROM_SPOOL, &m);
	close(me.result_fd);
	idle(me.deliver.number, false);
	stay();
}

static void
act_stay_unheard(void)
{
	idle(77, true);
	say("ok", "stays");
	stay();
}

static const struct {
	const char	*name;
	void		(*run)(void);
} acts[] = {
	{ "garbage", act_garbage }, { "descriptors", act_descriptors }, { "delivered-early", act_delivered_early },
	{ "idle-early", act_idle_early }, { "silent", act_silent }, { "huge", act_huge }, { "failed-late", act_failed_late },
	{ "idle-twice", act_idle_twice }, { "idle-of-another", act_idle_of_another },
	{ "socket", act_socket }, { "connect", act_connect }, { "execve", act_execve }, { "fork", act_fork }, { "kill", act_kill },
	{ "open", act_open }, { "fchdir", act_fchdir }, { "seccomp", act_seccomp }, { "ptrace", act_ptrace },
	{ "execute-memory", act_execute_memory }, { "write-message", act_write_message },
	{ "spool-garbage", act_spool_garbage }, { "spool-descriptors", act_spool_descriptors },
	{ "spool-foreign-result", act_spool_foreign_result }, { "spool-foreign-number", act_spool_foreign_number },
	{ "spool-finished-twice", act_spool_finished_twice }, { "spool-silent", act_spool_silent },
	{ "stay-busy", act_stay_busy }, { "stay-over", act_stay_over }, { "stay-unheard", act_stay_unheard },
};

/* As good a session as it takes: the message is said to be delivered. */
static void
behave(void)
{
	struct ipc_message m;

	for (;;) {
		take_delivery();
		say("good", me.recipient.recipient.address.text);
		send_finished(me.result_fd, me.deliver.number, DELIVERY_DELIVERED);
		receive(me.result_fd, IPC_DELIVERY_FROM_SPOOL, &m);
		close(me.file_fd);
		close(me.result_fd);
		idle(me.deliver.number, false);
		_exit(0);
	}
}

void
session_run(const struct session_facts *facts, int fd, int control_fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char line[100] = "";

	me.facts = facts;
	me.fd = fd;
	me.control_fd = control_fd;
	poll(&p, 1, 5000);
	if (read(fd, line, sizeof(line) - 1) <= 0)
		_exit(1);
	line[strcspn(line, "\r\n")] = 0;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		if (strcmp(line, acts[i].name) == 0) {
			acts[i].run();
			_exit(0);
		}
	behave();
	_exit(0);
}
