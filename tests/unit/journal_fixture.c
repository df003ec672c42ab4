/*
 * A spool in a folder of its own for the tests of the commit journal: messages, their records, what recovery makes
 * of them. Everything runs in the test program, with its rights; each case begins with an empty spool.
 */
#include "journal_fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "format.h"
#include "io.h"

char root[64];
struct spool_dirs dirs;

int
spool_set_up(void **state)
{
	struct instance_ids ids = { .spool_uid = geteuid(), .spool_gid = getegid() };

	(void)state;
	snprintf(root, sizeof(root), "/tmp/postern-journal-XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	return spool_create(root, &ids) == ERR_OK && spool_open(&dirs, root) == ERR_OK ? 0 : -1;
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

int
spool_tear_down(void **state)
{
	char folder[100];

	(void)state;
	spool_close(&dirs);
	snprintf(folder, sizeof(folder), "%s/disk", root);
	umount2(folder, MNT_DETACH);
	return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void
name_message(struct message *m)
{
	static uint32_t number;
	uint64_t us = io_now_us();

	m->name = (struct name){ .session = 7, .t = ++number, .seconds = us / 1000000 };
	name_put_id(m->name.id, us, number);
	name_put(m->file, &m->name, "host");
	buf_init(&m->octets, 16 * MIB);
}

void
make_message(struct message *m, size_t size)
{
	char first[FORMAT_FIRST_LINE + 1];
	uint8_t digest[SHA256_DIGEST_LENGTH];

	name_message(m);
	format_put_first_line(first, 0, NULL, false);
	assert_int_equal(buf_put(&m->octets, first, FORMAT_FIRST_LINE), ERR_OK);
	while (m->octets.len < size)
		assert_int_equal(buf_put_fmt(&m->octets, "line %zu of message %u\r\n", m->octets.len, m->name.t), ERR_OK);
	SHA256(m->octets.data + FORMAT_FIRST_LINE, m->octets.len - FORMAT_FIRST_LINE, digest);
	format_put_first_line(first, m->octets.len, digest, false);
	memcpy(m->octets.data, first, FORMAT_FIRST_LINE);
}

void
free_messages(struct message *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_free(&m[i].octets);
}

struct journal_record
stored(const struct message *m)
{
	return (struct journal_record){ .kind = JOURNAL_STORED, .name = m->file, .name_len = strlen(m->file), .data = m->octets.data,
	    .n = m->octets.len };
}

struct journal_record
gone(const struct message *m)
{
	return (struct journal_record){ .kind = JOURNAL_GONE, .name = m->file, .name_len = strlen(m->file) };
}

int
store_pinned(struct journal *j, const struct message *m, unsigned *pinned)
{
	struct journal_record record = stored(m);

	return journal_store(j, &record, 1, pinned);
}

int
store(struct journal *j, const struct message *m)
{
	unsigned pinned;
	int err;

	if ((err = store_pinned(j, m, &pinned)) == ERR_OK)
		journal_settle(j, pinned);
	return err;
}

void
write_file(enum spool_folder folder, const char *name, const void *p, size_t n)
{
	int fd = openat(dirs.fds[folder], name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, p, n), ERR_OK);
	close(fd);
}

enum spool_folder
where(const struct message *m)
{
	enum spool_folder found = SPOOL_NFOLDERS;

	for (enum spool_folder f = SPOOL_TMP; f < SPOOL_NFOLDERS; f++) {
		int fd = openat(dirs.fds[f], m->file, O_RDONLY);
		struct buf b;

		if (fd < 0)
			continue;
		assert_int_equal(found, SPOOL_NFOLDERS);
		found = f;
		buf_init(&b, 16 * MIB);
		assert_int_equal(io_read_all(fd, &b), ERR_OK);
		assert_int_equal(b.len, m->octets.len);
		assert_memory_equal(b.data, m->octets.data, b.len);
		buf_free(&b);
		close(fd);
	}
	return found;
}

void
recover(size_t present, size_t restored, size_t removed)
{
	struct journal_recovered r;

	assert_int_equal(journal_recover(&dirs, &r), ERR_OK);
	assert_int_equal(r.present, present);
	assert_int_equal(r.restored, restored);
	assert_int_equal(r.removed, removed);
	assert_int_equal(journal_recover(&dirs, &r), ERR_OK);
	assert_int_equal(r.present + r.restored + r.removed, 0);
}
