/*
 * Time, whole reads and writes, and the replacing of a file. Runs everywhere, with the rights of its caller.
 */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "str.h"

uint64_t
io_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t
io_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int
io_error(void)
{
	if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
		return ERR_FULL;
	return errno == ENOENT ? ERR_NOTFOUND : ERR_SYSTEM;
}

int
io_write_all(int fd, const void *p, size_t n)
{
	const char *c = p;

	while (n != 0) {
		ssize_t done = write(fd, c, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return io_error();
		c += done;
		n -= (size_t)done;
	}
	return ERR_OK;
}

int
io_pwrite_all(int fd, const void *p, size_t n, off_t offset)
{
	const char *c = p;

	while (n != 0) {
		ssize_t done = pwrite(fd, c, n, offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return io_error();
		c += done;
		n -= (size_t)done;
		offset += done;
	}
	return ERR_OK;
}

int
io_read_all(int fd, struct buf *b)
{
	char chunk[4096];

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));
		int err;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_SYSTEM;
		if (n == 0)
			return ERR_OK;
		if ((err = buf_put(b, chunk, (size_t)n)) != ERR_OK)
			return err;
	}
}

int
io_read_file(const char *path, struct buf *b)
{
	int fd, err;

	/* A FIFO in its place, say, has nothing to read and is not waited for. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)) < 0)
		return io_error();
	err = io_read_all(fd, b);
	io_close(&fd);
	return err;
}

int
io_replace_at(int folder_fd, const char *name, const void *p, size_t n, mode_t mode, uid_t uid, gid_t gid)
{
	char temporary[NAME_MAX + 1];
	int fd, err;

	if ((err = str_fmt(temporary, sizeof(temporary), "%s.new", name)) != ERR_OK)
		return err;
	if (unlinkat(folder_fd, temporary, 0) != 0 && errno != ENOENT)
		return io_error();
	if ((fd = openat(folder_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)) < 0)
		return io_error();
	if ((err = io_write_all(fd, p, n)) == ERR_OK &&
	    ((uid != (uid_t)-1 && fchown(fd, uid, gid) != 0) || fchmod(fd, mode) != 0 || fsync(fd) != 0))
		err = io_error();
	io_close(&fd);
	if (err == ERR_OK && renameat(folder_fd, temporary, folder_fd, name) != 0)
		err = io_error();
	if (err != ERR_OK) {
		int saved = errno;

		unlinkat(folder_fd, temporary, 0);
		errno = saved;
		return err;
	}
	return fsync(folder_fd) == 0 ? ERR_OK : io_error();
}

int
io_replace_file(const char *path, const void *p, size_t n, mode_t mode)
{
	char folder[PATH_MAX], name[PATH_MAX];
	int fd, err;

	if ((err = str_fmt(folder, sizeof(folder), "%s", path)) != ERR_OK ||
	    (err = str_fmt(name, sizeof(name), "%s", path)) != ERR_OK)
		return err;
	if ((fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return io_error();
	err = io_replace_at(fd, basename(name), p, n, mode, (uid_t)-1, (gid_t)-1);
	io_close(&fd);
	return err;
}

void
io_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int
io_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return ERR_SYSTEM;
	return ERR_OK;
}
