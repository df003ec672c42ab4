/*
 * The spool's lock: one process changes a spool at a time. Run by postern-spool while it starts, as the spool's user; for
 * smtpadm when the daemon is stopped. The kernel drops it with the process, however that ends.
 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "journal.h"
#include "spool.h"

#define POLL_MS 20

int
lock_take(const struct spool_dirs *d, unsigned wait_ms, int *fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	uint64_t end = io_now_ms() + wait_ms;
	struct stat st;

	*fd = openat(d->root_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	if (*fd < 0)
		return errno == ELOOP || errno == EACCES || errno == EISDIR ? ERR_DENIED : io_error();
	if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		io_close(fd);
		return ERR_DENIED;
	}
	while (fcntl(*fd, F_OFD_SETLK, &whole) != 0) {
		bool held = errno == EAGAIN || errno == EACCES;

		if (!held || io_now_ms() >= end) {
			io_close(fd);
			return held ? ERR_BUSY : ERR_SYSTEM;
		}
		usleep(POLL_MS * 1000);
	}
	return ERR_OK;
}

int
lock_take_over(const struct spool_dirs *d, unsigned wait_ms, int *fd)
{
	struct journal_recovered recovered;
	int err;

	if ((err = lock_take(d, wait_ms, fd)) == ERR_OK && (err = journal_recover(d, &recovered)) != ERR_OK)
		io_close(fd);
	return err;
}
