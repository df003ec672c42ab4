/*
 * The commit journal: its octets (cut and damaged everywhere), what recovery makes of what a crash may leave, and appending by many
 * threads at once, with room that comes to an end and a disk that fails.
 */
#include "journal_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "state.h"

/* Writes a batch of n records into a journal file at an offset; returns the offset behind it. */
static off_t
put_batch(unsigned which, off_t offset, uint64_t generation, uint64_t sequence, const struct journal_record *records, size_t n)
{
	const struct journal_record *list[16];
	struct journal_place at = { generation, sequence };
	struct buf b;
	int fd;

	for (size_t i = 0; i < n; i++)
		list[i] = &records[i];
	buf_init(&b, JOURNAL_BATCH_MAX);
	assert_int_equal(journal_put_batch(&b, &at, list, n, EVP_sha256()), ERR_OK);
	assert_int_equal(b.len % JOURNAL_BLOCK, 0);
	assert_int_equal(journal_open_file(&dirs, which, 1, &fd), ERR_OK);
	assert_int_equal(io_pwrite_all(fd, b.data, b.len, offset), ERR_OK);
	close(fd);
	offset += (off_t)b.len;
	buf_free(&b);
	return offset;
}

static int
count_record(const struct journal_record *r, void *arg)
{
	size_t *n = arg;

	n[r->kind]++;
	return ERR_OK;
}

static void
test_format(void **state)
{
	struct journal_place at = { 0x0102030405060708, 9 }, got;
	struct message a, b;
	const struct journal_record *list[3];
	struct journal_record records[3];
	size_t n[3] = { 0 }, size, octets;
	struct buf batch;

	(void)state;
	make_message(&a, 300);
	make_message(&b, 5000);
	records[0] = stored(&a);
	records[1] = gone(&b);
	records[2] = stored(&b);
	for (size_t i = 0; i < 3; i++)
		list[i] = &records[i];
	buf_init(&batch, JOURNAL_BATCH_MAX);
	assert_int_equal(journal_put_batch(&batch, &at, list, 3, EVP_sha256()), ERR_OK);
	assert_int_equal(journal_get_batch(batch.data, batch.len, &got, EVP_sha256(), count_record, n, &size), ERR_OK);
	assert_int_equal(size, batch.len);
	assert_int_equal(got.generation, at.generation);
	assert_int_equal(got.sequence, at.sequence);
	assert_int_equal(n[JOURNAL_STORED], 2);
	assert_int_equal(n[JOURNAL_GONE], 1);
	octets = JOURNAL_HEAD;
	for (size_t i = 0; i < 3; i++)
		octets += journal_record_size(&records[i]);
	for (size_t cut = 0; cut < octets; cut++) {
		uint8_t *copy = malloc(cut + 1);

		/* A copy, so that the sanitizer sees a read beyond it. */
		memcpy(copy, batch.data, cut);
		assert_int_equal(journal_get_batch(copy, cut, &got, EVP_sha256(), count_record, n, &size), ERR_CORRUPT);
		free(copy);
	}
	for (size_t i = 0; i < octets; i++) {
		batch.data[i] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(journal_get_batch(batch.data, batch.len, &got, EVP_sha256(), count_record, n, &size), ERR_CORRUPT);
		batch.data[i] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(n[JOURNAL_STORED], 2);
	buf_free(&batch);
	buf_free(&a.octets);
	buf_free(&b.octets);
}

/* Each message of a table as the crash left it, and where it is to be. */
static void
test_recovery(void **state)
{
	enum { MISSING, CUT, EMPTY, WHOLE, IN_TMP, OTHER_OCTETS };
	static const struct {
		enum spool_folder	folder;
		int			how;
		bool			is_gone;
		enum spool_folder	wanted;
	} rows[] = {
		{ SPOOL_NEW, MISSING, false, SPOOL_NEW },
		{ SPOOL_NEW, CUT, false, SPOOL_NEW },
		{ SPOOL_NEW, EMPTY, false, SPOOL_NEW },
		{ SPOOL_NEW, OTHER_OCTETS, false, SPOOL_NEW },
		{ SPOOL_NEW, WHOLE, false, SPOOL_NEW },
		{ SPOOL_CUR, WHOLE, false, SPOOL_CUR },
		{ SPOOL_HOLD, WHOLE, false, SPOOL_HOLD },
		{ SPOOL_FAILED, WHOLE, false, SPOOL_FAILED },
		{ SPOOL_CUR, CUT, false, SPOOL_CUR },
		{ SPOOL_HOLD, EMPTY, false, SPOOL_HOLD },
		{ SPOOL_TMP, WHOLE, false, SPOOL_NEW },
		{ SPOOL_TMP, CUT, false, SPOOL_NEW },
		{ SPOOL_NEW, MISSING, true, SPOOL_NFOLDERS },
		{ SPOOL_NEW, WHOLE, true, SPOOL_NFOLDERS },
		{ SPOOL_CUR, CUT, true, SPOOL_NFOLDERS },
	};
	struct message m[COUNT(rows)];
	struct state s;
	struct stat st;
	off_t at = 0;
	size_t batch = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct journal_record record;

		make_message(&m[i], 200 + 1000 * i);
		record = stored(&m[i]);
		at = put_batch(0, at, 77, batch++, &record, 1);
	}
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t n = rows[i].how == CUT ? m[i].octets.len / 2 : rows[i].how == EMPTY ? 0 : m[i].octets.len;

		if (rows[i].how == OTHER_OCTETS)
			m[i].octets.data[n - 5] ^= 1;
		if (rows[i].how != MISSING)
			write_file(rows[i].folder, m[i].file, m[i].octets.data, n);
		if (rows[i].how == OTHER_OCTETS)
			m[i].octets.data[n - 5] ^= 1;
		if (rows[i].is_gone) {
			struct journal_record record = gone(&m[i]);

			at = put_batch(0, at, 77, batch++, &record, 1);
		}
	}
	assert_int_equal(state_init(&s, 1), ERR_OK);
	s.tries = 1;
	assert_int_equal(state_write(&dirs, m[COUNT(rows) - 1].name.id, &s), ERR_OK);
	state_free(&s);
	recover(4, 8, 2);
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_row(i, where(&m[i]) == rows[i].wanted);
		buf_free(&m[i].octets);
	}
	assert_int_equal(fstatat(dirs.state_fd, m[COUNT(rows) - 1].name.id, &st, 0), -1);
}

/* What an earlier use of the file has left behind the new batches, and a batch that did not get whole to the disk. */
static void
test_what_does_not_count(void **state)
{
	struct message m[6];
	struct journal_record r[6];
	uint8_t octet;
	off_t at, torn;
	int fd;

	(void)state;
	for (size_t i = 0; i < COUNT(m); i++) {
		make_message(&m[i], 600);
		r[i] = stored(&m[i]);
	}
	/* Of generation 1 three; then two of generation 2, the second torn; and behind them stands the third of generation 1. */
	at = put_batch(1, 0, 1, 0, &r[0], 1);
	at = put_batch(1, at, 1, 1, &r[1], 1);
	put_batch(1, at, 1, 2, &r[2], 1);
	at = put_batch(1, 0, 2, 0, &r[3], 1);
	torn = at;
	put_batch(1, at, 2, 1, &r[4], 1);
	assert_int_equal(journal_open_file(&dirs, 1, 0, &fd), ERR_OK);
	assert_int_equal(pread(fd, &octet, 1, torn + JOURNAL_HEAD + 400), 1);
	octet ^= 0x40;
	assert_int_equal(pwrite(fd, &octet, 1, torn + JOURNAL_HEAD + 400), 1);
	close(fd);
	/* A file that does not start with the number 0 says nothing. */
	put_batch(0, 0, 3, 1, &r[5], 1);
	recover(0, 1, 0);
	for (size_t i = 0; i < COUNT(m); i++) {
		check_row(i, where(&m[i]) == (i == 3 ? SPOOL_NEW : SPOOL_NFOLDERS));
		buf_free(&m[i].octets);
	}
}

/* Both files, in either order: what the newer one says of a message holds. */
static void
test_two_files(void **state)
{
	(void)state;
	for (unsigned older = 0; older < 2; older++) {
		struct message m[3];
		struct journal_record first[2], second[2];

		for (size_t i = 0; i < COUNT(m); i++)
			make_message(&m[i], 3000);
		first[0] = stored(&m[0]);
		first[1] = stored(&m[1]);
		second[0] = gone(&m[1]);
		second[1] = stored(&m[2]);
		put_batch(older, 0, 10, 0, first, 2);
		put_batch(!older, 0, 11, 0, second, 2);
		recover(0, 2, 0);
		assert_int_equal(where(&m[0]), SPOOL_NEW);
		assert_int_equal(where(&m[1]), SPOOL_NFOLDERS);
		assert_int_equal(where(&m[2]), SPOOL_NEW);
		free_messages(m, COUNT(m));
	}
}

/* Names that lead elsewhere, links and folders in the way: nothing outside is touched. */
static void
test_odd_entries(void **state)
{
	struct message m;
	struct journal_record r;
	char other[128], path[400];
	struct stat st;
	int fd;

	(void)state;
	make_message(&m, 500);
	r = stored(&m);
	/* A link where the message was: replaced, not followed. */
	snprintf(other, sizeof(other), "%s/other", root);
	snprintf(path, sizeof(path), "%s/new/%s", root, m.file);
	fd = open(other, O_WRONLY | O_CREAT, 0600);
	close(fd);
	assert_int_equal(symlink(other, path), 0);
	put_batch(0, 0, 5, 0, &r, 1);
	recover(0, 1, 0);
	assert_int_equal(where(&m), SPOOL_NEW);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(stat(other, &st), 0);
	assert_int_equal(st.st_size, 0);
	/* A name that is none of ours is passed over. */
	r.name = "..";
	r.name_len = 2;
	put_batch(0, 0, 6, 0, &r, 1);
	recover(0, 0, 0);
	/* The journal itself as a link is refused. */
	snprintf(path, sizeof(path), "%s/journal.0", root);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(journal_open_file(&dirs, 0, 1, &fd), ERR_DENIED);
	buf_free(&m.octets);
}

/* In a process that is killed: stores and forgets, and leaves the files undone. */
static void
test_killed(void **state)
{
	struct message m[4];
	const char *name;
	int status;
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < COUNT(m); i++)
		make_message(&m[i], 60000);
	name = m[1].file;
	if ((pid = fork()) == 0) {
		struct journal j;
		int bad = journal_start(&j, &dirs, 16 * MIB, EVP_sha256()) != ERR_OK;

		for (size_t i = 0; i < COUNT(m) && !bad; i++)
			bad = store(&j, &m[i]) != ERR_OK;
		bad |= journal_forget(&j, &name, 1) != ERR_OK;
		_exit(bad);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	recover(0, 3, 0);
	for (size_t i = 0; i < COUNT(m); i++) {
		check_row(i, where(&m[i]) == (i == 1 ? SPOOL_NFOLDERS : SPOOL_NEW));
		buf_free(&m[i].octets);
	}
}

struct writer {
	struct journal	*j;
	pthread_t	 thread;
	uint64_t	 number;
	size_t		 stored, full, failed;
};

/* As a commit thread: the file, the journal; every third one is removed again. */
static void *
write_many(void *arg)
{
	struct writer *w = arg;

	for (size_t i = 0; i < 150; i++) {
		struct message m;
		const char *name = m.file;
		uint8_t octets[200];
		unsigned pinned;
		int err;

		memset(octets, 'x', sizeof(octets));
		m.name = (struct name){ .session = w->number, .t = (uint32_t)i, .seconds = 5 };
		name_put_id(m.name.id, io_now_us(), (uint32_t)i);
		name_put(m.file, &m.name, "host");
		err = journal_store(w->j, &(struct journal_record){ .kind = JOURNAL_STORED, .name = m.file, .name_len = strlen(m.file),
		    .data = octets, .n = sizeof(octets) }, 1, &pinned);
		if (err == ERR_OK)
			journal_settle(w->j, pinned);
		if (err == ERR_OK && i % 3 == 0)
			err = journal_forget(w->j, &name, 1);
		w->stored += err == ERR_OK;
		w->full += err == ERR_FULL;
		w->failed += err != ERR_OK && err != ERR_FULL;
	}
	return NULL;
}

static void
test_threads(void **state)
{
	static struct journal j;	/* whose thread stays */
	struct writer writers[8];
	struct journal_recovered r;
	size_t stored = 0;

	(void)state;
	assert_int_equal(journal_start(&j, &dirs, MIB, EVP_sha256()), ERR_OK);
	for (size_t i = 0; i < COUNT(writers); i++) {
		writers[i] = (struct writer){ .j = &j, .number = i };
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_many, &writers[i]), 0);
	}
	for (size_t i = 0; i < COUNT(writers); i++) {
		pthread_join(writers[i].thread, NULL);
		assert_int_equal(writers[i].failed, 0);
		stored += writers[i].stored;
	}
	assert_true(stored > 100);
	journal_stop(&j, 20000);
	/* All was synced away. */
	assert_int_equal(journal_recover(&dirs, &r), ERR_OK);
	assert_int_equal(r.present + r.restored + r.removed, 0);
}

/* No checkpoint can be made: stores are told that there is no room, removals that they may come back; and it goes on by itself. */
static void
test_no_room(void **state)
{
	static struct journal j;
	struct message m;
	const char *name = m.file;
	int err = ERR_OK;
	size_t n = 0;

	(void)state;
	make_message(&m, 50000);
	assert_int_equal(journal_start(&j, &dirs, MIB, EVP_sha256()), ERR_OK);
	j.root_fd = -1;
	for (; n < 100 && err == ERR_OK; n++)
		err = store(&j, &m);
	assert_int_equal(err, ERR_FULL);
	assert_true(n > 30 && n < 45);
	do
		err = journal_forget(&j, &name, 1);
	while (err == ERR_OK && n++ < 1000);
	assert_int_equal(err, ERR_FULL);
	assert_int_equal(errno, EBADF);
	j.root_fd = dirs.root_fd;
	for (n = 0; n < 100 && store(&j, &m) != ERR_OK; n++)
		usleep(50000);
	assert_true(n < 100);
	assert_int_equal(journal_forget(&j, &name, 1), ERR_OK);
	journal_stop(&j, 20000);
	buf_free(&m.octets);
	assert_false(journal_takes(NULL, 1));
	assert_true(journal_takes(&j, 65536));
	assert_false(journal_takes(&j, 65537));
}

/* No room to restore: nothing is forgotten, and the next try does it. */
static void
test_full_disk(void **state)
{
	struct instance_ids ids = { .spool_uid = geteuid(), .spool_gid = getegid() };
	struct spool_dirs before = dirs;
	struct journal_recovered r;
	struct message m[10];
	char folder[100], spool[120], ballast[140];
	static uint8_t block[65536];
	off_t at = 0;
	int fd;

	(void)state;
	snprintf(folder, sizeof(folder), "%s/disk", root);
	snprintf(spool, sizeof(spool), "%s/spool", folder);
	snprintf(ballast, sizeof(ballast), "%s/ballast", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	if (geteuid() != 0 || mount("none", folder, "tmpfs", 0, "size=4m,mode=755") != 0) {
		print_message("the full disk is left out: a small tmpfs can only be mounted by root\n");
		skip();
	}
	assert_int_equal(spool_create(spool, &ids), ERR_OK);
	assert_int_equal(spool_open(&dirs, spool), ERR_OK);
	for (size_t i = 0; i < COUNT(m); i++) {
		struct journal_record record;

		make_message(&m[i], 60000);
		record = stored(&m[i]);
		at = put_batch(0, at, 3, i, &record, 1);
	}
	fd = open(ballast, O_WRONLY | O_CREAT, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
	assert_int_equal(journal_recover(&dirs, &r), ERR_FULL);
	assert_int_equal(unlink(ballast), 0);
	recover(0, COUNT(m), 0);
	for (size_t i = 0; i < COUNT(m); i++) {
		check_row(i, where(&m[i]) == SPOOL_NEW);
		buf_free(&m[i].octets);
	}
	spool_close(&dirs);
	dirs = before;
	assert_int_equal(umount(folder), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_format, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_recovery, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_what_does_not_count, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_two_files, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_odd_entries, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_killed, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_threads, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_no_room, spool_set_up, spool_tear_down),
		cmocka_unit_test_setup_teardown(test_full_disk, spool_set_up, spool_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
