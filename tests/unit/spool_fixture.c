/*
 * A postern-spool under test: started as the master starts it, told what auth tells it, used as workers use it. Runs in the unit
 * tests, as root or not.
 */
#include "spool_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "io.h"
#include "service.h"
#include "unit.h"

static void
make_folder(const char *root, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static char last_root[64];
static pid_t last_user;

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *w)
{
	(void)st;
	(void)type;
	(void)w;
	return remove(path);
}

/* What a test that has failed would leave, its small disk among that. */
static void
remove_last(void)
{
	char disk[80];

	if (getpid() != last_user)
		return;
	snprintf(disk, sizeof(disk), "%s/disk", last_root);
	umount2(disk, MNT_DETACH);
	nftw(last_root, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void
fixture_open(struct fixture *f, const char *settings)
{
	*f = (struct fixture){ .root = "/tmp/postern-unit-spool-XXXXXX", .settings = settings, .pid = -1, .control = -1, .link = -1 };
	assert_non_null(mkdtemp(f->root));
	if (last_user == 0)
		atexit(remove_last);
	last_user = getpid();
	snprintf(last_root, sizeof(last_root), "%s", f->root);
	make_folder(f->root, "run");
	make_folder(f->root, "run/empty");
	snprintf(f->spool, sizeof(f->spool), "%s/spool", f->root);
}

void
fixture_close(struct fixture *f)
{
	if (f->pid > 0)
		fixture_kill(f);
	nftw(f->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* The program beside this test: BUILD/tests/unit/test_NAME and BUILD/postern-spool. */
static void
find_program(char to[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", to, PATH_MAX - 32);

	assert_true(n > 0);
	to[n] = 0;
	for (int i = 0; i < 3; i++)
		*strrchr(to, '/') = 0;
	memcpy(to + strlen(to), "/postern-spool", sizeof("/postern-spool"));
}

static void
exec_program(struct fixture *f, int control)
{
	char path[PATH_MAX], text[2048], log[PATH_MAX];
	int conf = memfd_create("conf", 0), null = open("/dev/null", O_RDWR), out;
	ssize_t n;

	find_program(path);
	snprintf(text, sizeof(text), "hostname = mail.example.org\n[spool]\n%s\n",
	    f->settings != NULL ? f->settings : "min_free = 0");
	n = write(conf, text, strlen(text));
	snprintf(log, sizeof(log), "%s/log", f->root);
	out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	/* Out of the way of 3 and 4 first. */
	control = fcntl(control, F_DUPFD, 20);
	conf = fcntl(conf, F_DUPFD, 20);
	if (n < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(out, 2) < 0 || dup2(control, SERVICE_CONTROL_FD) < 0 ||
	    dup2(conf, SERVICE_CONF_FD) < 0)
		_exit(70);
	close_range(SERVICE_CONF_FD + 1, ~0u, 0);
	if (f->descriptors != 0 && setrlimit(RLIMIT_NOFILE, &(struct rlimit){ f->descriptors, f->descriptors }) != 0)
		_exit(72);
	execl(path, path, "--root", f->root, (char *)NULL);
	_exit(71);
}

static int
take(struct fixture *f, void *data, size_t size, bool wait, struct ipc_message *m)
{
	int err = ipc_recv(f->link, IPC_AUTH_FROM_SPOOL, data, size, wait, m);

	if (err == ERR_OK && m->kind == IPC_USAGE)
		assert_int_equal(ipc_get_usage(&m->body, &f->usage), ERR_OK);
	return err;
}

void
fixture_recv(struct fixture *f, void *data, size_t size, struct ipc_message *m)
{
	do {
		assert_int_equal(take(f, data, size, true, m), ERR_OK);
	} while (m->kind == IPC_USAGE);
}

bool
fixture_usage_is(struct fixture *f, uint64_t messages, uint64_t octets)
{
	uint8_t data[IPC_SMALL_MAX];
	struct ipc_message m;

	for (int i = 0; i < 250; i++) {
		while (take(f, data, sizeof(data), false, &m) == ERR_OK)
			assert_int_equal(m.kind, IPC_USAGE);
		if (f->usage.messages == messages && f->usage.octets == octets && strcmp(f->usage.account, "alice@example.org") == 0)
			return true;
		usleep(20000);
	}
	return false;
}

void
fixture_link(struct fixture *f)
{
	uint8_t data[IPC_SMALL_MAX];
	struct ipc_message m;
	struct wire_out w;
	int pair[2];

	io_close(&f->link);
	assert_int_equal(ipc_pair(pair), ERR_OK);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_link(&w, LINK_AUTH);
	assert_int_equal(ipc_send(f->control, &w, &pair[1], 1, true), ERR_OK);
	close(pair[1]);
	f->link = pair[0];
	f->usage = (struct ipc_usage){ .messages = 0 };
	fixture_recv(f, data, sizeof(data), &m);
	assert_int_equal(m.kind, IPC_STORAGE);
}

bool
fixture_start(struct fixture *f)
{
	uint8_t data[IPC_SMALL_MAX];
	struct ipc_message m;
	struct ipc_failed failed;
	int pair[2], status;

	f->failed[0] = 0;
	assert_int_equal(ipc_pair(pair), ERR_OK);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0)
		exec_program(f, pair[1]);
	close(pair[1]);
	f->control = pair[0];
	assert_int_equal(ipc_recv(f->control, IPC_MASTER_FROM_SERVICE, data, sizeof(data), true, &m), ERR_OK);
	if (m.kind == IPC_FAILED) {
		assert_int_equal(ipc_get_failed(&m.body, &failed), ERR_OK);
		memcpy(f->failed, failed.reason, sizeof(f->failed));
		waitpid(f->pid, &status, 0);
		f->pid = -1;
		io_close(&f->control);
		return false;
	}
	assert_int_equal(m.kind, IPC_READY);
	fixture_link(f);
	return true;
}

static int
await_end(struct fixture *f)
{
	int status;

	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	f->pid = -1;
	io_close(&f->control);
	io_close(&f->link);
	return status;
}

int
fixture_stop(struct fixture *f)
{
	io_close(&f->control);
	return await_end(f);
}

void
fixture_kill(struct fixture *f)
{
	kill(f->pid, SIGKILL);
	await_end(f);
}

static void
send_link(struct fixture *f, const struct wire_out *w, const int *fds, size_t nfds)
{
	assert_int_equal(ipc_send(f->link, w, fds, nfds, true), ERR_OK);
}

int
fixture_grant(struct fixture *f, uint64_t session)
{
	struct ipc_grant g = { .session = session, .account = 7, .name = "alice@example.org", .listener = LISTENER_SUBMISSION };
	uint8_t data[1024];
	struct wire_out w;
	int pair[2];

	assert_int_equal(ipc_pair(pair), ERR_OK);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_grant(&w, &g);
	send_link(f, &w, &pair[1], 1);
	close(pair[1]);
	return pair[0];
}

void
fixture_sender(struct fixture *f, uint64_t session, uint32_t t, const char *address, uint64_t limit, bool check_header)
{
	struct ipc_envelope_sender m = { .session = session, .t = t, .message_size = limit, .check_header = check_header };
	uint8_t data[2048];
	struct wire_out w;

	if (address[0] != 0)
		assert_int_equal(addr_parse(&m.sender.address, address, strlen(address), true), ERR_OK);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_envelope_sender(&w, &m);
	send_link(f, &w, NULL, 0);
}

void
fixture_recipient(struct fixture *f, uint64_t session, uint32_t t, const char *address)
{
	struct ipc_envelope_recipient m = { .session = session, .t = t, .recipient = { .notify = DSN_NOTIFY_NEVER,
	    .orcpt = "rfc822;bob@example.net" } };
	uint8_t data[2048];
	struct wire_out w;

	assert_int_equal(addr_parse(&m.recipient.address, address, strlen(address), true), ERR_OK);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_envelope_recipient(&w, &m);
	send_link(f, &w, NULL, 0);
}

void
fixture_envelope(struct fixture *f, uint64_t session, uint32_t t)
{
	fixture_sender(f, session, t, "alice@example.org", 1 << 20, false);
	fixture_recipient(f, session, t, "bob@example.net");
}

int
worker_send_raw(int fd, const void *p, size_t n)
{
	struct wire_out w = { .data = (uint8_t *)p, .len = n, .size = n };

	return ipc_send(fd, &w, NULL, 0, true);
}

int
worker_send_transaction(int fd, enum ipc_kind kind, uint32_t t)
{
	uint8_t data[16];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	if (kind == IPC_ABORT)
		ipc_put_abort(&w, ABORT_LEFT);
	else
		ipc_put_transaction(&w, kind, t);
	return ipc_send(fd, &w, NULL, 0, true);
}

int
worker_send_data(int fd, const void *p, size_t n)
{
	static uint8_t data[IPC_DATAGRAM_MAX];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_data(&w, p, n);
	return ipc_send(fd, &w, NULL, 0, true);
}

int
worker_send_commit(int fd, uint32_t t, uint64_t size)
{
	struct ipc_commit m = { .t = t, .size = size };
	uint8_t data[32];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_commit(&w, &m);
	return ipc_send(fd, &w, NULL, 0, true);
}

int
worker_get_commit(int fd, struct ipc_commit_answer *a)
{
	uint8_t data[IPC_SMALL_MAX];
	struct ipc_message m;
	int err = ipc_recv(fd, IPC_WORKER_FROM_SPOOL, data, sizeof(data), true, &m);

	if (err != ERR_OK)
		return err;
	assert_int_equal(m.kind, IPC_COMMIT_ANSWER);
	assert_int_equal(ipc_get_commit_answer(&m.body, a), ERR_OK);
	return ERR_OK;
}

int
worker_get_outcome(int fd, struct ipc_outcome_answer *a)
{
	uint8_t data[IPC_SMALL_MAX];
	struct ipc_message m;
	int err = ipc_recv(fd, IPC_WORKER_FROM_SPOOL, data, sizeof(data), true, &m);

	if (err != ERR_OK)
		return err;
	assert_int_equal(m.kind, IPC_OUTCOME_ANSWER);
	assert_int_equal(ipc_get_outcome_answer(&m.body, a), ERR_OK);
	return ERR_OK;
}

enum commit_verdict
worker_submit(int fd, uint32_t t, const void *p, size_t n, char id[IPC_TEXT_MAX])
{
	struct ipc_commit_answer a;
	size_t piece;

	assert_int_equal(worker_send_transaction(fd, IPC_OPEN, t), ERR_OK);
	for (size_t i = 0; i < n; i += piece) {
		piece = n - i < IPC_DATA_MAX ? n - i : IPC_DATA_MAX;
		assert_int_equal(worker_send_data(fd, (const uint8_t *)p + i, piece), ERR_OK);
	}
	assert_int_equal(worker_send_commit(fd, t, n), ERR_OK);
	assert_int_equal(worker_get_commit(fd, &a), ERR_OK);
	assert_int_equal(a.t, t);
	memcpy(id, a.id, sizeof(a.id));
	return a.verdict;
}

size_t
fixture_count(const struct fixture *f, enum spool_folder folder)
{
	char path[PATH_MAX];
	struct dirent *e;
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%.200s/%s", f->spool, spool_folder_name(folder));
	assert_non_null(dir = opendir(path));
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

char *
fixture_message(const struct fixture *f, const char *id, struct spool_envelope *e)
{
	struct spool_entry entry;
	struct spool_dirs d;
	struct buf b;
	int err;

	assert_int_equal(spool_open(&d, f->spool), ERR_OK);
	err = spool_find(&d, id, &entry);
	spool_close(&d);
	if (err == ERR_NOTFOUND)
		return NULL;
	assert_int_equal(err, ERR_OK);
	assert_int_equal(spool_read_envelope(entry.fd, e), ERR_OK);
	assert_int_equal(spool_verify(entry.fd), ERR_OK);
	buf_init(&b, 64 << 20);
	assert_int_equal(lseek(entry.fd, (off_t)e->message_offset, SEEK_SET), e->message_offset);
	assert_int_equal(io_read_all(entry.fd, &b), ERR_OK);
	assert_int_equal(b.len, e->message_size);
	assert_int_equal(buf_put_nul(&b), ERR_OK);
	close(entry.fd);
	return (char *)b.data;
}

bool
fixture_log_has(const struct fixture *f, const char *text)
{
	char path[PATH_MAX];
	struct buf b;
	bool has;

	snprintf(path, sizeof(path), "%s/log", f->root);
	buf_init(&b, 64 << 20);
	assert_int_equal(io_read_file(path, &b), ERR_OK);
	has = b.len != 0 && memmem(b.data, b.len, text, strlen(text)) != NULL;
	buf_free(&b);
	return has;
}
