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

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return io_error();
	err = io_read_all(fd, b);
	io_close(&fd);
	return err;
}

static int
sync_folder_of(const char *path)
{
	char copy[PATH_MAX];
	int fd, err = ERR_OK;

	if ((err = str_fmt(copy, sizeof(copy), "%s", path)) != ERR_OK)
		return err;
	if ((fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return ERR_SYSTEM;
	if (fsync(fd) != 0)
		err = io_error();
	io_close(&fd);
	return err;
}

int
io_replace_file(const char *path, const void *p, size_t n, mode_t mode)
{
	char temporary[PATH_MAX];
	int fd, err;

	if ((err = str_fmt(temporary, sizeof(temporary), "%s.new", path)) != ERR_OK)
		return err;
	if (unlink(temporary) != 0 && errno != ENOENT)
		return io_error();
	if ((fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)) < 0)
		return io_error();
	if ((err = io_write_all(fd, p, n)) == ERR_OK && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
		err = io_error();
	io_close(&fd);
	if (err == ERR_OK && rename(temporary, path) != 0)
		err = io_error();
	if (err != ERR_OK) {
		int saved = errno;

		unlink(temporary);
		errno = saved;
		return err;
	}
	return sync_folder_of(path);
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
