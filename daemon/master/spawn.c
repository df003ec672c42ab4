/*
 * Starting a service: fork and exec with exactly the descriptors that it is meant to have. Run by the master.
 */
#include "spawn.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "str.h"

int
spawn_conf_fd(const char *text, size_t len, int *fd)
{
	if ((*fd = memfd_create("postern.conf", MFD_CLOEXEC | MFD_ALLOW_SEALING)) < 0)
		return ERR_SYSTEM;
	if (io_write_all(*fd, text, len) != ERR_OK ||
	    fcntl(*fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		io_close(fd);
		return ERR_SYSTEM;
	}
	return ERR_OK;
}

/* Beside this very program while developing, else where `make install` puts it. */
static int
find_program(const char *name, char path[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = 0;
		if (str_fmt(path, PATH_MAX, "%s/postern-%s", dirname(self), name) == ERR_OK && access(path, X_OK) == 0)
			return ERR_OK;
	}
	return str_fmt(path, PATH_MAX, "%s/postern-%s", LIBEXECDIR, name);
}

/* In the child: puts the two descriptors in their places without either overwriting the other. */
static int
place_descriptors(int control_fd, int conf_fd)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int high_control = fcntl(control_fd, F_DUPFD_CLOEXEC, 10), high_conf = fcntl(conf_fd, F_DUPFD_CLOEXEC, 10);

	if (null_fd < 0 || high_control < 0 || high_conf < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 ||
	    dup2(high_control, 3) < 0 || dup2(high_conf, 4) < 0)
		return ERR_SYSTEM;
	return close_range(5, ~0U, 0) == 0 ? ERR_OK : ERR_SYSTEM;
}

int
spawn_service(const char *name, const char *root, int control_fd, int conf_fd, pid_t *pid)
{
	char path[PATH_MAX], title[64];
	char *const empty[] = { NULL };
	sigset_t none;

	if (find_program(name, path) != ERR_OK || str_fmt(title, sizeof(title), "postern-%s", name) != ERR_OK)
		return ERR_SYSTEM;
	if ((*pid = fork()) < 0) {
		*pid = 0;
		return ERR_SYSTEM;
	}
	if (*pid != 0)
		return ERR_OK;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (place_descriptors(control_fd, conf_fd) != ERR_OK)
		_exit(EX_OSERR);
	if (root[0] != 0)
		execve(path, (char *const[]){ title, (char *)"--root", (char *)(size_t)root, NULL }, empty);
	else
		execve(path, (char *const[]){ title, NULL }, empty);
	_exit(EX_UNAVAILABLE);
}
