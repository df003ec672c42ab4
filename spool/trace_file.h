#ifndef SPOOL_TRACE_FILE_H
#define SPOOL_TRACE_FILE_H

#include <stdint.h>

struct buf;
struct spool_dirs;

/* The names and the form of the trace's files, postern-spool(5); for who writes and who reads them. */
#define TRACE_FOLDER "trace"	/* in the spool */
#define TRACE_NAME 16		/* "2026-11-22" with NUL, and room for years to come */

/* The name of the file of a day, counted from 1970; returns to. */
char	*trace_put_name(char to[TRACE_NAME], uint64_t day);
/* ERR_SYNTAX: none of ours. */
int	trace_get_name(const char *name, uint64_t *day);

/* "2026-11-22T01:40:52.123Z", UTC; to holds 28 octets; returns to. */
char	*trace_put_time(char *to, uint64_t us);

/* Opens the file of a day for appending, in the open folder. ERR_SYSTEM, with errno. */
int	trace_open_day(int folder_fd, uint64_t day, int *fd);
/* Appends whole lines: all of them, or none. ERR_SYSTEM, with errno. */
int	trace_append_to(int fd, const struct buf *lines);
/* The same to today's file of a spool; by who holds the spool's lock. */
int	trace_append(const struct spool_dirs *d, const struct buf *lines);

#endif
