/*
 * The folders of a spool: making and opening them. Part of libpostern-spool; run by smtpadm and, while it starts, by
 * postern-spool, both perhaps as root. Invariant: no link below the spool's own path is followed, and no folder that
 * may be somebody else's changes its owner.
 */
#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "str.h"
#include "trace_file.h"

static const char *const names[SPOOL_NFOLDERS] = { "tmp", "new", "cur", "hold", "failed" };

#define STATE_FOLDER "state"
#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

const char *
spool_folder_name(enum spool_folder f)
{
	return names[f];
}

/* Opens a folder of ours; a foreign or linked one is ERR_DENIED. */
static int
open_folder(int at, const char *path, int *fd)
{
	if ((*fd = openat(at, path, FOLDER_FLAGS)) >= 0)
		return ERR_OK;
	if (errno == ELOOP || errno == ENOTDIR || errno == EACCES)
		return ERR_DENIED;
	return io_error();
}

static int
create_parents(const char *path)
{
	char copy[PATH_MAX];

	if (str_fmt(copy, sizeof(copy), "%s", path) != ERR_OK)
		return ERR_TOOBIG;
	for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(copy, 0755) != 0 && errno != EEXIST)
			return errno == EACCES ? ERR_DENIED : io_error();
		*slash = '/';
	}
	return ERR_OK;
}

/* Whether a folder holds nothing, or what a spool holds: only then may its owner change. */
static bool
may_adopt(int fd)
{
	int copy = openat(fd, ".", FOLDER_FLAGS);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	bool has_new = false, has_other = false;
	struct dirent *d;

	if (dir == NULL) {
		io_close(&copy);
		return false;
	}
	while ((d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 || strcmp(d->d_name, "lost+found") == 0)
			continue;
		has_new |= strcmp(d->d_name, names[SPOOL_NEW]) == 0;
		has_other = true;
	}
	closedir(dir);
	return has_new || !has_other;
}

/* Gives an open folder its owner and mode. */
static int
own_folder(int fd, const struct instance_ids *ids, bool is_root)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return ERR_SYSTEM;
	if (st.st_uid != ids->spool_uid || (ids->separate && st.st_gid != ids->spool_gid)) {
		if (!ids->separate || (is_root && !may_adopt(fd)))
			return ERR_DENIED;
		if (fchown(fd, ids->spool_uid, ids->spool_gid) != 0)
			return ERR_SYSTEM;
	}
	if ((st.st_mode & 07777) != 0700 && fchmod(fd, 0700) != 0)
		return ERR_SYSTEM;
	return ERR_OK;
}

/* A folder of the spool. */
static int
create_folder(int root, const char *name, const struct instance_ids *ids)
{
	int fd = -1, err;

	if (mkdirat(root, name, 0700) != 0 && errno != EEXIST)
		return io_error();
	if ((err = open_folder(root, name, &fd)) == ERR_OK)
		err = own_folder(fd, ids, false);
	io_close(&fd);
	return err;
}

int
spool_create(const char *path, const struct instance_ids *ids)
{
	int root, err;

	if ((err = create_parents(path)) != ERR_OK)
		return err;
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return errno == EACCES ? ERR_DENIED : io_error();
	if ((err = open_folder(AT_FDCWD, path, &root)) != ERR_OK)
		return err;
	if ((err = own_folder(root, ids, true)) != ERR_OK)
		goto out;
	for (size_t i = 0; i < SPOOL_NFOLDERS && err == ERR_OK; i++)
		err = create_folder(root, names[i], ids);
	if (err == ERR_OK)
		err = create_folder(root, STATE_FOLDER, ids);
	if (err == ERR_OK)
		err = create_folder(root, TRACE_FOLDER, ids);
out:
	io_close(&root);
	return err;
}

int
spool_open(struct spool_dirs *d, const char *path)
{
	int err;

	*d = (struct spool_dirs){ .root_fd = -1, .fds = { -1, -1, -1, -1, -1 }, .state_fd = -1 };
	err = open_folder(AT_FDCWD, path, &d->root_fd);
	for (size_t i = 0; i < SPOOL_NFOLDERS && err == ERR_OK; i++)
		err = open_folder(d->root_fd, names[i], &d->fds[i]);
	if (err == ERR_OK && (err = open_folder(d->root_fd, STATE_FOLDER, &d->state_fd)) == ERR_NOTFOUND)
		err = ERR_OK;
	if (err != ERR_OK)
		spool_close(d);
	return err;
}

void
spool_close(struct spool_dirs *d)
{
	for (size_t i = 0; i < SPOOL_NFOLDERS; i++)
		io_close(&d->fds[i]);
	io_close(&d->state_fd);
	io_close(&d->root_fd);
}
