/*
 * The trace's files: their names and times, and appending to them. Part of libpostern-spool; run by postern-spool's commit threads, and
 * by smtpadm with the lock held. Invariant: a line stands in its file whole or not at all.
 */
#include "trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "io.h"
#include "spool.h"
#include "str.h"

#define DAY_SECONDS 86400
#define LAST_DAY 2932896	/* of the year 9999 */

char *
trace_put_name(char to[TRACE_NAME], uint64_t day)
{
	char time[28];

	str_put_time(time, (day < LAST_DAY ? day : LAST_DAY) * DAY_SECONDS * 1000000ULL);
	memcpy(to, time, 10);
	to[10] = 0;
	return to;
}

int
trace_get_name(const char *name, uint64_t *day)
{
	struct tm tm = { .tm_isdst = 0 };
	char again[TRACE_NAME];
	time_t seconds;

	if (strlen(name) != 10 || sscanf(name, "%4d-%2d-%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday) != 3)
		return ERR_SYNTAX;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	if ((seconds = timegm(&tm)) < 0)
		return ERR_SYNTAX;
	*day = (uint64_t)seconds / DAY_SECONDS;
	return strcmp(trace_put_name(again, *day), name) == 0 ? ERR_OK : ERR_SYNTAX;
}

char *
trace_put_time(char *to, uint64_t us)
{
	/* Milliseconds: what is behind them helps nobody. */
	str_put_time(to, us);
	memcpy(to + 23, "Z", 2);
	return to;
}

/* A crash may have left half a line behind: the next one begins a line of its own. */
static void
end_last_line(int fd, off_t size)
{
	char last = '\n';

	if (size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n')
		(void)io_write_all(fd, "\n", 1);
}

int
trace_open_day(int folder_fd, uint64_t day, int *fd)
{
	char name[TRACE_NAME];
	struct stat st;

	trace_put_name(name, day);
	*fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (*fd < 0)
		return ERR_SYSTEM;
	if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		io_close(fd);
		return ERR_SYSTEM;
	}
	end_last_line(*fd, st.st_size);
	return ERR_OK;
}

int
trace_append_to(int fd, const struct buf *lines)
{
	struct stat st;
	int error;

	if (fstat(fd, &st) != 0)
		return ERR_SYSTEM;
	if (io_write_all(fd, lines->data, lines->len) == ERR_OK)
		return ERR_OK;
	error = errno;
	if (ftruncate(fd, st.st_size) != 0)
		end_last_line(fd, st.st_size);
	errno = error;
	return ERR_SYSTEM;
}

int
trace_append(const struct spool_dirs *d, const struct buf *lines)
{
	int folder, fd = -1, err = ERR_SYSTEM;

	if (mkdirat(d->root_fd, TRACE_FOLDER, 0700) != 0 && errno != EEXIST)
		return ERR_SYSTEM;
	folder = openat(d->root_fd, TRACE_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder >= 0 && trace_open_day(folder, io_now_us() / 1000000 / DAY_SECONDS, &fd) == ERR_OK)
		err = trace_append_to(fd, lines);
	io_close(&fd);
	io_close(&folder);
	return err;
}
