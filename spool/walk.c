/*
 * Walking a spool in the order of its ids. Part of libpostern-spool. Needs no lock: a message is complete wherever it stands
 * and only moves between folders, so a walk that misses it in one looks for it in the next. Run by smtpadm, perhaps as
 * root: links are not followed, and only regular files are read.
 */
#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "name.h"

/* Folders that hold messages, in the order in which one moves through them. */
static const enum spool_folder walked[] = { SPOOL_NEW, SPOOL_CUR, SPOOL_HOLD, SPOOL_FAILED };

struct found {
	char			id[NAME_ID_LEN + 1];
	enum spool_folder	folder;
	char			*name;
};

struct found_list {
	struct found	*items;
	size_t		 n, room;
};

static int
found_add(struct found_list *l, enum spool_folder folder, const char *file)
{
	struct name parsed;
	struct found *f;

	if (strlen(file) >= SPOOL_NAME_MAX)
		return ERR_OK;
	if (l->n == l->room) {
		size_t room = l->room != 0 ? 2 * l->room : 256;
		struct found *items = realloc(l->items, room * sizeof(*items));

		if (items == NULL)
			return ERR_NOMEM;
		l->items = items;
		l->room = room;
	}
	f = &l->items[l->n];
	*f = (struct found){ .folder = folder, .name = strdup(file) };
	if (f->name == NULL)
		return ERR_NOMEM;
	if (name_get(file, &parsed) == ERR_OK)
		memcpy(f->id, parsed.id, sizeof(f->id));
	l->n++;
	return ERR_OK;
}

static int
read_folder(const struct spool_dirs *d, enum spool_folder folder, struct found_list *l)
{
	int fd = openat(d->fds[folder], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = ERR_OK;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (dir == NULL) {
		io_close(&fd);
		return ERR_SYSTEM;
	}
	while (err == ERR_OK && (e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			err = found_add(l, folder, e->d_name);
	closedir(dir);
	return err;
}

/* By id, files that are none of ours last, by name; one that moved meanwhile stands where it was last seen. */
static int
compare(const void *left, const void *right)
{
	const struct found *a = left, *b = right;
	int order;

	if ((a->id[0] == 0) != (b->id[0] == 0))
		return a->id[0] == 0 ? 1 : -1;
	if ((order = strcmp(a->id, b->id)) != 0 || (order = strcmp(a->name, b->name)) != 0)
		return order;
	return (a->folder > b->folder) - (a->folder < b->folder);
}

static int
open_entry(const struct spool_dirs *d, const struct found *f, enum spool_folder folder, struct spool_entry *e)
{
	struct stat st;

	*e = (struct spool_entry){ .folder = folder };
	memcpy(e->id, f->id, sizeof(f->id));
	memcpy(e->name, f->name, strlen(f->name) + 1);
	e->fd = openat(d->fds[folder], f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (e->fd < 0 && errno == EACCES)
		return ERR_DENIED;
	if (e->fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == EIO ? ERR_SYSTEM : ERR_NOTFOUND;
	if (fstat(e->fd, &st) == 0 && S_ISREG(st.st_mode))
		return ERR_OK;
	io_close(&e->fd);
	return ERR_NOTFOUND;
}

/* Opens an entry where it was seen, or in the folders that it may have moved to. */
static int
open_found(const struct spool_dirs *d, const struct found *f, struct spool_entry *e)
{
	int err = open_entry(d, f, f->folder, e);

	for (size_t i = 0; i < sizeof(walked) / sizeof(walked[0]) && err == ERR_NOTFOUND && f->id[0] != 0; i++)
		if (walked[i] != f->folder)
			err = open_entry(d, f, walked[i], e);
	return err;
}

static int
find_all(const struct spool_dirs *d, struct found_list *l)
{
	int err = ERR_OK;

	for (size_t i = 0; i < sizeof(walked) / sizeof(walked[0]) && err == ERR_OK; i++)
		err = read_folder(d, walked[i], l);
	if (err == ERR_OK && l->n != 0)
		qsort(l->items, l->n, sizeof(l->items[0]), compare);
	return err;
}

static void
found_free(struct found_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i].name);
	free(l->items);
}

static void
note_unread(struct spool_unread *u, const struct spool_entry *e)
{
	if (u != NULL && u->n++ == 0) {
		u->folder = e->folder;
		memcpy(u->name, e->name, sizeof(u->name));
	}
}

int
spool_walk(const struct spool_dirs *d, int (*each)(const struct spool_entry *e, void *arg), void *arg)
{
	return spool_walk_unread(d, each, arg, NULL);
}

int
spool_walk_unread(const struct spool_dirs *d, int (*each)(const struct spool_entry *e, void *arg), void *arg,
    struct spool_unread *unread)
{
	struct found_list l = { .n = 0 };
	int result = find_all(d, &l);

	if (unread != NULL)
		*unread = (struct spool_unread){ .n = 0 };

	for (size_t i = 0; i < l.n && result == ERR_OK; i++) {
		struct spool_entry e;
		int err;

		/* Seen twice because it moved between the two readings. */
		if (i + 1 < l.n && l.items[i].id[0] != 0 && strcmp(l.items[i].name, l.items[i + 1].name) == 0)
			continue;
		if ((err = open_found(d, &l.items[i], &e)) == ERR_NOTFOUND)
			continue;
		/* One of another owner hides none of the others. */
		if (err == ERR_DENIED) {
			note_unread(unread, &e);
			continue;
		}
		if (err != ERR_OK) {
			result = err;
			break;
		}
		result = each(&e, arg);
		io_close(&e.fd);
	}
	found_free(&l);
	return result;
}

int
spool_find(const struct spool_dirs *d, const char *id, struct spool_entry *e)
{
	struct found_list l = { .n = 0 };
	int err = find_all(d, &l);
	size_t i = l.n;

	if (err == ERR_OK) {
		err = ERR_NOTFOUND;
		while (i-- > 0 && err == ERR_NOTFOUND)
			if (id[0] != 0 && strcmp(l.items[i].id, id) == 0)
				err = open_found(d, &l.items[i], e);
	}
	found_free(&l);
	return err;
}
