/*
 * The only order of write, sync and rename there is; but for the journal no other file of the spool syncs or moves anything. Run by postern-spool's
 * commit threads, and by its recovery, as the spool's user, through open folders. Invariant: ERR_OK of transaction_commit() is a promise kept, and any other answer leaves nothing behind.
 */
#include "transaction.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "folder_sync.h"
#include "format.h"
#include "io.h"
#include "journal.h"
#include "str.h"

int
transaction_begin(struct transaction *t, const struct spool_dirs *dirs, struct folder_sync *sync, const EVP_MD *digest,
    const char *name)
{
	*t = (struct transaction){ .dirs = dirs, .sync = sync, .fd = -1 };
	if (str_copy(t->name, sizeof(t->name), name, strlen(name)) != ERR_OK)
		return ERR_NOMEM;
	if ((t->digest = EVP_MD_CTX_new()) == NULL || EVP_DigestInit_ex(t->digest, digest, NULL) != 1) {
		EVP_MD_CTX_free(t->digest);
		t->digest = NULL;
		return ERR_NOMEM;
	}
	return ERR_OK;
}

void
transaction_end(struct transaction *t)
{
	EVP_MD_CTX_free(t->digest);
	io_close(&t->fd);
	t->digest = NULL;
}

/* Notes errno and the call that failed. */
static int
failed(struct transaction *t, const char *call)
{
	t->error = errno;
	t->failed = call;
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? ERR_FULL : ERR_SYSTEM;
}

static int
create(struct transaction *t)
{
	if (t->fd >= 0)
		return ERR_OK;
	t->fd = openat(t->dirs->fds[SPOOL_TMP], t->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return t->fd >= 0 ? ERR_OK : failed(t, "create");
}

static int
update_digest(struct transaction *t, const struct buf *b)
{
	size_t skip = t->size == 0 ? FORMAT_FIRST_LINE : 0;

	if (b->len == skip || EVP_DigestUpdate(t->digest, b->data + skip, b->len - skip) == 1)
		return ERR_OK;
	errno = EIO;
	return failed(t, "digest");
}

static int
append(struct transaction *t, struct buf *b)
{
	if (io_write_all(t->fd, b->data, b->len) != ERR_OK)
		return failed(t, "write");
	t->size += b->len;
	return ERR_OK;
}

int
transaction_write(struct transaction *t, struct buf *b)
{
	int err;

	if ((err = create(t)) != ERR_OK || (err = update_digest(t, b)) != ERR_OK || (err = append(t, b)) != ERR_OK)
		return err;
	buf_reset(b);
	return ERR_OK;
}

/* Writes what is left, with the first line, which is known now; b has all of a message that is whole in it. */
static int
finish(struct transaction *t, struct buf *b)
{
	char first[FORMAT_FIRST_LINE + 1];
	uint8_t digest[FORMAT_DIGEST];
	bool is_small = t->size == 0;
	int err;

	if ((err = create(t)) != ERR_OK || (err = update_digest(t, b)) != ERR_OK)
		return err;
	if (EVP_DigestFinal_ex(t->digest, digest, NULL) != 1) {
		errno = EIO;
		return failed(t, "digest");
	}
	format_put_first_line(first, t->size + b->len, digest, t->is_from_judged);
	if (is_small)
		memcpy(b->data, first, FORMAT_FIRST_LINE);
	if ((err = append(t, b)) != ERR_OK)
		return err;
	if (!is_small && io_pwrite_all(t->fd, first, FORMAT_FIRST_LINE, 0) != ERR_OK)
		return failed(t, "write");
	return ERR_OK;
}

int
transaction_move(int from, const char *name, int to, const char *new_name)
{
	if (renameat2(from, name, to, new_name, RENAME_NOREPLACE) == 0)
		return ERR_OK;
	if (errno != EINVAL && errno != ENOSYS)
		return errno == EEXIST ? ERR_EXISTS : ERR_SYSTEM;
	/* A file system that knows no RENAME_NOREPLACE. */
	if (linkat(from, name, to, new_name, 0) != 0)
		return errno == EEXIST ? ERR_EXISTS : ERR_SYSTEM;
	if (unlinkat(from, name, 0) == 0)
		return ERR_OK;
	unlinkat(to, new_name, 0);
	return ERR_SYSTEM;
}

int
transaction_sync_folder(int fd)
{
	return fsync(fd) == 0 ? ERR_OK : io_error();
}

int
transaction_replace_state(const struct spool_dirs *d, const char *id, const void *p, size_t n, bool is_precious,
    struct folder_sync *sync)
{
	char name[SPOOL_ID_TEXT + 8];
	int fd, err = ERR_OK, error;

	if (d->state_fd < 0 || str_fmt(name, sizeof(name), "%s.state", id) != ERR_OK) {
		errno = ENOENT;
		return ERR_SYSTEM;
	}
	fd = openat(d->fds[SPOOL_TMP], name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return io_error();
	if ((err = io_write_all(fd, p, n)) == ERR_OK && is_precious && fsync(fd) != 0)
		err = io_error();
	if (err == ERR_OK && renameat(d->fds[SPOOL_TMP], name, d->state_fd, id) != 0)
		err = io_error();
	if (err != ERR_OK) {
		error = errno;
		unlinkat(d->fds[SPOOL_TMP], name, 0);
		errno = error;
	} else if (is_precious) {
		err = sync != NULL ? folder_sync_wait(sync) : transaction_sync_folder(d->state_fd);
	}
	io_close(&fd);
	return err;
}

static void
fail_state(struct transaction_state *s, int err)
{
	s->err = err;
	s->error = errno;
}

static void
write_state(const struct spool_dirs *d, struct transaction_state *s)
{
	char name[SPOOL_ID_TEXT + 8];
	int fd;

	s->err = ERR_OK;
	if (d->state_fd < 0 || str_fmt(name, sizeof(name), "%s.state", s->id) != ERR_OK) {
		errno = ENOENT;
		fail_state(s, ERR_SYSTEM);
		return;
	}
	fd = openat(d->fds[SPOOL_TMP], name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || io_write_all(fd, s->p, s->n) != ERR_OK)
		fail_state(s, io_error());
	io_close(&fd);
}

static void
name_state(const struct spool_dirs *d, struct transaction_state *s)
{
	char name[SPOOL_ID_TEXT + 8];

	if (str_fmt(name, sizeof(name), "%s.state", s->id) != ERR_OK)
		return;
	if (s->err == ERR_OK && renameat(d->fds[SPOOL_TMP], name, d->state_fd, s->id) != 0)
		fail_state(s, io_error());
	if (s->err != ERR_OK)
		unlinkat(d->fds[SPOOL_TMP], name, 0);
}

void
transaction_replace_states(const struct spool_dirs *d, struct transaction_state *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		write_state(d, &list[i]);
	/* One sync for all: as many fsync(2) as files would each wait for the disk. */
	if (n != 0 && d->state_fd >= 0 && syncfs(d->state_fd) != 0)
		for (size_t i = 0; i < n; i++)
			fail_state(&list[i], io_error());
	for (size_t i = 0; i < n; i++)
		name_state(d, &list[i]);
	if (n != 0 && d->state_fd >= 0 && transaction_sync_folder(d->state_fd) != ERR_OK)
		for (size_t i = 0; i < n; i++)
			if (list[i].err == ERR_OK)
				fail_state(&list[i], io_error());
}

/*
 * The folder could not be synced, so the message will be refused: it must not come back after a crash. It is made empty
 * first, so that it is not whole even if its name survives.
 */
static void
retract(struct transaction *t)
{
	bool is_empty = ftruncate(t->fd, 0) == 0 && fsync(t->fd) == 0;
	bool is_gone = unlinkat(t->dirs->fds[SPOOL_NEW], t->name, 0) == 0 && fsync(t->dirs->fds[SPOOL_NEW]) == 0;

	t->stuck |= !is_gone && !is_empty;
}

bool
transaction_fits_journal(const struct transaction *t, const struct buf *b)
{
	return !t->is_left_out && t->size == 0 && journal_takes(t->dirs->journal, b->len);
}

/* It is refused, and a crash must not bring it back. */
static void
give_up(struct transaction *t)
{
	const char *name = t->name;

	transaction_discard(t);
	if (t->is_in_journal && journal_forget(t->dirs->journal, &name, 1) != ERR_OK)
		t->stuck = true;
}

static int
enter_new(struct transaction *t)
{
	return transaction_move(t->dirs->fds[SPOOL_TMP], t->name, t->dirs->fds[SPOOL_NEW], t->name) == ERR_OK ? ERR_OK : failed(t, "rename");
}

int
transaction_commit(struct transaction *t, struct buf *b)
{
	struct transaction_commit one = { .t = t, .b = b };
	int err;

	if (transaction_fits_journal(t, b)) {
		transaction_commit_many(&one, 1);
		if (one.err != ERR_BUSY)
			return one.err;
	}
	err = t->is_left_out ? ERR_OK : finish(t, b);
	buf_reset(b);
	if (err == ERR_OK && fsync(t->fd) != 0)
		err = failed(t, "fsync");
	if (err == ERR_OK && (err = enter_new(t)) == ERR_OK && folder_sync_wait(t->sync) != ERR_OK) {
		err = failed(t, "fsync of new");
		retract(t);
	}
	if (err != ERR_OK)
		give_up(t);
	io_close(&t->fd);
	return err;
}

void
transaction_commit_many(struct transaction_commit *list, size_t n)
{
	struct journal *journal = list[0].t->dirs->journal;
	struct journal_record records[JOURNAL_ROUND];
	size_t used = 0;
	unsigned pinned;
	int err = ERR_OK;

	for (size_t i = 0; i < n; i++) {
		struct transaction *t = list[i].t;

		if ((list[i].err = finish(t, list[i].b)) == ERR_OK)
			records[used++] = (struct journal_record){ .kind = JOURNAL_STORED, .name = t->name, .name_len = strlen(t->name),
			    .data = list[i].b->data, .n = list[i].b->len };
	}
	if (used != 0)
		err = journal_store(journal, records, used, &pinned);
	for (size_t i = 0; i < n; i++) {
		struct transaction *t = list[i].t;

		buf_reset(list[i].b);
		if (list[i].err != ERR_OK)
			continue;
		t->is_in_journal = err == ERR_OK || err == ERR_SYSTEM;
		t->is_left_out = err != ERR_OK;
		list[i].err = err == ERR_OK ? enter_new(t) : ERR_BUSY;
	}
	/* Before giving up, which may wait for a checkpoint. */
	if (used != 0 && err == ERR_OK)
		journal_settle(journal, pinned);
	for (size_t i = 0; i < n; i++) {
		if (list[i].err != ERR_OK && list[i].err != ERR_BUSY)
			give_up(list[i].t);
		else if (list[i].err == ERR_OK)
			io_close(&list[i].t->fd);
	}
}

void
transaction_discard(struct transaction *t)
{
	if (t->fd < 0)
		return;
	io_close(&t->fd);
	/* What can't be removed now is removed by the next start. */
	unlinkat(t->dirs->fds[SPOOL_TMP], t->name, 0);
}
