/*
 * Removing messages. Part of libpostern-spool; run by postern-spool's commit threads, or by smtpadm as the spool's owner with the
 * lock held. Invariant: what is said to be gone is gone after any crash; no link is followed, and nothing outside the folders named.
 */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "journal.h"
#include "transaction.h"

#define FORGET_AT_ONCE 256

/* In the order in which a message moves through them. */
static const enum spool_folder searched[] = { SPOOL_NEW, SPOOL_CUR, SPOOL_HOLD, SPOOL_FAILED };

static bool
is_file_name(const char *name)
{
	return name[0] != 0 && strchr(name, '/') == NULL && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Whose it is and how large, before it goes. */
static void
read_owner(int folder, struct spool_removal *r)
{
	int fd = openat(folder, r->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct spool_envelope e;

	if (fd < 0)
		return;
	if (spool_read_envelope(fd, &e) == ERR_OK) {
		r->account = e.account;
		r->octets = e.message_size;
		e.account = NULL;
		spool_envelope_free(&e);
	}
	io_close(&fd);
}

static void
forget_owner(struct spool_removal *r)
{
	free(r->account);
	r->account = NULL;
	r->octets = 0;
}

static void
remove_one(const struct spool_dirs *d, struct spool_removal *r)
{
	r->err = is_file_name(r->file) ? ERR_NOTFOUND : ERR_SYNTAX;
	r->error = 0;
	r->removed = false;
	r->account = NULL;
	r->octets = 0;
	for (size_t i = 0; i < sizeof(searched) / sizeof(searched[0]) && r->err == ERR_NOTFOUND; i++) {
		int folder = d->fds[searched[i]];

		read_owner(folder, r);
		if (unlinkat(folder, r->file, 0) == 0) {
			r->err = ERR_OK;
			r->removed = true;
			r->folder = searched[i];
			return;
		}
		r->error = errno;
		forget_owner(r);
		if (errno != ENOENT)
			r->err = ERR_SYSTEM;
	}
}

/* One whose removal a crash may undo. */
static void
fail(struct spool_removal *r, int err, int error)
{
	r->err = err;
	r->error = error;
}

static void
forget(struct journal *j, struct spool_removal *list, size_t n)
{
	const char *names[FORGET_AT_ONCE];
	size_t used = 0;
	int err = ERR_OK, error = 0;

	for (size_t i = 0; i < n; i++) {
		if (list[i].removed)
			names[used++] = list[i].file;
		if (used == 0 || (used < FORGET_AT_ONCE && i + 1 < n))
			continue;
		if (err == ERR_OK && (err = journal_forget(j, names, used)) != ERR_OK)
			error = errno;
		used = 0;
	}
	/* Rather too many than one that comes back unannounced. */
	for (size_t i = 0; i < n && err != ERR_OK; i++)
		if (list[i].removed)
			fail(&list[i], err, error);
}

static void
sync_folders(const struct spool_dirs *d, struct spool_removal *list, size_t n)
{
	bool touched[SPOOL_NFOLDERS] = { false };

	for (size_t i = 0; i < n; i++)
		if (list[i].removed)
			touched[list[i].folder] = true;
	for (enum spool_folder f = 0; f < SPOOL_NFOLDERS; f++) {
		int err = touched[f] ? transaction_sync_folder(d->fds[f]) : ERR_OK, error = errno;

		for (size_t i = 0; i < n && err != ERR_OK; i++)
			if (list[i].removed && list[i].folder == f)
				fail(&list[i], err, error);
	}
}

void
spool_remove(const struct spool_dirs *d, struct spool_removal *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		remove_one(d, &list[i]);
	if (d->journal != NULL)
		forget(d->journal, list, n);
	else
		sync_folders(d, list, n);
}
