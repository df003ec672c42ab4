/*
 * postern-spool's control socket, and what it tells auth of the messages that wait: removal by an admin, several at once, bad frames,
 * too many connections, and the numbers after a restart.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "lock.h"
#include "message_queue.h"
#include "spool_fixture.h"
#include "state.h"
#include "unit.h"
#include "waiting.h"

static const char plain[] = "From: alice@example.org\r\nSubject: hello\r\n\r\nhello\r\n";

static int
setup(void **state)
{
	static struct fixture f;

	alarm(100);
	fixture_open(&f, NULL);
	if (!fixture_start(&f)) {
		print_error("%s\n", f.failed);
		return -1;
	}
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	bool bad;

	if (f->pid > 0)
		assert_int_equal(fixture_stop(f), 0);
	bad = fixture_log_has(f, "sandbox: unknown system call");
	fixture_close(f);
	return bad ? -1 : 0;
}

static int
connect_to(const struct fixture *f)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s/run/%s", f->root, IPC_QUEUE_FILE);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
ask_for(int fd, enum queue_change change, const char *file)
{
	static struct ipc_queue_change m;
	uint8_t data[IPC_TEXT_MAX + 16];
	struct wire_out w;

	m = (struct ipc_queue_change){ .change = change, .n = 1 };
	snprintf(m.files[0], sizeof(m.files[0]), "%s", file);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_queue_change(&w, &m);
	assert_int_equal(ipc_send(fd, &w, NULL, 0, true), ERR_OK);
}

static void
ask(int fd, const char *file)
{
	ask_for(fd, QUEUE_REMOVE, file);
}

static enum queue_verdict
answered(int fd)
{
	struct ipc_queue_answer a;
	struct ipc_message m;
	uint8_t data[64];

	assert_int_equal(ipc_recv(fd, IPC_ADMIN_FROM_SPOOL, data, sizeof(data), true, &m), ERR_OK);
	assert_int_equal(ipc_get_queue_answer(&m.body, &a), ERR_OK);
	assert_int_equal(a.n, 1);
	return a.verdicts[0];
}

static bool
is_closed(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char octet;

	return poll(&p, 1, 5000) == 1 && recv(fd, &octet, 1, MSG_DONTWAIT) <= 0;
}

struct found {
	char		file[SPOOL_NAME_MAX];
	uint64_t	octets;
	size_t		n;
};

static int
visit(const struct spool_entry *e, void *arg)
{
	struct spool_envelope envelope;
	struct found *found = arg;

	if (spool_read_envelope(e->fd, &envelope) != ERR_OK)
		return ERR_CORRUPT;
	memcpy(found->file, e->name, sizeof(found->file));
	found->octets += envelope.message_size;
	found->n++;
	spool_envelope_free(&envelope);
	return 0;
}

/* The last message, and the octets of all. */
static struct found
look(const struct fixture *f)
{
	struct found found = { .n = 0 };
	struct spool_dirs d;

	assert_int_equal(spool_open(&d, f->spool), ERR_OK);
	assert_int_equal(spool_walk(&d, visit, &found), ERR_OK);
	spool_close(&d);
	return found;
}

static void
submit(struct fixture *f, uint64_t session, size_t n)
{
	int fd = fixture_grant(f, session);
	char id[IPC_TEXT_MAX];

	for (uint32_t t = 1; t <= n; t++) {
		fixture_envelope(f, session, t);
		assert_int_equal(worker_submit(fd, t, plain, sizeof(plain) - 1, id), COMMIT_STORED);
	}
	close(fd);
}

static void
test_remove(void **state)
{
	struct fixture *f = *state;
	struct found found;
	struct stat st;
	char path[PATH_MAX];
	int fd, other;

	snprintf(path, sizeof(path), "%s/run/%s", f->root, IPC_QUEUE_FILE);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	submit(f, 1, 3);
	found = look(f);
	assert_int_equal(found.n, 3);
	assert_true(fixture_usage_is(f, 3, found.octets));
	fd = connect_to(f);
	other = connect_to(f);
	ask(fd, found.file);
	assert_int_equal(answered(fd), QUEUE_DONE);
	ask(other, found.file);
	assert_int_equal(answered(other), QUEUE_NOT_FOUND);
	assert_true(fixture_log_has(f, "event=queue.removed"));
	found = look(f);
	assert_int_equal(found.n, 2);
	assert_true(fixture_usage_is(f, 2, found.octets));
	/* Names that would lead out of the folders, and many ahead. */
	for (size_t i = 0; i < 16; i++) {
		ask(fd, "../lock");
		ask(fd, "..");
		ask(fd, "");
		ask(fd, i == 7 ? found.file : "nothing");
	}
	for (size_t i = 0; i < 16; i++) {
		assert_int_equal(answered(fd), QUEUE_FAILED);
		assert_int_equal(answered(fd), QUEUE_FAILED);
		assert_int_equal(answered(fd), QUEUE_FAILED);
		assert_int_equal(answered(fd), i == 7 ? QUEUE_DONE : QUEUE_NOT_FOUND);
	}
	snprintf(path, sizeof(path), "%.2000s/lock", f->spool);
	assert_int_equal(stat(path, &st), 0);
	found = look(f);
	assert_int_equal(found.n, 1);
	assert_true(fixture_usage_is(f, 1, found.octets));
	/* Asked and gone: it is done all the same. */
	ask(fd, found.file);
	close(fd);
	assert_true(fixture_usage_is(f, 0, 0));
	assert_int_equal(look(f).n, 0);
	/* A folder is no message. */
	snprintf(path, sizeof(path), "%.2000s/new/folder", f->spool);
	assert_int_equal(mkdir(path, 0700), 0);
	ask(other, "folder");
	assert_int_equal(answered(other), QUEUE_FAILED);
	assert_int_equal(rmdir(path), 0);
	close(other);
}

static void
test_bad_frames(void **state)
{
	static const uint8_t frames[][8] = { { 0, 0x90, 0, 0 }, { 0, 0x90, 9, 0, 1, 'x' }, { 0, 0x52, 1 }, { 0, 0x24 }, { 7 } };
	struct fixture *f = *state;
	struct found found;
	int fds[40], fd;

	submit(f, 2, 1);
	found = look(f);
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		fd = connect_to(f);
		assert_int_equal(send(fd, frames[i], i == 1 ? 6 : i == 4 ? 1 : 3, MSG_NOSIGNAL), i == 1 ? 6 : i == 4 ? 1 : 3);
		assert_true(is_closed(fd));
		close(fd);
	}
	assert_true(fixture_log_has(f, "admin.bad_frame"));
	/* More than are heard: the oldest make room. */
	for (size_t i = 0; i < 40; i++)
		fds[i] = connect_to(f);
	assert_true(is_closed(fds[0]));
	ask(fds[39], "nothing");
	assert_int_equal(answered(fds[39]), QUEUE_NOT_FOUND);
	for (size_t i = 0; i < 40; i++)
		close(fds[i]);
	fd = connect_to(f);
	/* Asks without end and reads nothing. */
	for (size_t i = 0; i < 100000; i++) {
		struct ipc_queue_change m = { .n = 1, .files = { "nothing" } };
		uint8_t data[64];
		struct wire_out w;

		wire_out_init(&w, data, sizeof(data));
		ipc_put_queue_change(&w, &m);
		if (ipc_send(fd, &w, NULL, 0, true) == ERR_CLOSED)
			break;
	}
	close(fd);
	fd = connect_to(f);
	ask(fd, found.file);
	assert_int_equal(answered(fd), QUEUE_DONE);
	close(fd);
	submit(f, 3, 1);
}

/* How many messages delivery has to do with. */
static uint64_t
scheduled(const struct fixture *f)
{
	const struct ipc_delivery_order order = { .order = DELIVERY_TELL };
	static uint8_t data[IPC_TEXT_MAX + 64];
	static struct ipc_delivery_state state;
	struct ipc_message m;
	int fd = connect_to(f);
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_delivery_order(&w, &order);
	assert_int_equal(ipc_send(fd, &w, NULL, 0, true), ERR_OK);
	assert_int_equal(ipc_recv(fd, IPC_ADMIN_FROM_SPOOL, data, sizeof(data), true, &m), ERR_OK);
	assert_int_equal(ipc_get_delivery_state(&m.body, &state), ERR_OK);
	close(fd);
	return state.scheduled;
}

/* Nonsense behind a change: its sender goes, the message that was taken out of the schedule for the change comes back. */
static void
test_bad_frame_behind_a_change(void **state)
{
	struct fixture *f = *state;
	struct found found;
	uint64_t n;
	int fd;

	submit(f, 8, 1);
	found = look(f);
	n = scheduled(f);
	fd = connect_to(f);
	assert_int_equal(kill(f->pid, SIGSTOP), 0);
	ask_for(fd, QUEUE_REROUTE, found.file);
	assert_int_equal(send(fd, "\x07", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(kill(f->pid, SIGCONT), 0);
	assert_true(is_closed(fd));
	close(fd);
	for (int i = 0; i < 100 && scheduled(f) != n; i++)
		usleep(20000);
	assert_int_equal(scheduled(f), n);
	fd = connect_to(f);
	ask(fd, found.file);
	assert_int_equal(answered(fd), QUEUE_DONE);
	close(fd);
}

/* Whether a message stands in hold/. Its state says the same. */
static bool
is_held(const struct fixture *f, const char *file)
{
	struct spool_envelope e;
	struct spool_dirs d;
	struct state s;
	bool held;
	int fd;

	assert_int_equal(spool_open(&d, f->spool), ERR_OK);
	held = (fd = openat(d.fds[SPOOL_HOLD], file, O_RDONLY)) >= 0;
	if (!held && (fd = openat(d.fds[SPOOL_CUR], file, O_RDONLY)) < 0)
		fd = openat(d.fds[SPOOL_NEW], file, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(spool_read_envelope(fd, &e), ERR_OK);
	assert_int_equal(state_read(&d, e.id, e.nrecipients, &s), ERR_OK);
	assert_int_equal(s.hold != NULL, held);
	spool_envelope_free(&e);
	state_free(&s);
	close(fd);
	spool_close(&d);
	return held;
}

/* Two admins at one message in the same instant: one of them is told so, or their changes follow each other. */
static void
test_two_at_once(void **state)
{
	struct fixture *f = *state;
	struct found found;
	int fds[2], busy = 0;
	uint64_t others;

	submit(f, 9, 1);
	found = look(f);
	others = scheduled(f) - 1;
	fds[0] = connect_to(f);
	fds[1] = connect_to(f);
	for (int i = 0; i < 200; i++) {
		const int hold = i % 2;		/* whose turn it is to hold it */
		enum queue_verdict held, released;
		bool was_held = is_held(f, found.file);

		/* Both are heard in one round of the loop. */
		assert_int_equal(kill(f->pid, SIGSTOP), 0);
		ask_for(fds[hold], QUEUE_HOLD, found.file);
		ask_for(fds[!hold], QUEUE_RELEASE, found.file);
		assert_int_equal(kill(f->pid, SIGCONT), 0);
		held = answered(fds[hold]);
		released = answered(fds[!hold]);
		assert_true(held == QUEUE_DONE || (held == QUEUE_BUSY && released != QUEUE_BUSY));
		busy += held == QUEUE_BUSY || released == QUEUE_BUSY;
		if (held == QUEUE_BUSY || released == QUEUE_BUSY)
			assert_int_equal(is_held(f, found.file), held == QUEUE_DONE || (was_held && released != QUEUE_DONE));
		assert_int_equal(scheduled(f), others + !is_held(f, found.file));
	}
	assert_true(busy > 0);
	/* One admin's own follow each other, and what is held at the end is not looked for. */
	for (int i = 0; i < 20; i++) {
		assert_int_equal(kill(f->pid, SIGSTOP), 0);
		ask_for(fds[0], QUEUE_HOLD, found.file);
		ask_for(fds[0], QUEUE_RELEASE, found.file);
		ask_for(fds[0], QUEUE_HOLD, found.file);
		assert_int_equal(kill(f->pid, SIGCONT), 0);
		for (int k = 0; k < 3; k++)
			assert_int_equal(answered(fds[0]), QUEUE_DONE);
		assert_true(is_held(f, found.file));
		assert_int_equal(scheduled(f), others);
	}
	assert_false(fixture_log_has(f, "message.gone"));
	ask(fds[0], found.file);
	assert_int_equal(answered(fds[0]), QUEUE_DONE);
	close(fds[0]);
	close(fds[1]);
}

/* Root and the spool's owner are heard, nobody else. */
static void
test_strangers(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->root, 0755), 0);
	pid = fork();
	if (pid == 0) {
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(2);
		_exit(connect_to(f) < 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* After a restart of either side the numbers are told again. */
static void
test_usage(void **state)
{
	struct fixture *f = *state;
	struct spool_removal r = { .err = ERR_NOTFOUND };
	struct spool_dirs d;
	struct found found;
	int lock;

	submit(f, 4, 2);
	found = look(f);
	assert_true(fixture_usage_is(f, found.n, found.octets));
	fixture_link(f);
	assert_true(fixture_usage_is(f, found.n, found.octets));
	assert_int_equal(spool_open(&d, f->spool), ERR_OK);
	assert_int_equal(lock_take(&d, 0, &lock), ERR_BUSY);
	fixture_kill(f);
	assert_int_equal(connect_to(f), -1);
	/* Stopped: with the lock. */
	assert_int_equal(lock_take(&d, 5000, &lock), ERR_OK);
	memcpy(r.file, found.file, sizeof(r.file));
	spool_remove(&d, &r, 1);
	assert_int_equal(r.err, ERR_OK);
	assert_true(r.removed);
	assert_string_equal(r.account, "alice@example.org");
	free(r.account);
	spool_remove(&d, &r, 1);
	assert_int_equal(r.err, ERR_NOTFOUND);
	close(lock);
	spool_close(&d);
	assert_true(fixture_start(f));
	found = look(f);
	assert_true(fixture_usage_is(f, found.n, found.octets));
}

static void
test_waiting(void **state)
{
	static struct waiting w;
	struct ipc_usage u;

	(void)state;
	assert_false(waiting_next(&w, &u));
	assert_int_equal(waiting_add(&w, "alice@example.org", 10), ERR_OK);
	assert_int_equal(waiting_add(&w, "Alice@Example.org", 5), ERR_OK);
	assert_true(waiting_next(&w, &u));
	assert_int_equal(u.messages, 2);
	assert_int_equal(u.octets, 15);
	assert_string_equal(u.account, "alice@example.org");
	waiting_told(&w);
	assert_false(waiting_next(&w, &u));
	waiting_subtract(&w, "nobody", 1);
	waiting_subtract(&w, "ALICE@example.org", 50);
	waiting_subtract(&w, "alice@example.org", 0);
	waiting_subtract(&w, "alice@example.org", 1);
	assert_true(waiting_next(&w, &u));
	assert_int_equal(u.messages, 0);
	assert_int_equal(u.octets, 0);
	waiting_told(&w);
	waiting_forget_told(&w);
	assert_false(waiting_next(&w, &u));
	for (int i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "user%d", i);
		assert_int_equal(waiting_add(&w, name, 1), ERR_OK);
	}
	for (int i = 0; i < 100; i++) {
		assert_true(waiting_next(&w, &u));
		waiting_told(&w);
	}
	assert_false(waiting_next(&w, &u));
	waiting_forget_told(&w);
	assert_true(waiting_next(&w, &u));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waiting), cmocka_unit_test(test_remove), cmocka_unit_test(test_bad_frames),
		cmocka_unit_test(test_bad_frame_behind_a_change), cmocka_unit_test(test_two_at_once),
		cmocka_unit_test(test_strangers), cmocka_unit_test(test_usage),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
