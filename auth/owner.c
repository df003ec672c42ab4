/*
 * Becoming the owner of a folder for a while, inside it. Part of the registry library; run by smtpadm
 * and by postern-auth while it starts, as root. Invariant: after owner_leave(), and after a failed
 * owner_enter(), the process is what it was.
 */
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <unistd.h>

#include "err.h"
#include "io.h"

static int
remember(struct owner *o)
{
	*o = (struct owner){ .root_fd = -1, .folder_fd = -1, .gid = getegid() };
	if ((o->ngroups = getgroups(0, NULL)) < 0)
		return ERR_SYSTEM;
	if ((o->groups = calloc((size_t)o->ngroups + 1, sizeof(gid_t))) == NULL)
		return ERR_NOMEM;
	if ((o->ngroups = getgroups(o->ngroups, o->groups)) < 0 ||
	    (o->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0 ||
	    (o->folder_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return ERR_SYSTEM;
	return ERR_OK;
}

static void
forget(struct owner *o)
{
	io_close(&o->root_fd);
	io_close(&o->folder_fd);
	free(o->groups);
	o->groups = NULL;
}

int
owner_enter(struct owner *o, int folder_fd, uid_t uid, gid_t gid)
{
	int err, saved;

	if ((err = remember(o)) != ERR_OK) {
		forget(o);
		return err;
	}
	if (fchdir(folder_fd) == 0 && chroot(".") == 0 && setgroups(0, NULL) == 0 && setegid(gid) == 0 &&
	    seteuid(uid) == 0)
		return ERR_OK;
	saved = errno;
	owner_leave(o);
	errno = saved;
	return ERR_SYSTEM;
}

void
owner_leave(struct owner *o)
{
	if (seteuid(0) != 0 || setegid(o->gid) != 0 || setgroups((size_t)o->ngroups, o->groups) != 0 ||
	    fchdir(o->root_fd) != 0 || chroot(".") != 0 || fchdir(o->folder_fd) != 0)
		abort();
	forget(o);
}
