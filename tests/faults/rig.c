/*
 * What the attacker stands on: real services started as the master starts them, and sessions of which it holds the
 * worker's ends. Run by the tests, as root or not. Invariant: after each act the world is looked at: services, spool,
 * the witness.
 */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "io.h"

#define PATIENCE_MS 10000	/* for what must come */
#define SERVED_MS 3000		/* for the witness: nobody may hold it up longer */

struct rig rig = { .next_number = 1000, .witness = { .auth = -1, .keys = -1, .spool = -1 } };

static const char *const names[SERVICES] = { [AUTH] = "auth", [KEYS] = "keys", [SPOOL] = "spool" };
static const char *selected;
static bool only_names;
static unsigned failures, failures_of_act;

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("FAIL start: ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	exit(1);
}

void
check(bool holds, const char *fmt, ...)
{
	va_list ap;

	if (holds || failures_of_act++ > 20)
		return;
	va_start(ap, fmt);
	printf("     | ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
}

static int
conf_copy(void)
{
	int fd = memfd_create("postern.conf", MFD_CLOEXEC);
	char path[PATH_MAX];
	struct buf b;

	buf_init(&b, 1 << 20);
	snprintf(path, sizeof(path), "%s/postern.conf", rig.root);
	if (fd < 0 || io_read_file(path, &b) != ERR_OK || io_write_all(fd, b.data, b.len) != ERR_OK)
		die("%s can't be passed on", path);
	buf_free(&b);
	return fd;
}

static void
become(enum service_id id, int control, int conf)
{
	/* The sanitizer keeps little of what was freed, so that growth can be told from it. */
	char *const environment[] = {
		(char *)(size_t) "ASAN_OPTIONS=quarantine_size_mb=1:thread_local_quarantine_size_kb=64", NULL
	};
	char path[PATH_MAX], title[32];
	int null = open("/dev/null", O_RDWR);

	control = fcntl(control, F_DUPFD, 20);
	conf = fcntl(conf, F_DUPFD, 20);
	dup2(null, 0);
	dup2(null, 1);
	dup2(control, 3);
	dup2(conf, 4);
	close_range(5, ~0U, 0);
	snprintf(path, sizeof(path), "%s/postern-%s", rig.build, names[id]);
	snprintf(title, sizeof(title), "postern-%s", names[id]);
	execve(path, (char *const[]){ title, (char *)(size_t)"--root", (char *)(size_t)rig.root, NULL }, environment);
	_exit(127);
}

static void
start(enum service_id id)
{
	int pair[2], conf = conf_copy();
	struct ipc_message m;
	struct ipc_failed failed;

	if (ipc_pair(pair) != ERR_OK || (rig.pids[id] = fork()) < 0)
		die("no process");
	if (rig.pids[id] == 0)
		become(id, pair[1], conf);
	close(pair[1]);
	close(conf);
	rig.control[id] = pair[0];
	if (hear(pair[0], IPC_MASTER_FROM_SERVICE, &m, 30000) != ERR_OK)
		die("postern-%s does not start", names[id]);
	if (m.kind == IPC_FAILED && ipc_get_failed(&m.body, &failed) == ERR_OK)
		die("postern-%s: %s", names[id], failed.reason);
}

static void
send_to_service(enum service_id id, int fd)
{
	if (ipc_send(rig.control[id], &out, &fd, 1, true) != ERR_OK)
		die("postern-%s does not listen", names[id]);
	close(fd);
}

void
rig_start(const char *root, const char *build, const char *password)
{
	int pair[2];

	rig.root = root;
	rig.build = build;
	snprintf(rig.password, sizeof(rig.password), "%s", password);
	for (int i = 0; i < SERVICES; i++)
		start((enum service_id)i);
	if (ipc_pair(pair) != ERR_OK)
		die("no link");
	ipc_put_link(begin(), LINK_AUTH);
	send_to_service(SPOOL, pair[0]);
	ipc_put_link(begin(), LINK_SPOOL);
	send_to_service(AUTH, pair[1]);
	session_begin(&rig.witness);
	if (session_login(&rig.witness, BOB, rig.password) != LOGIN_OK)
		die("bob can't log in");
}

void
rig_stop(void)
{
	session_close(&rig.witness);
	for (int i = 0; i < SERVICES; i++) {
		int status = -1, left = 10000;

		close(rig.control[i]);
		while (waitpid(rig.pids[i], &status, WNOHANG) == 0 && left-- > 0)
			usleep(1000);
		if (left <= 0)
			kill(rig.pids[i], SIGKILL);
		check(left > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0, "postern-%s ended with %#x", names[i],
		    status);
	}
	failures += failures_of_act != 0;
}

void
rig_admin(const char *noun, const char *verb, const char *argument, const char *input)
{
	char path[PATH_MAX];
	int in[2], status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/smtpadm", rig.build);
	if (pipe(in) != 0 || (pid = fork()) < 0)
		die("no process");
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(open("/dev/null", O_WRONLY), 1);
		dup2(1, 2);
		close_range(3, ~0U, 0);
		execl(path, "smtpadm", "--yes", "--root", rig.root, noun, verb, argument,
		    input != NULL ? "--stdin" : NULL, NULL);
		_exit(127);
	}
	close(in[0]);
	if (input != NULL && write(in[1], input, strlen(input)) < 0)
		check(false, "smtpadm reads no password");
	close(in[1]);
	waitpid(pid, &status, 0);
	check(status == 0, "smtpadm %s %s %s: %#x", noun, verb, argument, status);
}

unsigned
count_files(const char *folder)
{
	char path[PATH_MAX];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/spool/%s", rig.root, folder);
	if ((d = opendir(path)) == NULL)
		die("%s can't be opened", path);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* What must hold whatever was done. */
static void
look_at_world(void)
{
	static const char text[] = "From: " BOB "\r\nSubject: witness\r\n\r\nstill served\r\n";
	uint64_t began = io_now_ms();
	unsigned left;
	int verdict;

	for (int i = 0; i < SERVICES; i++)
		check(waitpid(rig.pids[i], NULL, WNOHANG) == 0, "postern-%s has died", names[i]);
	/* A spool that has much to read from auth yet may have "try again" said. */
	do {
		verdict = approve(&rig.witness, BOB, "witness@example.net") ?
		    give(&rig.witness, rig.witness.t, LIT(text)) : ENDED;
	} while (verdict != COMMIT_STORED && io_now_ms() - began < SERVED_MS && usleep(2000) == 0);
	check(verdict == COMMIT_STORED, "the witness is not served: %d", verdict);
	rig.stored += verdict == COMMIT_STORED;
	check(io_now_ms() - began < SERVED_MS, "the witness was held up for %d ms", (int)(io_now_ms() - began));
	for (int i = 0; i < 2000 && (left = count_files("tmp")) != 0; i++)
		usleep(1000);
	check(left == 0, "%u files stay in tmp", left);
	check(count_files("new") == rig.stored, "%u messages are stored, not %u", count_files("new"), rig.stored);
	check(count_files("failed") + count_files("hold") + count_files("cur") == 0, "files stand where none belongs");
	rig.stored = count_files("new");	/* each act for itself */
}

void
act_select(bool only, const char *name)
{
	only_names = only;
	selected = name;
}

void
act(const char *name, void (*run)(void))
{
	uint64_t began = io_now_ms();

	if (only_names) {
		printf("%s\n", name);
		return;
	}
	if (selected != NULL && strcmp(selected, name) != 0)
		return;
	fprintf(stderr, "attack: %s\n", name);
	failures_of_act = 0;
	run();
	look_at_world();
	printf("%s %s %d ms\n", failures_of_act == 0 ? "ok" : "FAIL", name, (int)(io_now_ms() - began));
	failures += failures_of_act != 0;
	failures_of_act = 0;
}

unsigned
act_failures(void)
{
	return failures;
}

int
hear(int fd, enum ipc_channel channel, struct ipc_message *m, int ms)
{
	static uint8_t received[IPC_SMALL_MAX];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int err;

	if (fd < 0)
		return ENDED;
	if (poll(&p, 1, ms) != 1)
		return SILENT;
	err = ipc_recv(fd, channel, received, sizeof(received), false, m);
	return err == ERR_CLOSED ? ENDED : err;
}

void
expect_ended(int fd, const char *what)
{
	struct ipc_message m;
	int err = hear(fd, IPC_WORKER_FROM_AUTH, &m, PATIENCE_MS);

	check(err == ENDED, "%s: the session goes on (%d)", what, err);
	if (err == ERR_OK)
		ipc_message_close(&m);
}

unsigned
expect_ended_after_answers(int fd, const char *what)
{
	unsigned answers = 0;
	uint8_t octets[1024];
	ssize_t n = -1;

	/* Descriptors that come are thrown away by the kernel. */
	for (struct pollfd p = { .fd = fd, .events = POLLIN }; poll(&p, 1, PATIENCE_MS) == 1; answers++)
		if ((n = recv(fd, octets, sizeof(octets), MSG_DONTWAIT)) <= 0)
			break;
	check(n <= 0, "%s: the session goes on after %u answers", what, answers);
	return answers;
}

void
expect_open(int fd, const char *what)
{
	struct ipc_message m;
	int err = hear(fd, IPC_WORKER_FROM_AUTH, &m, 30);

	check(err == SILENT, "%s: not silence but %d", what, err);
	if (err == ERR_OK)
		ipc_message_close(&m);
}
