/*
 * Whole reads and writes, the replacing of a file, the places of an instance, files of secrets, and the loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "conf.h"
#include "err.h"
#include "instance.h"
#include "io.h"
#include "loop.h"
#include "unit.h"

struct fixture {
	char	folder[32];
	char	path[64], other[64];
};

static int
open_folder(void **state)
{
	static struct fixture f;

	snprintf(f.folder, sizeof(f.folder), "/tmp/postern-unit.XXXXXX");
	if (mkdtemp(f.folder) == NULL)
		return -1;
	snprintf(f.path, sizeof(f.path), "%s/file", f.folder);
	snprintf(f.other, sizeof(f.other), "%s/other", f.folder);
	*state = &f;
	return 0;
}

static int
remove_folder(void **state)
{
	struct fixture *f = *state;
	char temporary[80];

	snprintf(temporary, sizeof(temporary), "%s.new", f->path);
	unlink(f->path);
	unlink(f->other);
	unlink(temporary);
	rmdir(temporary);
	return rmdir(f->folder);
}

static void
expect_content(const char *path, const char *wanted)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_int_equal(io_read_file(path, &b), ERR_OK);
	assert_int_equal(buf_put_nul(&b), ERR_OK);
	assert_string_equal((char *)b.data, wanted);
	buf_free(&b);
}

static void
replace(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	umask(077);
	assert_int_equal(io_replace_file(f->path, "one", 3, 0644), ERR_OK);
	expect_content(f->path, "one");
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);	/* whatever the umask */
	assert_int_equal(io_replace_file(f->path, "two, longer", 11, 0600), ERR_OK);
	expect_content(f->path, "two, longer");
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(io_replace_file(f->path, "", 0, 0600), ERR_OK);
	expect_content(f->path, "");
}

static void
replace_leaves_no_trace_of_an_error(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, small = { .rlim_cur = 1000 };
	static char big[5000];
	char temporary[80];
	struct stat st;

	snprintf(temporary, sizeof(temporary), "%s.new", f->path);
	assert_int_equal(io_replace_file(f->path, "old", 3, 0600), ERR_OK);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(io_replace_file(f->path, big, sizeof(big), 0600), ERR_FULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	expect_content(f->path, "old");
	assert_int_equal(lstat(temporary, &st), -1);

	/* A link in the way is removed, not followed. */
	assert_int_equal(symlink(f->other, temporary), 0);
	assert_int_equal(io_replace_file(f->path, "new", 3, 0600), ERR_OK);
	expect_content(f->path, "new");
	assert_int_equal(lstat(f->other, &st), -1);
	/* A folder in the way is an error. */
	assert_int_equal(mkdir(temporary, 0700), 0);
	assert_int_equal(io_replace_file(f->path, "x", 1, 0600), ERR_SYSTEM);
	expect_content(f->path, "new");
	assert_int_equal(io_replace_file("/nowhere/at/all", "x", 1, 0600), ERR_NOTFOUND);
}

static void
reads(void **state)
{
	struct fixture *f = *state;
	char big[10000];
	struct buf b;
	int fd;

	memset(big, 'x', sizeof(big));
	assert_int_equal(io_replace_file(f->path, big, sizeof(big), 0600), ERR_OK);
	buf_init(&b, sizeof(big));
	assert_int_equal(io_read_file(f->path, &b), ERR_OK);
	assert_int_equal(b.len, sizeof(big));
	buf_free(&b);
	buf_init(&b, sizeof(big) - 1);
	assert_int_equal(io_read_file(f->path, &b), ERR_TOOBIG);
	buf_free(&b);
	assert_int_equal(io_read_file(f->other, &b), ERR_NOTFOUND);
	assert_int_equal(symlink(f->path, f->other), 0);
	assert_int_equal(io_read_file(f->other, &b), ERR_SYSTEM);
	assert_int_equal(errno, ELOOP);
	assert_true((fd = open(f->path, O_RDWR | O_CLOEXEC)) >= 0);
	assert_int_equal(io_pwrite_all(fd, "abc", 3, 9998), ERR_OK);
	assert_int_equal(lseek(fd, 9997, SEEK_SET), 9997);
	buf_init(&b, 100);
	assert_int_equal(io_read_all(fd, &b), ERR_OK);
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.data, "xabc", 4);
	buf_free(&b);
	io_close(&fd);
	assert_int_equal(fd, -1);
	io_close(&fd);
	assert_int_equal(io_write_all(-1, "a", 1), ERR_SYSTEM);
	assert_int_equal(io_write_all(-1, "a", 0), ERR_OK);
	errno = EDQUOT;
	assert_int_equal(io_error(), ERR_FULL);
	errno = ENOENT;
	assert_int_equal(io_error(), ERR_NOTFOUND);
	errno = EIO;
	assert_int_equal(io_error(), ERR_SYSTEM);
	errno = 0;
}

static void
secrets(void **state)
{
	struct fixture *f = *state;
	int fd;

	assert_int_equal(instance_open_secret(f->path, &fd), ERR_NOTFOUND);
	assert_int_equal(io_replace_file(f->path, "key", 3, 0600), ERR_OK);
	assert_int_equal(instance_open_secret(f->path, &fd), ERR_OK);
	io_close(&fd);
	for (mode_t bit = 1; bit <= 040; bit <<= 1) {
		assert_int_equal(chmod(f->path, 0600 | bit), 0);
		assert_int_equal(instance_open_secret(f->path, &fd), ERR_DENIED);
	}
	assert_int_equal(chmod(f->path, 0400), 0);
	assert_int_equal(instance_open_secret(f->path, &fd), ERR_OK);
	io_close(&fd);
	assert_int_equal(symlink(f->path, f->other), 0);
	assert_int_equal(instance_open_secret(f->other, &fd), ERR_DENIED);
	assert_int_equal(unlink(f->other), 0);
	assert_int_equal(mkfifo(f->other, 0600), 0);
	assert_int_equal(instance_open_secret(f->other, &fd), ERR_DENIED);	/* and does not wait for a writer */
	if (geteuid() == 0) {
		assert_int_equal(chown(f->path, 12345, 12345), 0);
		assert_int_equal(instance_open_secret(f->path, &fd), ERR_DENIED);
	}
}

static void
places(void **state)
{
	char path[PATH_MAX], cwd[PATH_MAX], wanted[PATH_MAX + 8];
	static char longest[PATH_MAX];
	struct instance_ids ids;
	struct instance in;
	struct conf_error error;
	struct conf c;

	(void)state;
	assert_int_equal(conf_parse(&c, "", 0, &error), ERR_OK);
	assert_int_equal(instance_open(&in, "/srv/p"), ERR_OK);
	assert_string_equal(in.conf_file, "/srv/p/postern.conf");
	assert_string_equal(in.registry_file, "/srv/p/registry/registry.db");
	assert_string_equal(in.empty_dir, "/srv/p/run/empty");
	assert_int_equal(instance_spool(&in, &c, path), ERR_OK);
	assert_string_equal(path, "/srv/p/spool");
	assert_int_equal(instance_file(&in, "tls/key.pem", path), ERR_OK);
	assert_string_equal(path, "/srv/p/tls/key.pem");
	assert_int_equal(instance_file(&in, "/etc/key.pem", path), ERR_OK);
	assert_string_equal(path, "/etc/key.pem");
	assert_int_equal(conf_parse(&c, TEXT("[spool]\npath = mail\n"), &error), ERR_OK);
	assert_int_equal(instance_spool(&in, &c, path), ERR_OK);
	assert_string_equal(path, "/srv/p/mail");
	assert_int_equal(instance_open(&in, NULL), ERR_OK);
	assert_string_equal(in.conf_file, "/etc/postern/postern.conf");
	assert_string_equal(in.registry_file, "/var/lib/postern/registry.db");
	assert_string_equal(in.run_dir, "/run/postern");
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(instance_open(&in, "x"), ERR_OK);
	snprintf(wanted, sizeof(wanted), "%s/x", cwd);
	assert_string_equal(in.root, wanted);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[0] = '/';
	assert_int_equal(instance_open(&in, longest), ERR_TOOBIG);
	assert_int_equal(instance_open(&in, "/srv/p"), ERR_OK);
	instance_ids(&in, &c, &ids);
	assert_int_equal(ids.separate, geteuid() == 0);
	if (ids.separate) {
		assert_int_equal(ids.smtp_uid, 60600);
		assert_int_equal(ids.auth_uid, 60601);
		assert_int_equal(ids.keys_gid, 60602);
		assert_int_equal(ids.spool_uid, 60603);
	} else {
		assert_int_equal(ids.smtp_uid, geteuid());
		assert_int_equal(ids.spool_gid, getegid());
	}
}

struct end {
	struct loop		*loop;
	struct loop_watch	 watch, *victim;
	unsigned		 calls;
	uint32_t		 events;
};

static void
handle_end(void *owner, uint32_t events)
{
	struct end *e = owner;

	e->calls++;
	e->events |= events;
	if (e->victim != NULL)
		loop_remove(e->loop, e->victim);
}

static void
loops(void **state)
{
	struct end ends[2] = { 0 };
	struct loop l;
	int pipes[2][2];
	char c;

	(void)state;
	assert_int_equal(loop_open(&l), ERR_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe2(pipes[i], O_CLOEXEC), 0);
		ends[i].loop = &l;
		ends[i].watch = (struct loop_watch){ .fd = pipes[i][0], .handle = handle_end, .owner = &ends[i] };
		assert_int_equal(loop_add(&l, &ends[i].watch, EPOLLIN), ERR_OK);
	}
	assert_int_equal(loop_add(&l, &ends[0].watch, EPOLLIN), ERR_SYSTEM);	/* twice */
	assert_int_equal(loop_run_once(&l, 0), ERR_OK);
	assert_int_equal(ends[0].calls + ends[1].calls, 0);

	/* Both are ready, and whichever is first removes the other: that one is never called. */
	ends[0].victim = &ends[1].watch;
	ends[1].victim = &ends[0].watch;
	assert_int_equal(write(pipes[0][1], "x", 1), 1);
	assert_int_equal(write(pipes[1][1], "x", 1), 1);
	assert_int_equal(loop_run_once(&l, 1000), ERR_OK);
	assert_int_equal(ends[0].calls + ends[1].calls, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(read(pipes[i][0], &c, 1), 1);
		loop_remove(&l, &ends[i].watch);
		ends[i].victim = NULL;
		ends[i].calls = 0;
	}

	assert_int_equal(loop_add(&l, &ends[0].watch, 0), ERR_OK);
	assert_int_equal(write(pipes[0][1], "x", 1), 1);
	assert_int_equal(loop_run_once(&l, 0), ERR_OK);
	assert_int_equal(ends[0].calls, 0);
	assert_int_equal(loop_change(&l, &ends[0].watch, EPOLLIN), ERR_OK);
	assert_int_equal(loop_run_once(&l, 1000), ERR_OK);
	assert_int_equal(loop_run_once(&l, 1000), ERR_OK);	/* level-triggered */
	assert_int_equal(ends[0].calls, 2);
	assert_int_equal(read(pipes[0][0], &c, 1), 1);
	close(pipes[0][1]);
	ends[0].events = 0;
	assert_int_equal(loop_run_once(&l, 1000), ERR_OK);
	assert_true((ends[0].events & EPOLLHUP) != 0);
	loop_remove(&l, &ends[0].watch);
	close(pipes[0][0]);
	close(pipes[1][0]);
	close(pipes[1][1]);
	close(l.epoll_fd);
}

static void
clocks(void **state)
{
	uint64_t ms = io_now_ms(), us = io_now_us();

	(void)state;
	assert_true(us > 1700000000000000ULL);
	usleep(3000);
	assert_true(io_now_ms() >= ms + 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(replace, open_folder, remove_folder),
		cmocka_unit_test_setup_teardown(replace_leaves_no_trace_of_an_error, open_folder, remove_folder),
		cmocka_unit_test_setup_teardown(reads, open_folder, remove_folder),
		cmocka_unit_test_setup_teardown(secrets, open_folder, remove_folder),
		cmocka_unit_test(places),
		cmocka_unit_test(loops),
		cmocka_unit_test(clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
