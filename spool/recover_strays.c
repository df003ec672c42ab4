/*
 * What a crash may leave beside the messages: a file in two folders, and states of messages that have gone. Run by postern-spool before
 * it serves, with the lock held. Invariant: of two names of a file one stays; the state of a file that is anywhere stays.
 */
#include "recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "name.h"
#include "spool.h"
#include "state.h"

struct seen {
	char			 id[NAME_ID_LEN + 1];
	enum spool_folder	 folder;
	char			*file;
};

struct seen_list {
	struct seen	*items;
	size_t		 n, room;
};

static int
add(struct seen_list *l, enum spool_folder folder, const char *file)
{
	struct name n;

	if (name_get(file, &n) != ERR_OK)
		return ERR_OK;
	if (l->n == l->room) {
		size_t room = l->room != 0 ? 2 * l->room : 256;
		struct seen *items = realloc(l->items, room * sizeof(*items));

		if (items == NULL)
			return ERR_NOMEM;
		l->items = items;
		l->room = room;
	}
	l->items[l->n] = (struct seen){ .folder = folder, .file = strdup(file) };
	if (l->items[l->n].file == NULL)
		return ERR_NOMEM;
	memcpy(l->items[l->n++].id, n.id, NAME_ID_LEN + 1);
	return ERR_OK;
}

static DIR *
open_dir(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir == NULL)
		io_close(&fd);
	return dir;
}

static int
read_folder(const struct spool_dirs *d, enum spool_folder folder, struct seen_list *l)
{
	DIR *dir = open_dir(d->fds[folder]);
	struct dirent *e;
	int err = ERR_OK;

	if (dir == NULL)
		return ERR_SYSTEM;
	while (err == ERR_OK && (errno = 0, e = readdir(dir)) != NULL)
		err = add(l, folder, e->d_name);
	if (err == ERR_OK && errno != 0)
		err = ERR_SYSTEM;
	closedir(dir);
	return err;
}

static int
compare(const void *left, const void *right)
{
	const struct seen *a = left, *b = right;
	int order = strcmp(a->id, b->id);

	return order != 0 ? order : (a->folder > b->folder) - (a->folder < b->folder);
}

static void
remove_twin(const struct spool_dirs *d, const struct seen *a, const struct seen *b)
{
	struct stat one, other;

	if (strcmp(a->file, b->file) != 0 || fstatat(d->fds[a->folder], a->file, &one, AT_SYMLINK_NOFOLLOW) != 0 ||
	    fstatat(d->fds[b->folder], b->file, &other, AT_SYMLINK_NOFOLLOW) != 0 || one.st_dev != other.st_dev ||
	    one.st_ino != other.st_ino || unlinkat(d->fds[a->folder], a->file, 0) != 0)
		return;
	log_info("spool.twin_removed", "file", a->file, "folder", spool_folder_name(a->folder), "stays", spool_folder_name(b->folder), NULL);
}

static int
remove_states(const struct spool_dirs *d, const struct seen_list *l)
{
	DIR *dir = open_dir(d->state_fd);
	struct dirent *e;
	int err;

	if (dir == NULL)
		return ERR_SYSTEM;
	while ((errno = 0, e = readdir(dir)) != NULL) {
		struct seen key = { .folder = SPOOL_TMP };
		size_t at = 0, end = l->n;
		uint64_t us;

		/* What is no id is nothing of ours. */
		if (name_get_id(e->d_name, strlen(e->d_name), &us) != ERR_OK)
			continue;
		memcpy(key.id, e->d_name, NAME_ID_LEN + 1);
		while (at < end) {
			size_t middle = at + (end - at) / 2;

			if (compare(&l->items[middle], &key) < 0)
				at = middle + 1;
			else
				end = middle;
		}
		if (at == l->n || strcmp(l->items[at].id, key.id) != 0)
			state_remove(d, key.id);
	}
	err = errno != 0 ? ERR_SYSTEM : ERR_OK;
	closedir(dir);
	return err;
}

int
recover_strays(const struct spool_dirs *d)
{
	struct seen_list l = { .n = 0 };
	int err = ERR_OK;

	for (enum spool_folder f = SPOOL_NEW; f < SPOOL_NFOLDERS && err == ERR_OK; f++)
		err = read_folder(d, f, &l);
	if (err == ERR_OK) {
		if (l.n != 0)
			qsort(l.items, l.n, sizeof(l.items[0]), compare);
		for (size_t i = 0; i + 1 < l.n; i++)
			remove_twin(d, &l.items[i], &l.items[i + 1]);
		err = remove_states(d, &l);
	}
	for (size_t i = 0; i < l.n; i++)
		free(l.items[i].file);
	free(l.items);
	return err;
}
