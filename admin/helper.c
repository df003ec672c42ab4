/*
 * Other programs that smtpadm starts for a moment: systemctl, and itself for a command that gives up rights. Runs with the admin's
 * rights. Invariant: no wait is without an end, and no child is left behind.
 */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "io.h"

#define STEP_US 20000
#define GRACE_MS 2000	/* between SIGTERM and SIGKILL */

extern char **environ;

/* Whether it has ended by then. */
static bool
has_ended(pid_t pid, uint64_t deadline_ms, int *status)
{
	for (;;) {
		pid_t found = waitpid(pid, status, WNOHANG);

		if (found == pid || (found < 0 && errno != EINTR))
			return true;
		if (io_now_ms() >= deadline_ms)
			return false;
		usleep(STEP_US);
	}
}

static int
wait_for(pid_t pid, unsigned seconds, int *status)
{
	int raw = 0, err = ERR_OK;

	if (!has_ended(pid, io_now_ms() + seconds * 1000ULL, &raw)) {
		err = ERR_TIMEOUT;
		kill(pid, SIGTERM);
		if (!has_ended(pid, io_now_ms() + GRACE_MS, &raw)) {
			kill(pid, SIGKILL);
			while (waitpid(pid, &raw, 0) < 0 && errno == EINTR)
				continue;
		}
	}
	*status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + (WIFSIGNALED(raw) ? WTERMSIG(raw) : 0);
	return err;
}

static int
read_back(int fd, struct buf *b)
{
	int err = lseek(fd, 0, SEEK_SET) == 0 ? io_read_all(fd, b) : ERR_SYSTEM;

	return err == ERR_OK ? buf_put_nul(b) : err;
}

int
helper_run(const char *path, const char *const *argv, unsigned seconds, struct buf *out, struct buf *err, int *status)
{
	int out_fd = memfd_create("output", MFD_CLOEXEC), err_fd = memfd_create("errors", MFD_CLOEXEC), result = ERR_SYSTEM;
	posix_spawn_file_actions_t actions;
	pid_t pid;

	if (out_fd < 0 || err_fd < 0 || posix_spawn_file_actions_init(&actions) != 0)
		goto out;
	if (posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) == 0 &&
	    posix_spawn_file_actions_adddup2(&actions, out_fd, 1) == 0 && posix_spawn_file_actions_adddup2(&actions, err_fd, 2) == 0)
		result = posix_spawn(&pid, path, &actions, NULL, (char *const *)(uintptr_t)argv, environ) == 0 ? ERR_OK : ERR_NOTFOUND;
	posix_spawn_file_actions_destroy(&actions);
	if (result == ERR_OK) {
		int first = wait_for(pid, seconds, status);

		if ((result = read_back(out_fd, out)) == ERR_OK)
			result = read_back(err_fd, err);
		if (first != ERR_OK)
			result = first;
	}
out:
	io_close(&out_fd);
	io_close(&err_fd);
	return result;
}
