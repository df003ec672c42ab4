/*
 * Appending to the commit journal, and its checkpoints. Run by postern-spool's commit threads and by one thread of the journal's own.
 * Invariant: nobody is told of a success by an fdatasync(2) that had started before his records were written; a file is emptied
 * only after everything that its records tell of is on the disk by itself.
 */
#include "journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "spool.h"

#define SIZE_START (1u << 20)
#define MESSAGE_MAX (64u << 10)		/* octets; a longer one is written once, to its own file */
#define CHECKPOINT_AFTER_MS 5000	/* since the first record of a file, when it does not fill before */
#define GROW_UNDER_MS 2000		/* a file that fills faster is made longer */
#define GROW_SHARE 16			/* by a sixteenth of the free space at most */
#define RETRY_S 1			/* after a checkpoint that failed */
#define FORGET_AT_ONCE 512		/* names in one round */

struct journal_waiter {
	struct journal_waiter			*next;
	const struct journal_record		*records;
	size_t					 n, octets;	/* records, and what they take */
	bool					 pins;		/* the file that they are in */
	unsigned				 pinned;
	bool					 is_done;
	int					 err, error;
};

static bool
is_free(const struct journal *j, unsigned which)
{
	return !j->files[which].is_spent && j->files[which].at == 0;
}

static size_t
blocks(size_t octets)
{
	return (octets + JOURNAL_BLOCK - 1) / JOURNAL_BLOCK * JOURNAL_BLOCK;
}

/* With the mutex held: the next batch is the first of its file. */
static void
begin_file(struct journal *j)
{
	uint64_t now_us = io_now_us();

	j->place.generation = now_us > j->place.generation ? now_us : j->place.generation + 1;
	j->place.sequence = 0;
}

/* With the mutex held: the current file takes no more; the other one is free. */
static void
turn_over(struct journal *j, bool is_filled)
{
	/* Of one that was spent before, by an error, the checkpoint may be under way. */
	if (!j->files[j->current].is_spent)
		j->files[j->current].is_filled = is_filled && io_now_ms() - j->begun_ms < GROW_UNDER_MS;
	j->files[j->current].is_spent = true;
	j->current ^= 1;
	begin_file(j);
	pthread_cond_signal(&j->wanted);
}

/* With the mutex held: whether so many octets fit, in the other file if need be. */
static bool
make_room(struct journal *j, size_t octets)
{
	if (!j->files[j->current].is_spent && blocks(octets) <= j->files[j->current].size - j->files[j->current].at)
		return true;
	if (!is_free(j, j->current ^ 1) || blocks(octets) > j->files[j->current ^ 1].size)
		return false;
	turn_over(j, true);
	return true;
}

static void
finish(struct journal_waiter *w, int err, int error)
{
	w->err = err;
	w->error = error;
	w->is_done = true;
}

/* With the mutex held: takes from the row what goes into one batch; its octets. */
static size_t
take_round(struct journal *j, struct journal_waiter **round, size_t *nrecords)
{
	struct journal_waiter **end = round, *w;
	size_t octets = JOURNAL_HEAD;

	*round = NULL;
	*nrecords = 0;
	while ((w = j->first) != NULL) {
		if (octets + w->octets > JOURNAL_BATCH_MAX || !make_room(j, octets + w->octets)) {
			if (*round != NULL)
				break;
			finish(w, ERR_FULL, ENOSPC);
		}
		j->first = w->next;
		w->next = NULL;
		if (w->is_done)
			continue;
		*end = w;
		end = &w->next;
		octets += w->octets;
		*nrecords += w->n;
	}
	if (j->first == NULL)
		j->last = NULL;
	return octets;
}

/* Without the mutex, but alone: to the disk. */
static int
write_round(struct journal *j, const struct journal_waiter *round, size_t nrecords)
{
	const struct journal_record **records = malloc((nrecords + 1) * sizeof(*records));
	const int fd = j->files[j->current].fd;
	size_t n = 0;
	int err;

	if (records == NULL)
		return ERR_NOMEM;
	for (const struct journal_waiter *w = round; w != NULL; w = w->next)
		for (size_t i = 0; i < w->n; i++)
			records[n++] = &w->records[i];
	/* Also for want of space it may be written, whole or in part. */
	if ((err = journal_put_batch(&j->batch, &j->place, records, n, j->sha256)) == ERR_OK &&
	    (io_pwrite_all(fd, j->batch.data, j->batch.len, (off_t)j->files[j->current].at) != ERR_OK || fdatasync(fd) != 0))
		err = ERR_SYSTEM;
	free(records);
	return err;
}

/* With the mutex held: leads one round for those who wait by now. */
static void
lead(struct journal *j)
{
	struct journal_waiter *round, *next;
	size_t nrecords;
	unsigned current;
	int err, error;

	take_round(j, &round, &nrecords);
	if (round != NULL) {
		/* No file changes while a round is written, but by the round's own error. */
		current = j->current;
		j->is_writing = true;
		pthread_mutex_unlock(&j->mutex);
		err = write_round(j, round, nrecords);
		error = errno;
		pthread_mutex_lock(&j->mutex);
		j->is_writing = false;
		if (j->files[current].at == 0) {
			j->begun_ms = io_now_ms();
			pthread_cond_signal(&j->wanted);
		}
		if (err != ERR_NOMEM) {
			j->files[current].at += j->batch.len;
			j->place.sequence++;
		}
		/* Who knows what the disk has of it: nothing more behind that. */
		if (err != ERR_OK && err != ERR_NOMEM) {
			j->files[current].is_spent = true;
			j->files[current].is_filled = false;
			pthread_cond_signal(&j->wanted);
		}
		for (; round != NULL; round = next) {
			/* Its stack may be gone as soon as the mutex is free, not before. */
			next = round->next;
			round->pinned = current;
			j->files[current].pins += err == ERR_OK && round->pins;
			finish(round, err, error);
		}
	}
	pthread_cond_broadcast(&j->written);
}

/* pinned is NULL for what no checkpoint has to wait for. */
static int
append(struct journal *j, const struct journal_record *records, size_t n, unsigned *pinned)
{
	struct journal_waiter self = { .records = records, .n = n, .pins = pinned != NULL };

	for (size_t i = 0; i < n; i++)
		self.octets += journal_record_size(&records[i]);
	pthread_mutex_lock(&j->mutex);
	if (j->first == NULL)
		j->first = &self;
	else
		j->last->next = &self;
	j->last = &self;
	while (!self.is_done) {
		if (j->is_writing)
			pthread_cond_wait(&j->written, &j->mutex);
		else
			lead(j);
	}
	pthread_mutex_unlock(&j->mutex);
	if (pinned != NULL)
		*pinned = self.pinned;
	errno = self.error;
	return self.err;
}

bool
journal_takes(const struct journal *j, size_t octets)
{
	return j != NULL && octets <= MESSAGE_MAX;
}

int
journal_store(struct journal *j, const struct journal_record *records, size_t n, unsigned *pinned)
{
	return append(j, records, n, pinned);
}

void
journal_settle(struct journal *j, unsigned pinned)
{
	pthread_mutex_lock(&j->mutex);
	if (--j->files[pinned].pins == 0 && j->files[pinned].is_spent)
		pthread_cond_signal(&j->wanted);
	pthread_mutex_unlock(&j->mutex);
}

/* ERR_OK when a checkpoint may have made room. */
static int
wait_for_room(struct journal *j)
{
	int err = ERR_OK;

	pthread_mutex_lock(&j->mutex);
	while (j->error == 0 && j->files[j->current ^ 1].is_spent)
		pthread_cond_wait(&j->cleaned, &j->mutex);
	if (j->error != 0) {
		errno = j->error;
		err = ERR_FULL;
	}
	pthread_mutex_unlock(&j->mutex);
	return err;
}

int
journal_forget(struct journal *j, const char *const *names, size_t n)
{
	struct journal_record records[FORGET_AT_ONCE];
	int err = ERR_OK;

	for (size_t at = 0; at < n && err == ERR_OK; at += FORGET_AT_ONCE) {
		size_t part = n - at < FORGET_AT_ONCE ? n - at : FORGET_AT_ONCE;

		for (size_t i = 0; i < part; i++)
			records[i] = (struct journal_record){ .kind = JOURNAL_GONE, .name = names[at + i], .name_len = strlen(names[at + i]) };
		do
			err = append(j, records, part, NULL);
		while (err == ERR_FULL && (err = wait_for_room(j)) == ERR_OK);
	}
	return err;
}

/* Octets that are there already cost no metadata when they are written again. */
static int
lengthen(int fd, size_t from, size_t to)
{
	static const uint8_t none[64 * 1024];
	int err = ERR_OK, error;

	for (size_t at = from; at < to && err == ERR_OK; at += sizeof(none))
		err = io_pwrite_all(fd, none, to - at < sizeof(none) ? to - at : sizeof(none), (off_t)at);
	if (err == ERR_OK && fsync(fd) != 0)
		err = io_error();
	if (err != ERR_OK) {
		error = errno;
		if (ftruncate(fd, (off_t)from) != 0)
			err = ERR_SYSTEM;
		errno = error;
	}
	return err;
}

/* The length that a file is to have next: what fills fast grows, as long as that is little beside the space that is left. */
static size_t
next_size(const struct journal *j, unsigned which)
{
	size_t size = j->files[which].size, longer = 2 * size < j->size_max ? 2 * size : j->size_max;
	struct statvfs v;

	if (!j->files[which].is_filled || longer <= size || fstatvfs(j->root_fd, &v) != 0 ||
	    v.f_bavail * v.f_frsize / GROW_SHARE < longer - size)
		return size;
	return longer;
}

/* Without the mutex; the file is spent, so that nobody else touches it. */
static int
check_point(struct journal *j, unsigned which)
{
	const int fd = j->files[which].fd;
	size_t size = j->files[which].size, next;
	int err;

	if (j->files[which].is_doubtful && (err = journal_rewrite(j->dirs, fd)) != ERR_OK)
		return err;
	if (syncfs(j->root_fd) != 0) {
		/* The kernel tells of a failed write once, and of neither file's message files it is known whether it was theirs. */
		j->files[0].is_doubtful = j->files[1].is_doubtful = true;
		return ERR_SYSTEM;
	}
	/* Not every file system ends syncfs(2) by flushing the disk's cache (ext4 without its journal): what it wrote goes before the zeros. */
	if (fdatasync(fd) != 0 || journal_clear_file(fd) != ERR_OK)
		return ERR_SYSTEM;
	/* One that can't grow stays as it is. */
	next = next_size(j, which);
	if (next > size && lengthen(fd, size, next) == ERR_OK)
		j->files[which].size = next;
	return ERR_OK;
}

static struct timespec
until(uint64_t ms)
{
	return (struct timespec){ .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
}

/* With the mutex held: lets go of it until there may be something to be done. */
static void
rest(struct journal *j)
{
	bool is_empty = j->files[j->current].at == 0;
	uint64_t due = j->begun_ms + CHECKPOINT_AFTER_MS;
	struct timespec end = until(due);

	if (is_empty)
		pthread_cond_wait(&j->wanted, &j->mutex);
	else if (!j->is_writing && (io_now_ms() >= due || j->is_ending) && is_free(j, j->current ^ 1))
		turn_over(j, false);
	else if (io_now_ms() < due && !j->is_ending)
		pthread_cond_timedwait(&j->wanted, &j->mutex, &end);
	else
		/* A round is being written. */
		pthread_cond_wait(&j->written, &j->mutex);
}

static void *
keep(void *arg)
{
	struct journal *j = arg;

	pthread_mutex_lock(&j->mutex);
	j->is_running = true;
	pthread_cond_broadcast(&j->cleaned);
	for (;;) {
		unsigned which = j->files[0].is_spent ? 0 : 1;
		struct timespec later;
		int err, error;

		/* Of two the older one first. */
		if (j->files[0].is_spent && j->files[1].is_spent)
			which = j->current ^ 1;
		if (!j->files[which].is_spent || (j->is_writing && which == j->current)) {
			rest(j);
			continue;
		}
		if (j->files[which].pins != 0) {
			pthread_cond_wait(&j->wanted, &j->mutex);
			continue;
		}
		pthread_mutex_unlock(&j->mutex);
		err = check_point(j, which);
		error = errno;
		pthread_mutex_lock(&j->mutex);
		j->error = err == ERR_OK ? 0 : error != 0 ? error : EIO;
		if (err == ERR_OK) {
			j->files[which].is_spent = j->files[which].is_doubtful = false;
			j->files[which].at = 0;
			/* An error had spent it, and no record came meanwhile that needed the other one. */
			if (which == j->current)
				begin_file(j);
		}
		pthread_cond_broadcast(&j->cleaned);
		if (err != ERR_OK) {
			later = until(io_now_ms() + 1000 * RETRY_S);
			pthread_cond_timedwait(&j->wanted, &j->mutex, &later);
		}
	}
	return NULL;
}

static int
open_file(struct journal *j, const struct spool_dirs *d, unsigned which)
{
	const size_t longest = j->size_max > SIZE_START ? j->size_max / JOURNAL_BLOCK * JOURNAL_BLOCK : SIZE_START;
	struct stat st;
	int err, fd;

	if ((err = journal_open_file(d, which, 1, &fd)) != ERR_OK)
		return err;
	j->files[which].fd = fd;
	if (fstat(fd, &st) != 0)
		return ERR_SYSTEM;
	/* Of a time when more was permitted. */
	if (st.st_size > (off_t)longest && (ftruncate(fd, (off_t)longest) != 0 || fstat(fd, &st) != 0))
		return io_error();
	j->files[which].size = st.st_size < SIZE_START ? SIZE_START : (size_t)st.st_size / JOURNAL_BLOCK * JOURNAL_BLOCK;
	return st.st_size < SIZE_START ? lengthen(fd, (size_t)st.st_size, SIZE_START) : ERR_OK;
}

int
journal_start(struct journal *j, const struct spool_dirs *d, size_t size_max, const EVP_MD *sha256)
{
	pthread_condattr_t clock;
	pthread_t thread;
	int err = ERR_OK;

	*j = (struct journal){ .dirs = d, .root_fd = d->root_fd, .sha256 = sha256, .size_max = size_max, .files = { { .fd = -1 }, { .fd = -1 } } };
	buf_init(&j->batch, JOURNAL_BATCH_MAX + JOURNAL_BLOCK);
	j->place.generation = io_now_us();
	for (unsigned i = 0; i < JOURNAL_FILES && err == ERR_OK; i++)
		err = open_file(j, d, i);
	if (err == ERR_OK && fsync(d->root_fd) != 0)
		err = io_error();
	if (err != ERR_OK) {
		for (unsigned i = 0; i < JOURNAL_FILES; i++)
			io_close(&j->files[i].fd);
		return err;
	}
	if (pthread_mutex_init(&j->mutex, NULL) != 0 || pthread_condattr_init(&clock) != 0 ||
	    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC) != 0 || pthread_cond_init(&j->written, NULL) != 0 ||
	    pthread_cond_init(&j->wanted, &clock) != 0 || pthread_cond_init(&j->cleaned, &clock) != 0)
		return ERR_SYSTEM;
	if ((errno = pthread_create(&thread, NULL, keep, j)) != 0)
		return ERR_SYSTEM;
	pthread_detach(thread);
	/* What the C library does as a thread begins is not permitted once the filter is on. */
	pthread_mutex_lock(&j->mutex);
	while (!j->is_running)
		pthread_cond_wait(&j->cleaned, &j->mutex);
	pthread_mutex_unlock(&j->mutex);
	return ERR_OK;
}

int
journal_error(struct journal *j)
{
	int error;

	pthread_mutex_lock(&j->mutex);
	error = j->error;
	pthread_mutex_unlock(&j->mutex);
	return error;
}

void
journal_stop(struct journal *j, unsigned wait_ms)
{
	struct timespec end = until(io_now_ms() + wait_ms);
	int timed_out = 0;

	pthread_mutex_lock(&j->mutex);
	j->is_ending = true;
	pthread_cond_signal(&j->wanted);
	while (timed_out == 0 && j->error == 0 && !(is_free(j, 0) && is_free(j, 1)))
		timed_out = pthread_cond_timedwait(&j->cleaned, &j->mutex, &end);
	pthread_mutex_unlock(&j->mutex);
}
