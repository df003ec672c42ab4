/*
 * What the commit journal says is made true of the message files. Part of libpostern-spool; run by postern-spool before it serves, or by
 * smtpadm as the spool's owner with the lock held. Invariant: a message that was stored and not removed is in one folder, whole and on
 * the disk, before the journal forgets it; it can be run again after a crash in its midst.
 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "name.h"
#include "spool.h"
#include "state.h"
#include "str.h"

struct file {
	int		 fd;
	uint8_t		*octets;
	size_t		 n;
	uint64_t	 generation;	/* of its first batch */
	size_t		 batches;
};

struct replay {
	const struct spool_dirs		*d;
	struct journal_recovered	*r;
	struct journal_record		*records;	/* in the order in which they were written */
	size_t				 n, room;
};

static int
read_file(struct file *f)
{
	struct stat st;

	if (fstat(f->fd, &st) != 0)
		return ERR_SYSTEM;
	f->n = st.st_size < JOURNAL_FILE_MAX ? (size_t)st.st_size : JOURNAL_FILE_MAX;
	if ((f->octets = malloc(f->n + 1)) == NULL)
		return ERR_NOMEM;
	for (size_t got = 0; got < f->n;) {
		ssize_t n = pread(f->fd, f->octets + got, f->n - got, (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_SYSTEM;
		if (n == 0)
			f->n = got;
		got += (size_t)n;
	}
	return ERR_OK;
}

static int
take_record(const struct journal_record *record, void *arg)
{
	struct replay *p = arg;

	if (p->n == p->room) {
		size_t room = p->room != 0 ? 2 * p->room : 1024;
		struct journal_record *records = realloc(p->records, room * sizeof(*records));

		if (records == NULL)
			return ERR_NOMEM;
		p->records = records;
		p->room = room;
	}
	p->records[p->n++] = *record;
	return ERR_OK;
}

/* All batches up to the first that is not whole, or is of an earlier use of the file. */
static int
take_batches(struct replay *p, struct file *f)
{
	const EVP_MD *sha256 = EVP_sha256();
	size_t at = 0, size;
	struct journal_place place;
	int err;

	for (f->batches = 0; at < f->n; at += size, f->batches++) {
		size_t before = p->n;

		err = journal_get_batch(f->octets + at, f->n - at, &place, sha256, take_record, p, &size);
		if (err == ERR_NOMEM)
			return err;
		if (err != ERR_OK || place.sequence != f->batches || (f->batches != 0 && place.generation != f->generation)) {
			p->n = before;
			break;
		}
		f->generation = place.generation;
	}
	return ERR_OK;
}

/* Whether a file of a folder holds these octets. ERR_NOTFOUND; ERR_CORRUPT: others. */
static int
compare(int folder, const char *name, const struct journal_record *r)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY), err = ERR_OK;
	uint8_t octets[16384];
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? ERR_NOTFOUND : errno == ELOOP || errno == ENXIO ? ERR_CORRUPT : ERR_SYSTEM;
	if (fstat(fd, &st) != 0)
		err = ERR_SYSTEM;
	else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != r->n)
		err = ERR_CORRUPT;
	for (size_t at = 0; at < r->n && err == ERR_OK;) {
		ssize_t n = pread(fd, octets, sizeof(octets), (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		/* A block that can't be read is one that is not there. */
		if (n <= 0 || memcmp(octets, r->data + at, (size_t)n) != 0)
			err = ERR_CORRUPT;
		else
			at += (size_t)n;
	}
	io_close(&fd);
	return err;
}

/*
 * The same octets once more, over those of a file that holds them in the kernel's memory: of one that could not be written the disk
 * may have others. What can't be opened is left as it is.
 */
static int
write_again(int folder, const char *name, const struct journal_record *r)
{
	int fd = openat(folder, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY), err = ERR_OK;
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? ERR_NOTFOUND : ERR_OK;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == r->n)
		err = io_pwrite_all(fd, r->data, r->n, 0);
	io_close(&fd);
	return err;
}

/* A new file in place of what is there, by way of tmp/; settle() syncs all of them. */
static int
restore(const struct spool_dirs *d, enum spool_folder f, const char *name, const struct journal_record *r)
{
	int fd, err;

	if (unlinkat(d->fds[SPOOL_TMP], name, 0) != 0 && errno != ENOENT)
		return ERR_SYSTEM;
	fd = openat(d->fds[SPOOL_TMP], name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return io_error();
	err = io_write_all(fd, r->data, r->n);
	io_close(&fd);
	if (err == ERR_OK && renameat(d->fds[SPOOL_TMP], name, d->fds[f], name) != 0)
		err = io_error();
	return err;
}

/* Where a file of that name that is not whole stands, it is replaced; one that is nowhere has its place in new/. */
static int
ensure(struct replay *p, const char *name, const struct journal_record *r)
{
	enum spool_folder place = SPOOL_NEW;
	int err;

	for (enum spool_folder f = SPOOL_NEW; f < SPOOL_NFOLDERS; f++) {
		if ((err = compare(p->d->fds[f], name, r)) == ERR_OK) {
			p->r->present++;
			/* No room, on a file system that writes nothing over: it is there, and only a disk that failed before could take it away. */
			return (err = write_again(p->d->fds[f], name, r)) == ERR_FULL || err == ERR_NOTFOUND ? ERR_OK : err;
		}
		if (err == ERR_CORRUPT)
			place = f;
		else if (err != ERR_NOTFOUND)
			return err;
	}
	p->r->restored++;
	return restore(p->d, place, name, r);
}

static int
forget(struct replay *p, const char *file, const struct name *n)
{
	for (enum spool_folder f = SPOOL_NEW; f < SPOOL_NFOLDERS; f++) {
		if (unlinkat(p->d->fds[f], file, 0) == 0)
			p->r->removed++;
		else if (errno != ENOENT)
			return ERR_SYSTEM;
	}
	if (p->d->state_fd >= 0)
		state_remove(p->d, n->id);
	return ERR_OK;
}

/* By name, the last record of each name last. They are of one array each: what was written first stands before. */
static int
by_name(const void *left, const void *right)
{
	const struct journal_record *const *a = left, *const *b = right;
	size_t n = (*a)->name_len < (*b)->name_len ? (*a)->name_len : (*b)->name_len;
	int order = memcmp((*a)->name, (*b)->name, n);

	if (order == 0)
		order = ((*a)->name_len > (*b)->name_len) - ((*a)->name_len < (*b)->name_len);
	return order != 0 ? order : (*a > *b) - (*a < *b);
}

static bool
is_same_name(const struct journal_record *a, const struct journal_record *b)
{
	return a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0;
}

static int
apply(struct replay *p)
{
	const struct journal_record **order = malloc((p->n + 1) * sizeof(*order));
	int err = order != NULL ? ERR_OK : ERR_NOMEM;

	for (size_t i = 0; i < p->n && err == ERR_OK; i++)
		order[i] = &p->records[i];
	if (err == ERR_OK && p->n != 0)
		qsort(order, p->n, sizeof(*order), by_name);
	for (size_t i = 0; i < p->n && err == ERR_OK; i++) {
		const struct journal_record *r = order[i];
		char file[SPOOL_NAME_MAX];
		struct name n;

		if (i + 1 < p->n && is_same_name(r, order[i + 1]))
			continue;
		/* A digest vouches for what we wrote, and we write no other names. */
		if (str_copy(file, sizeof(file), r->name, r->name_len) != ERR_OK || name_get(file, &n) != ERR_OK)
			continue;
		err = r->kind == JOURNAL_STORED ? ensure(p, file, r) : forget(p, file, &n);
	}
	free(order);
	return err;
}

/* The disk has it all before the journal forgets. */
static int
settle(const struct spool_dirs *d, struct file files[JOURNAL_FILES])
{
	int err = ERR_OK;

	if (files[0].batches == 0 && files[1].batches == 0)
		return ERR_OK;
	if (syncfs(d->root_fd) != 0)
		return io_error();
	for (enum spool_folder f = SPOOL_NEW; f < SPOOL_NFOLDERS; f++)
		if (fsync(d->fds[f]) != 0)
			return io_error();
	/* The older one first: what it stored the other one may have removed. */
	for (size_t i = 0; i < JOURNAL_FILES && err == ERR_OK; i++)
		if (files[i].batches != 0)
			err = journal_clear_file(files[i].fd);
	return err;
}

/* Wherever it stands; one that moves from folder to folder meanwhile is met in one of them. */
static int
rewrite(const struct spool_dirs *d, const struct journal_record *r)
{
	char name[SPOOL_NAME_MAX];
	int err = ERR_NOTFOUND;

	if (r->kind != JOURNAL_STORED || str_copy(name, sizeof(name), r->name, r->name_len) != ERR_OK)
		return ERR_OK;
	for (int i = 0; i < 2 && err == ERR_NOTFOUND; i++)
		for (enum spool_folder f = SPOOL_NEW; f < SPOOL_NFOLDERS && err == ERR_NOTFOUND; f++)
			err = write_again(d->fds[f], name, r);
	return err == ERR_NOTFOUND ? ERR_OK : err;
}

int
journal_rewrite(const struct spool_dirs *d, int fd)
{
	struct replay p = { .d = d };
	struct file f = { .fd = fd };
	int err;

	if ((err = read_file(&f)) == ERR_OK)
		err = take_batches(&p, &f);
	for (size_t i = 0; i < p.n && err == ERR_OK; i++)
		err = rewrite(d, &p.records[i]);
	free(f.octets);
	free(p.records);
	return err;
}

int
journal_recover(const struct spool_dirs *d, struct journal_recovered *r)
{
	struct file files[JOURNAL_FILES] = { { .fd = -1 }, { .fd = -1 } };
	struct replay p = { .d = d, .r = r };
	int err = ERR_OK;

	*r = (struct journal_recovered){ .restored = 0 };
	for (unsigned i = 0; i < JOURNAL_FILES && err == ERR_OK; i++) {
		if ((err = journal_open_file(d, i, 0, &files[i].fd)) == ERR_NOTFOUND)
			err = ERR_OK;
		else if (err == ERR_OK && (err = read_file(&files[i])) == ERR_OK)
			err = take_batches(&p, &files[i]);
	}
	/* Records are applied in the order of the generations. */
	if (err == ERR_OK && files[0].batches != 0 && files[1].batches != 0 && files[0].generation > files[1].generation) {
		struct file older = files[1];

		files[1] = files[0];
		files[0] = older;
		p.n = 0;
		err = take_batches(&p, &files[0]);
		if (err == ERR_OK)
			err = take_batches(&p, &files[1]);
	}
	if (err == ERR_OK && (err = apply(&p)) == ERR_OK)
		err = settle(d, files);
	for (size_t i = 0; i < JOURNAL_FILES; i++) {
		free(files[i].octets);
		io_close(&files[i].fd);
	}
	free(p.records);
	return err;
}
