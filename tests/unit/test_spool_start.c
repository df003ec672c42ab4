/*
 * The start and the end of postern-spool, what it does to a spool that it finds, and what happens when space or descriptors run
 * out.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "spool_fixture.h"
#include "unit.h"

static const char plain[] = "From: alice@example.org\r\nTo: bob@example.net\r\nBcc: carol@example.net\r\nSubject: hello\r\n\r\nhello\r\n";

static int
setup(void **state)
{
	static struct fixture f;

	alarm(150);
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

	if (f->pid > 0)
		assert_int_equal(fixture_stop(f), 0);
	if (fixture_log_has(f, "sandbox: unknown system call"))
		return -1;
	fixture_close(f);
	return 0;
}

/* Waits until a worker's socket has ended. */
static bool
is_closed(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char octet;

	return poll(&p, 1, 5000) == 1 && recv(fd, &octet, 1, MSG_DONTWAIT) <= 0;
}

/* The master has gone: a worker with an open message may finish it, another begins none. */
static void
test_end(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_grant(f, 5), other = fixture_grant(f, 6);
	struct ipc_commit_answer a;
	uint64_t start;

	fixture_envelope(f, 5, 1);
	fixture_envelope(f, 6, 1);
	worker_send_transaction(fd, IPC_OPEN, 1);
	worker_send_data(fd, plain, sizeof(plain) - 1);
	usleep(200000);
	io_close(&f->control);
	usleep(200000);
	worker_send_transaction(other, IPC_OPEN, 1);
	assert_true(is_closed(other));
	worker_send_commit(fd, 1, sizeof(plain) - 1);
	assert_int_equal(worker_get_commit(fd, &a), ERR_OK);
	assert_int_equal(a.verdict, COMMIT_STORED);
	start = io_now_ms();
	assert_int_equal(fixture_stop(f), 0);
	assert_true(io_now_ms() - start < 2000);
	close(fd);
	close(other);

	/* One that never finishes has 5 seconds. */
	assert_true(fixture_start(f));
	fd = fixture_grant(f, 7);
	fixture_envelope(f, 7, 1);
	worker_send_transaction(fd, IPC_OPEN, 1);
	usleep(200000);
	start = io_now_ms();
	assert_int_equal(fixture_stop(f), 0);
	assert_true(io_now_ms() - start < 8000);
	close(fd);
	assert_int_equal(fixture_count(f, SPOOL_TMP), 0);
}

/* A second one waits for the lock, and says so when it is not to be had. */
static void
test_lock(void **state)
{
	struct fixture *f = *state, second = *f;

	assert_false(fixture_start(&second));
	assert_non_null(strstr(second.failed, "another process holds"));
	assert_non_null(strstr(second.failed, f->spool));
}

/* What an earlier crash, or an admin, may have left. */
static void
test_recovery(void **state)
{
	static const char *const foreign[] = { "tmp/1.QbadS.host", "tmp/other", "new/other", "cur/notes.txt", "hold/x" };
	struct fixture *f = *state;
	int fd = fixture_grant(f, 5), file;
	char id[IPC_TEXT_MAX], whole[IPC_TEXT_MAX], path[PATH_MAX], link[PATH_MAX], folder[PATH_MAX];
	struct spool_envelope e;
	struct dirent *d;
	struct stat st;
	DIR *dir;

	fixture_envelope(f, 5, 1);
	assert_int_equal(worker_submit(fd, 1, plain, sizeof(plain) - 1, whole), COMMIT_STORED);
	fixture_envelope(f, 5, 2);
	assert_int_equal(worker_submit(fd, 2, plain, sizeof(plain) - 1, id), COMMIT_STORED);
	close(fd);
	assert_int_equal(fixture_stop(f), 0);
	snprintf(path, sizeof(path), "%.200s/new", f->spool);
	assert_non_null(dir = opendir(path));
	while ((d = readdir(dir)) != NULL) {
		if (strstr(d->d_name, id) != NULL) {
			snprintf(path, sizeof(path), "%.200s/new/%s", f->spool, d->d_name);
			assert_int_equal(stat(path, &st), 0);
			assert_int_equal(truncate(path, st.st_size - 1), 0);
		}
	}
	closedir(dir);
	for (size_t i = 0; i < COUNT(foreign); i++) {
		snprintf(path, sizeof(path), "%.200s/%s", f->spool, foreign[i]);
		assert_true((file = open(path, O_WRONLY | O_CREAT, 0600)) >= 0);
		close(file);
	}
	snprintf(path, sizeof(path), "%.200s/new/a-fifo", f->spool);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(link, sizeof(link), "%.200s/new/a-link", f->spool);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	/* No message, whatever it is called: it is named and stays. */
	snprintf(folder, sizeof(folder), "%.200s/cur/1.Q0000000000000007S0000000000000001T1.host", f->spool);
	assert_int_equal(mkdir(folder, 0700), 0);
	/* Two of the same name in failed/ already, so that nothing is replaced. */
	snprintf(path, sizeof(path), "%.200s/failed/other", f->spool);
	assert_true((file = open(path, O_WRONLY | O_CREAT, 0600)) >= 0);
	close(file);
	assert_true(fixture_start(f));
	assert_int_equal(fixture_count(f, SPOOL_TMP), 0);
	assert_int_equal(fixture_count(f, SPOOL_CUR), 1);
	assert_int_equal(fixture_count(f, SPOOL_HOLD), 0);
	assert_int_equal(lstat(folder, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(lstat(link, &st), 0);
	assert_true(fixture_log_has(f, "event=spool.foreign entry=cur/1.Q0000000000000007S0000000000000001T1.host kind=folder"));
	assert_true(fixture_log_has(f, "event=spool.foreign entry=new/a-link kind=link"));
	assert_true(fixture_log_has(f, "event=spool.foreign entry=new/a-fifo kind=\"special file\""));
	assert_true(fixture_count(f, SPOOL_FAILED) >= 3);
	assert_true(fixture_log_has(f, "spool.corrupt"));
	assert_int_equal(lstat("/etc/passwd", &st), 0);
	free(fixture_message(f, whole, &e));
	spool_envelope_free(&e);
	snprintf(path, sizeof(path), "%.200s/failed/other.1", f->spool);
	assert_int_equal(lstat(path, &st), 0);
}

static void
test_bad_places(void **state)
{
	struct fixture f;
	char path[PATH_MAX];

	(void)state;
	/* A folder that holds other things is not taken over; neither is a link. */
	fixture_open(&f, NULL);
	assert_int_equal(symlink("/tmp", f.spool), 0);
	assert_false(fixture_start(&f));
	assert_non_null(strstr(f.failed, "it is a link"));
	assert_int_equal(unlink(f.spool), 0);
	/* A path of its own, with parents that are missing. */
	f.settings = "path = deep/er/spool";
	snprintf(f.spool, sizeof(f.spool), "%s/deep/er/spool", f.root);
	assert_true(fixture_start(&f));
	assert_int_equal(fixture_stop(&f), 0);
	/* A folder that is open to others is mended; one folder of it a file is not. */
	snprintf(path, sizeof(path), "%.200s/hold", f.spool);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(close(open(path, O_WRONLY | O_CREAT, 0600)), 0);
	assert_false(fixture_start(&f));
	assert_int_equal(unlink(path), 0);
	assert_true(fixture_start(&f));
	assert_int_equal(fixture_stop(&f), 0);
	fixture_close(&f);
}

/* Descriptors run out: that session is refused, the others and the service live. */
static void
test_descriptors(void **state)
{
	struct fixture *f = *state;
	int fds[100], good;
	char id[IPC_TEXT_MAX];
	size_t closed = 0;

	assert_int_equal(fixture_stop(f), 0);
	f->descriptors = 64;
	assert_true(fixture_start(f));
	good = fixture_grant(f, 1);
	for (size_t i = 0; i < COUNT(fds); i++)
		fds[i] = fixture_grant(f, 100 + i);
	usleep(500000);
	for (size_t i = 0; i < COUNT(fds); i++) {
		struct pollfd p = { .fd = fds[i], .events = POLLIN };

		closed += poll(&p, 1, 0) == 1;
	}
	assert_true(closed > 10);
	for (size_t i = 0; i < COUNT(fds); i++)
		close(fds[i]);
	fixture_envelope(f, 1, 1);
	for (uint32_t t = 1; t < 20; t++) {
		fixture_envelope(f, 1, t);
		if (worker_submit(good, t, plain, sizeof(plain) - 1, id) == COMMIT_STORED)
			break;
		usleep(50000);
	}
	assert_true(id[0] != 0);
	close(good);
}

/* The spool on a disk of 4 MiB that fills up. */
static void
test_full_disk(void **state)
{
	static const char settings[] = "path = disk/spool\nmin_free = 0\njournal = 0";
	static char text[200000];
	struct ipc_storage storage = { .ok = false };
	uint8_t data[IPC_SMALL_MAX];
	struct ipc_message m;
	struct fixture f;
	char disk[PATH_MAX], path[PATH_MAX], id[IPC_TEXT_MAX], last[IPC_TEXT_MAX] = "";
	size_t stored = 0, refused = 0;
	struct spool_envelope e;
	struct dirent *d;
	uint32_t t;
	DIR *dir;
	int fd;

	(void)state;
	fixture_open(&f, settings);
	snprintf(disk, sizeof(disk), "%s/disk", f.root);
	snprintf(f.spool, sizeof(f.spool), "%s/disk/spool", f.root);
	assert_int_equal(mkdir(disk, 0755), 0);
	if (geteuid() != 0 || mount("none", disk, "tmpfs", 0, "size=4m,mode=755") != 0) {
		print_message("the full disk is left out: a small tmpfs can only be mounted by root\n");
		fixture_close(&f);
		skip();
	}
	assert_true(fixture_start(&f));
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'x';
	fd = fixture_grant(&f, 1);
	for (t = 1; t <= 40; t++) {
		fixture_envelope(&f, 1, t);
		switch (worker_submit(fd, t, text, sizeof(text), id)) {
		case COMMIT_STORED:
			stored++;
			memcpy(last, id, sizeof(last));
			break;
		case COMMIT_NO_STORAGE:
			refused++;
			break;
		default:
			fail();
		}
	}
	assert_true(stored >= 15 && refused >= 10);
	assert_int_equal(fixture_count(&f, SPOOL_NEW), stored);
	assert_int_equal(fixture_count(&f, SPOOL_TMP), 0);
	free(fixture_message(&f, last, &e));
	spool_envelope_free(&e);
	/* With a floor: told to auth, and taken back. */
	fixture_kill(&f);
	close(fd);
	f.settings = "path = disk/spool\nmin_free = 10M";
	assert_true(fixture_start(&f));
	fd = fixture_grant(&f, 2);
	fixture_envelope(&f, 2, 1);
	assert_int_equal(worker_submit(fd, 1, plain, sizeof(plain) - 1, id), COMMIT_NO_STORAGE);
	snprintf(path, sizeof(path), "%.200s/new", f.spool);
	assert_non_null(dir = opendir(path));
	while ((d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.')
			unlinkat(dirfd(dir), d->d_name, 0);
	closedir(dir);
	do
		fixture_recv(&f, data, sizeof(data), &m);
	while (m.kind == IPC_REFUSED);
	assert_int_equal(m.kind, IPC_STORAGE);
	assert_int_equal(ipc_get_storage(&m.body, &storage), ERR_OK);
	assert_true(storage.ok);
	fixture_envelope(&f, 2, 2);
	assert_int_equal(worker_submit(fd, 2, text, sizeof(text), id), COMMIT_STORED);
	close(fd);
	assert_int_equal(fixture_stop(&f), 0);
	assert_int_equal(umount(disk), 0);
	fixture_close(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_recovery, setup, teardown),
		cmocka_unit_test(test_bad_places),
		cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
		cmocka_unit_test(test_full_disk),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
