/*
 * The files of the trace, mapped for reading. Part of libpostern-spool; run by smtpadm as the spool's owner. Invariant: no link is
 * followed, and nothing is written.
 */
#include "trace_days.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "spool.h"
#include "trace_file.h"

static int
compare_days(const void *a, const void *b)
{
	const struct trace_day *x = a, *y = b;

	return (x->day > y->day) - (x->day < y->day);
}

static int
add_day(struct trace_days *f, uint64_t day)
{
	if (f->n == f->room) {
		size_t room = f->room != 0 ? 2 * f->room : 64;
		struct trace_day *list = realloc(f->list, room * sizeof(*list));

		if (list == NULL)
			return ERR_NOMEM;
		f->list = list;
		f->room = room;
	}
	f->list[f->n++] = (struct trace_day){ .day = day };
	return ERR_OK;
}

static bool
has_day(const struct trace_days *f, uint64_t day)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->list[i].day == day)
			return true;
	return false;
}

/* The days from one on of which there is a file. */
static int
list_days(struct trace_days *f, int folder, uint64_t from)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = ERR_OK;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	uint64_t day;

	if (dir == NULL) {
		io_close(&fd);
		return ERR_SYSTEM;
	}
	while (err == ERR_OK && (e = readdir(dir)) != NULL)
		if (trace_get_name(e->d_name, &day) == ERR_OK && day >= from && !has_day(f, day))
			err = add_day(f, day);
	closedir(dir);
	if (f->n != 0)
		qsort(f->list, f->n, sizeof(f->list[0]), compare_days);
	return err;
}

/* Maps a day anew as far as it has whole lines; what was mapped before goes. */
static int
map_day(struct trace_day *d, int folder)
{
	char name[TRACE_NAME];
	struct stat st;
	int fd;

	if (d->p != NULL)
		munmap(d->p, d->n);
	d->p = NULL;
	d->n = 0;
	fd = openat(folder, trace_put_name(name, d->day), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	/* One that has just been removed for its age is no error. */
	if (fd < 0)
		return errno == ENOENT ? ERR_OK : errno == EACCES ? ERR_DENIED : ERR_SYSTEM;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		d->p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (d->p == MAP_FAILED)
			d->p = NULL;
		else
			d->n = (size_t)st.st_size;
	}
	io_close(&fd);
	return ERR_OK;
}

int
trace_days_read(struct trace_days *f, const struct spool_dirs *d, uint64_t from)
{
	int folder = openat(d->root_fd, TRACE_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), err;

	if (folder < 0)
		return errno == ENOENT ? ERR_NOTFOUND : errno == EACCES ? ERR_DENIED : ERR_SYSTEM;
	err = list_days(f, folder, from);
	for (size_t i = 0; i < f->n && err == ERR_OK; i++)
		err = map_day(&f->list[i], folder);
	io_close(&folder);
	return err;
}

void
trace_days_free(struct trace_days *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->list[i].p != NULL)
			munmap(f->list[i].p, f->list[i].n);
	free(f->list);
	*f = (struct trace_days){ .n = 0 };
}
