/*
 * The commit journal while its disk fails: the calls that write are this program's own here, and fail when a test says so. Each case
 * is a process, whose journal has a thread, and is looked at by recovery when that process is gone, as after a kill.
 */
#include "journal_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "folder_sync.h"
#include "format.h"
#include "transaction.h"

#define WAIT_MS 20000

static struct journal journal;

/* How many calls fail from now on, with what; of this thread only, or (syncs of the whole disk) of any. */
static _Thread_local unsigned failing_fdatasync, failing_fsync, failing_pwrite, pwrites, slow_ms;
static _Thread_local int with;
static _Thread_local bool is_cached;		/* what syncfs(2) wrote, by the disk */
static unsigned early_clears;
static unsigned failing_syncfs;
static void (*on_syncfs)(void);
static _Thread_local size_t rewritten;	/* octets over those of a file of new/ */

int	fdatasync(int fd);
int	fsync(int fd);
int	syncfs(int fd);
ssize_t	pwrite(int fd, const void *p, size_t n, off_t offset);

int
fdatasync(int fd)
{
	int done = (int)syscall(SYS_fdatasync, fd);

	is_cached = false;
	if (slow_ms != 0)
		usleep(slow_ms * 1000);
	if (failing_fdatasync == 0)
		return done;
	failing_fdatasync--;
	errno = with;
	return -1;
}

int
fsync(int fd)
{
	is_cached = false;
	if (failing_fsync == 0)
		return (int)syscall(SYS_fsync, fd);
	failing_fsync--;
	errno = with;
	return -1;
}

int
syncfs(int fd)
{
	is_cached = true;
	if (__atomic_load_n(&failing_syncfs, __ATOMIC_SEQ_CST) == 0)
		return (int)syscall(SYS_syncfs, fd);
	__atomic_sub_fetch(&failing_syncfs, 1, __ATOMIC_SEQ_CST);
	if (on_syncfs != NULL)
		on_syncfs();
	errno = EIO;
	return -1;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t offset)
{
	char link[64], path[400];
	ssize_t len;

	pwrites++;
	__atomic_add_fetch(&early_clears, is_cached && offset == 0, __ATOMIC_SEQ_CST);
	if (failing_pwrite != 0) {
		failing_pwrite--;
		errno = with;
		return -1;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	path[len > 0 ? len : 0] = 0;
	rewritten += strstr(path, "/new/") != NULL ? n : 0;
	return syscall(SYS_pwrite64, fd, p, n, offset);
}

static bool
is_empty(void)
{
	bool is;

	pthread_mutex_lock(&journal.mutex);
	is = true;
	for (unsigned i = 0; i < JOURNAL_FILES; i++)
		is &= journal.files[i].at == 0 && !journal.files[i].is_spent;
	pthread_mutex_unlock(&journal.mutex);
	return is;
}

static bool
wait_until_empty(void)
{
	for (unsigned ms = 0; ms < WAIT_MS && !is_empty(); ms += 20)
		usleep(20000);
	return is_empty();
}

/* Runs a case with a journal in a process of its own, which is killed when it is done. */
static void
run(bool (*play)(struct message *m), struct message *m)
{
	int status;
	pid_t pid;

	if ((pid = fork()) == 0) {
		bool is_good = journal_start(&journal, &dirs, 16 * MIB, EVP_sha256()) == ERR_OK;

		dirs.journal = &journal;
		_exit(is_good && play(m) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static bool
play_before_rename(struct message *m)
{
	unsigned pinned;

	if (store_pinned(&journal, &m[0], &pinned) != ERR_OK)
		return false;
	/* Asks for a checkpoint. */
	journal_stop(&journal, 300);
	return !is_empty();
}

static bool
play_after_rename(struct message *m)
{
	unsigned pinned;

	if (store_pinned(&journal, &m[0], &pinned) != ERR_OK)
		return false;
	journal_stop(&journal, 300);
	write_file(SPOOL_NEW, m[0].file, m[0].octets.data, m[0].octets.len);
	journal_settle(&journal, pinned);
	/* And what it brought to the disk is not in the disk's cache when the journal forgets it. */
	return wait_until_empty() && __atomic_load_n(&early_clears, __ATOMIC_SEQ_CST) == 0;
}

/* What is not yet in new/ no checkpoint forgets: the renaming comes after its syncfs(2), and may be lost. */
static void
test_checkpoint_before_rename(void **state)
{
	struct message m;

	(void)state;
	make_message(&m, 500);
	run(play_before_rename, &m);
	recover(0, 1, 0);
	assert_int_equal(unlinkat(dirs.fds[SPOOL_NEW], m.file, 0), 0);
	run(play_after_rename, &m);
	recover(0, 0, 0);
	assert_int_equal(where(&m), SPOOL_NEW);
	free_messages(&m, 1);
}

static bool
play_quiet_after_error(struct message *m)
{
	if (store(&journal, &m[0]) != ERR_OK)
		return false;
	write_file(SPOOL_NEW, m[0].file, m[0].octets.data, m[0].octets.len);
	failing_fdatasync = 1;
	with = EIO;
	if (store(&journal, &m[1]) != ERR_SYSTEM || errno != EIO)
		return false;
	/* Nobody wants the other file meanwhile. */
	return wait_until_empty() && store(&journal, &m[2]) == ERR_OK && store(&journal, &m[3]) == ERR_OK;
}

/* After an error and a checkpoint of the same file, what is written to it counts. */
static void
test_quiet_after_error(void **state)
{
	struct message m[4];

	(void)state;
	for (size_t i = 0; i < COUNT(m); i++)
		make_message(&m[i], 700);
	run(play_quiet_after_error, m);
	recover(0, 2, 0);
	assert_int_equal(where(&m[1]), SPOOL_NFOLDERS);
	assert_true(where(&m[2]) == SPOOL_NEW && where(&m[3]) == SPOOL_NEW);
	free_messages(m, COUNT(m));
}

static bool
play_no_space(struct message *m)
{
	const char *name = m[0].file;

	with = ENOSPC;
	failing_pwrite = 50;
	/* It may be there in part; and a removal ends, instead of trying for as long as there is no space. */
	if (store(&journal, &m[0]) != ERR_SYSTEM || errno != ENOSPC || !wait_until_empty())
		return false;
	pwrites = 0;
	if (journal_forget(&journal, &name, 1) != ERR_SYSTEM || errno != ENOSPC || pwrites > 2 || !wait_until_empty())
		return false;
	failing_pwrite = 0;
	return store(&journal, &m[1]) == ERR_OK && journal_forget(&journal, &name, 1) == ERR_OK;
}

static void
test_no_space(void **state)
{
	struct message m[2];

	(void)state;
	make_message(&m[0], 700);
	make_message(&m[1], 700);
	run(play_no_space, m);
	recover(0, 1, 0);
	assert_int_equal(where(&m[1]), SPOOL_NEW);
	free_messages(m, COUNT(m));
}

static bool
play_refused(struct message *m)
{
	struct folder_sync sync;
	struct transaction t;

	if (folder_sync_init(&sync, dirs.fds[SPOOL_NEW]) != ERR_OK || transaction_begin(&t, &dirs, &sync, EVP_sha256(), m[0].file) != ERR_OK)
		return false;
	/* No checkpoint takes it out of the journal, whose first sync was done, and failed; so did that of its own file. */
	__atomic_store_n(&failing_syncfs, 1000, __ATOMIC_SEQ_CST);
	with = EIO;
	failing_fdatasync = failing_fsync = 1;
	return transaction_commit(&t, &m[0].octets) == ERR_SYSTEM && !t.stuck && failing_fdatasync == 0 && failing_fsync == 0 && !is_empty();
}

/* A message that was refused does not come back, though the journal has it. */
static void
test_refused(void **state)
{
	char first[FORMAT_FIRST_LINE + 1];
	struct message m;

	(void)state;
	name_message(&m);
	format_put_first_line(first, 0, NULL, false);
	assert_int_equal(buf_put(&m.octets, first, FORMAT_FIRST_LINE), ERR_OK);
	assert_int_equal(buf_put_str(&m.octets, "Subject: no\r\n\r\nno\r\n"), ERR_OK);
	run(play_refused, &m);
	recover(0, 0, 0);
	assert_int_equal(faccessat(dirs.fds[SPOOL_NEW], m.file, F_OK, 0), -1);
	free_messages(&m, 1);
}

static struct message *damaged;

/* The kernel could not write them, says so once, and gives their memory to others: then the disk has other octets. */
static void
damage(void)
{
	for (size_t i = 0; i < 2; i++) {
		int fd = openat(dirs.fds[SPOOL_NEW], damaged[i].file, O_WRONLY);

		if (fd < 0 || syscall(SYS_pwrite64, fd, "lost", 4, (off_t)400) != 4)
			_exit(2);
		close(fd);
	}
}

static bool
play_lost_writes(struct message *m)
{
	damaged = m;
	for (size_t i = 0; i < 2; i++) {
		if (store(&journal, &m[i]) != ERR_OK)
			return false;
		write_file(SPOOL_NEW, m[i].file, m[i].octets.data, m[i].octets.len);
	}
	on_syncfs = damage;
	__atomic_store_n(&failing_syncfs, 1, __ATOMIC_SEQ_CST);
	journal_stop(&journal, WAIT_MS);
	return wait_until_empty();
}

/* syncfs(2) fails, and when it is tried again it does not: what it could not write is written again before the journal forgets it. */
static void
test_lost_writes(void **state)
{
	struct message m[2];

	(void)state;
	make_message(&m[0], 700);
	make_message(&m[1], 40000);
	run(play_lost_writes, m);
	recover(0, 0, 0);
	assert_int_equal(where(&m[0]), SPOOL_NEW);
	assert_int_equal(where(&m[1]), SPOOL_NEW);
	free_messages(m, COUNT(m));
}

static bool
play_stored(struct message *m)
{
	return store(&journal, &m[0]) == ERR_OK;
}

/* The same of a start: what the kernel shows is written again, for it may be what it could not write before. */
static void
test_present_is_rewritten(void **state)
{
	struct message m;

	(void)state;
	make_message(&m, 3000);
	write_file(SPOOL_NEW, m.file, m.octets.data, m.octets.len);
	run(play_stored, &m);
	rewritten = 0;
	recover(1, 0, 0);
	assert_int_equal(rewritten, m.octets.len);
	free_messages(&m, 1);
}

struct writer {
	pthread_t	 thread;
	struct message	*m;
	unsigned	 slow_ms;
	int		 err;
};

/* Eight messages of 50,000 octets at once. */
static void *
write_eight(void *arg)
{
	struct writer *w = arg;
	struct journal_record r[8];
	unsigned pinned;

	slow_ms = w->slow_ms;
	for (size_t i = 0; i < COUNT(r); i++)
		r[i] = stored(w->m);
	if ((w->err = journal_store(&journal, r, COUNT(r), &pinned)) == ERR_OK)
		journal_settle(&journal, pinned);
	return NULL;
}

static bool
play_two_lengths(struct message *m)
{
	struct writer w[5];
	bool is_good = true;

	/* One writes, four wait: three of them fit where 1.4 MiB are left, all four nowhere. */
	journal.files[0].at = journal.files[0].size - (7 * MIB / 4 + JOURNAL_BLOCK) / JOURNAL_BLOCK * JOURNAL_BLOCK;
	for (size_t i = 0; i < COUNT(w); i++) {
		w[i] = (struct writer){ .m = m, .slow_ms = i == 0 ? 400 : 0 };
		if (pthread_create(&w[i].thread, NULL, write_eight, &w[i]) != 0)
			return false;
		usleep(i == 0 ? 200000 : 20000);
	}
	for (size_t i = 0; i < COUNT(w); i++) {
		pthread_join(w[i].thread, NULL);
		is_good &= w[i].err == ERR_OK;
	}
	return is_good;
}

/* Two files of different lengths: what fits the longer one is not written to the other, beyond its end. */
static void
test_two_lengths(void **state)
{
	struct message m;
	struct stat st;
	int fd;

	(void)state;
	make_message(&m, 50000);
	assert_int_equal(journal_open_file(&dirs, 0, 1, &fd), ERR_OK);
	assert_int_equal(ftruncate(fd, 4 * MIB), 0);
	close(fd);
	run(play_two_lengths, &m);
	assert_int_equal(fstatat(dirs.root_fd, "journal.0", &st, 0), 0);
	assert_int_equal(st.st_size, 4 * MIB);
	assert_int_equal(fstatat(dirs.root_fd, "journal.1", &st, 0), 0);
	assert_int_equal(st.st_size, MIB);
	free_messages(&m, 1);
}

static bool
play_nothing(struct message *m)
{
	(void)m;
	return is_empty();
}

/* The setting is smaller than it was. */
static void
test_shorter(void **state)
{
	struct message m;
	struct stat st;
	int fd;

	(void)state;
	make_message(&m, 500);
	assert_int_equal(journal_open_file(&dirs, 1, 1, &fd), ERR_OK);
	assert_int_equal(ftruncate(fd, 40 * MIB), 0);
	close(fd);
	run(play_nothing, &m);
	assert_int_equal(fstatat(dirs.root_fd, "journal.1", &st, 0), 0);
	assert_int_equal(st.st_size, 16 * MIB);
	free_messages(&m, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_checkpoint_before_rename, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_quiet_after_error, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_no_space, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_refused, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_lost_writes, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_present_is_rewritten, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_two_lengths, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_shorter, spool_set_up, spool_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
