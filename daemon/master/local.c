/*
 * The local socket, over which programs of this machine submit as the account of their user. Run by the master, which
 * reads no octet from it either. Invariant: who is at the other end is what the kernel says, never what somebody
 * writes.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "master.h"
#include "str.h"

#define BACKLOG 256

int
local_get_peer(int fd, struct netaddr *peer)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0 || len != sizeof(who))
		return ERR_SYSTEM;
	*peer = netaddr_of_user(who.uid);
	return ERR_OK;
}

/* By way of the open folder, since a socket's path may have 107 octets only. */
static int
open_socket(const char *run_dir, int *fd)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int dir_fd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC), err = ERR_SYSTEM;
	mode_t mask = umask(0111);

	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* The pid file is locked: whatever is there belongs to nobody any more. */
	if (dir_fd >= 0 && *fd >= 0 && (unlinkat(dir_fd, INSTANCE_SUBMIT_FILE, 0) == 0 || errno == ENOENT) &&
	    str_fmt(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir_fd, INSTANCE_SUBMIT_FILE) == ERR_OK &&
	    bind(*fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(*fd, BACKLOG) == 0)
		err = ERR_OK;
	umask(mask);
	io_close(&dir_fd);
	if (err != ERR_OK)
		io_close(fd);
	return err;
}

static void
close_local(struct master *m)
{
	struct listener *l = m->listeners.local;
	char path[PATH_MAX];

	if (l->watched)
		loop_remove(&m->loop, &l->watch);
	io_close(&l->watch.fd);
	if (str_fmt(path, sizeof(path), "%s/%s", m->in.run_dir, INSTANCE_SUBMIT_FILE) == ERR_OK)
		unlink(path);
	free(l);
	m->listeners.local = NULL;
}

void
local_switch(struct master *m, bool on)
{
	struct listener *l;
	int fd;

	if (on == (m->listeners.local != NULL))
		return;
	if (!on) {
		close_local(m);
		return;
	}
	if ((l = calloc(1, sizeof(*l))) == NULL || open_socket(m->in.run_dir, &fd) != ERR_OK) {
		log_error("local.failed", "path", INSTANCE_SUBMIT_FILE, "reason", strerror(errno), "effect",
		    "programs of this machine can't submit by sendmail", NULL);
		free(l);
		return;
	}
	*l = (struct listener){ .master = m, .conf = { .name = "local", .kind = LISTENER_LOCAL },
	    .watch = { .fd = fd, .handle = listeners_accept, .owner = l } };
	m->listeners.local = l;
}
