#ifndef SPOOL_TRACE_DAYS_H
#define SPOOL_TRACE_DAYS_H

#include <stddef.h>
#include <stdint.h>

struct spool_dirs;

/* A file of the trace. */
struct trace_day {
	uint64_t	 day;		/* since 1970 */
	char		*p;		/* what is mapped of it, or NULL */
	size_t		 n, from;	/* lines before `from` were read already */
};

/* By their age. Zero-initialise. */
struct trace_days {
	struct trace_day	*list;
	size_t			 n, room;
};

/* Maps the days from one on, those of before anew as far as they have grown. ERR_NOTFOUND: there is no trace; ERR_DENIED, ERR_SYSTEM, ERR_NOMEM. */
int	trace_days_read(struct trace_days *f, const struct spool_dirs *d, uint64_t from);
void	trace_days_free(struct trace_days *f);

#endif
