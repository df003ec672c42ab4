/*
 * What postern-spool does to a spool before it serves, as the spool's user. Invariant: no octet of a message is ever deleted
 * here but in tmp/, whose files were never acknowledged; a file that can't be read stays where it is.
 */
#include "recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "name.h"
#include "spooler.h"
#include "transaction.h"

#define VERIFY_MAX (256ULL << 20)	/* octets that are read whole at a start; beyond it the sizes must do, for a start must be quick */

struct names {
	char	**items;
	size_t	  n, room;
};

struct recovery {
	const struct spool_dirs	*d;
	struct spooler		*sp;
	struct recovered	*r;
	uint64_t		 verified;	/* octets whose digest was checked */
};

static int
add_name(struct names *l, const char *name)
{
	if (l->n == l->room) {
		size_t room = l->room != 0 ? 2 * l->room : 256;
		char **items = realloc(l->items, room * sizeof(*items));

		if (items == NULL)
			return ERR_NOMEM;
		l->items = items;
		l->room = room;
	}
	if ((l->items[l->n] = strdup(name)) == NULL)
		return ERR_NOMEM;
	l->n++;
	return ERR_OK;
}

/* All names first: a folder that changes while it is read may show a name twice or not at all. */
static int
read_names(int folder, struct names *l)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = ERR_OK;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	*l = (struct names){ .n = 0 };
	if (dir == NULL) {
		io_close(&fd);
		return ERR_SYSTEM;
	}
	while (err == ERR_OK && (errno = 0, e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			err = add_name(l, e->d_name);
	if (err == ERR_OK && errno != 0)
		err = ERR_SYSTEM;
	closedir(dir);
	return err;
}

static void
free_names(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i]);
	free(l->items);
}

static void
empty_tmp(struct recovery *v, const char *name)
{
	if (unlinkat(v->d->fds[SPOOL_TMP], name, 0) == 0)
		v->r->removed++;
	else
		log_error("spool.not_removed", "file", name, "folder", "tmp", "error", strerror(errno), NULL);
}

/* A folder, a link and the like are nothing of ours: they stay where they are, and are named. */
static bool
is_foreign(const struct recovery *v, enum spool_folder f, const char *name)
{
	char where[SPOOL_NAME_MAX + 32];
	struct stat st;

	/* What can't be looked at is named by whoever opens it. */
	if (fstatat(v->d->fds[f], name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISREG(st.st_mode))
		return false;
	snprintf(where, sizeof(where), "%s/%s", spool_folder_name(f), name);
	log_error("spool.foreign", "entry", where, "kind", S_ISDIR(st.st_mode) ? "folder" : S_ISLNK(st.st_mode) ? "link" : "special file",
	    "hint", "it is no message and stays there: remove it", NULL);
	return true;
}

/* Moves a file to failed/, under its own name or one with a number behind. */
static void
set_aside(struct recovery *v, enum spool_folder f, const char *name, const char *reason)
{
	char now[SPOOL_NAME_MAX + 32], was[SPOOL_NAME_MAX + 32], to[SPOOL_NAME_MAX + 8];
	int err = ERR_EXISTS;

	snprintf(was, sizeof(was), "%s/%s", spool_folder_name(f), name);
	for (unsigned i = 0; i < 1000 && err == ERR_EXISTS; i++) {
		if (i == 0)
			snprintf(to, sizeof(to), "%s", name);
		else
			snprintf(to, sizeof(to), "%.240s.%u", name, i);
		err = transaction_move(v->d->fds[f], name, v->d->fds[SPOOL_FAILED], to);
	}
	snprintf(now, sizeof(now), "failed/%s", to);
	if (err == ERR_OK)
		v->r->set_aside++;
	log_event(LOG_LEVEL_ALARM, 0, "spool.corrupt", "file", was, "reason", reason, "now", err == ERR_OK ? now : was,
	    "error", err == ERR_OK ? NULL : strerror(errno), NULL);
}

/* Whether a file is whole and its envelope is what its name says. */
static int
read_file(struct recovery *v, enum spool_folder f, const char *file, const struct name *n)
{
	int fd = openat(v->d->fds[f], file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY), err;
	struct spool_envelope e;

	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? ERR_CORRUPT : ERR_SYSTEM;
	if ((err = spool_read_envelope(fd, &e)) == ERR_OK) {
		if (strcmp(e.id, n->id) != 0 || e.session != n->session || e.transaction != n->t)
			err = ERR_CORRUPT;
		else if (e.file_size <= VERIFY_MAX - v->verified && (err = spool_verify(fd)) == ERR_OK)
			v->verified += e.file_size;
		if (err == ERR_OK)
			err = waiting_add(&v->sp->waiting, e.account, e.message_size);
		spool_envelope_free(&e);
	}
	io_close(&fd);
	return err;
}

static int
check_message(struct recovery *v, enum spool_folder f, const char *file)
{
	struct name n;
	int err;

	if (name_get(file, &n) != ERR_OK) {
		set_aside(v, f, file, "its name is none of this spool's");
		return ERR_OK;
	}
	id_note(&v->sp->ids, n.id);
	switch (err = read_file(v, f, file, &n)) {
	case ERR_OK:
		v->r->messages++;
		if (f != SPOOL_HOLD && (err = queue_add(v->sp, file, f == SPOOL_CUR)) != ERR_OK)
			return err;
		/* Of no session are the messages that the spool has made itself. */
		return n.session == 0 ? ERR_OK : outcome_note(&v->sp->outcomes, n.session, n.t, true, n.id, io_now_ms());
	case ERR_CORRUPT:
		set_aside(v, f, file, "it is not whole");
		return ERR_OK;
	case ERR_NOMEM:
		return err;
	default:
		/* Of a newer version, or unreadable at the moment: not for us to move. */
		log_error("spool.unreadable", "folder", spool_folder_name(f), "file", file, "reason", err_text(err), NULL);
		return ERR_OK;
	}
}

static int
recover_folder(struct recovery *v, enum spool_folder f)
{
	struct names l;
	struct name n;
	int err = read_names(v->d->fds[f], &l);

	for (size_t i = 0; i < l.n && err == ERR_OK; i++) {
		if (f == SPOOL_TMP)
			empty_tmp(v, l.items[i]);
		else if (is_foreign(v, f, l.items[i]))
			continue;
		else if (f != SPOOL_FAILED)
			err = check_message(v, f, l.items[i]);
		else if (name_get(l.items[i], &n) == ERR_OK)
			id_note(&v->sp->ids, n.id);
	}
	free_names(&l);
	return err;
}

int
recover_spool(struct spooler *sp, struct recovered *r)
{
	const struct spool_dirs *d = &sp->dirs;
	struct recovery v = { .d = d, .sp = sp, .r = r };
	int err;

	*r = (struct recovered){ .messages = 0 };
	err = recover_strays(d);
	for (enum spool_folder f = 0; f < SPOOL_NFOLDERS && err == ERR_OK; f++)
		err = recover_folder(&v, f);
	/* What was renamed just before a kill is told as stored from now on: it must be on the disk first. */
	for (enum spool_folder f = 0; f < SPOOL_NFOLDERS && err == ERR_OK; f++)
		err = transaction_sync_folder(d->fds[f]);
	return err == ERR_OK ? queue_sort(sp) : err;
}
