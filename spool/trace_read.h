#ifndef SPOOL_TRACE_READ_H
#define SPOOL_TRACE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log_line.h"
#include "spool.h"

/*
 * Reading the trace, whether the daemon runs or not. Part of libpostern-spool. A message is found by its queue id, or by a line of its
 * submission; then all its lines are, in the order in which they happened.
 */
#define TRACE_PAIRS_MAX 32

/* A line taken apart. Its strings are its own. */
struct trace_line {
	char		 time[28];		/* "2026-11-22T01:40:52.123Z" */
	char		 id[SPOOL_ID_TEXT];	/* "" for none */
	uint64_t	 session;		/* 0 for none */
	const char	*event;
	size_t		 npairs;		/* behind the event */
	struct {
		const char	*key, *value;
	}		 pairs[TRACE_PAIRS_MAX];
	char		 text[LOG_LINE_MAX + 1];
};

/* n octets without the line's end. ERR_SYNTAX: cut or damaged. Pure. */
int	trace_get_line(const char *p, size_t n, struct trace_line *l);
/* A time that stands as a value, in microseconds since 1970. ERR_CORRUPT. */
int	trace_get_time(const char *text, uint64_t *us);
/* A pair's value, NULL when there is none. */
const char *trace_value(const struct trace_line *l, const char *key);
/* The time of a line, microseconds since 1970; 0: not well-formed. */
uint64_t trace_time(const struct trace_line *l);

/* What is looked for: one of the first four. Globs ignore case. */
struct trace_query {
	const char	*id;
	const char	*message_id;	/* with or without its brackets */
	const char	*to;		/* a glob */
	const char	*account;	/* a glob */
	uint64_t	 since_us;	/* 0: all that is kept */
	size_t		 limit;		/* only the last so many messages */
};

/* The lines of one message, in order; of one that was refused without an id, those of its session. */
struct trace_life {
	char		 id[SPOOL_ID_TEXT];
	uint64_t	 session;
	uint64_t	 day;			/* and where in its file it was met first */
	size_t		 at;
	struct trace_span {
		const char	*p;	/* a line without its end, in a file that is mapped */
		size_t		 n;
	}		*lines;
	size_t		 n, room;
};

struct trace_files;

struct trace_found {
	struct trace_files	*files;
	struct trace_life	*lives;		/* in the order in which they began */
	size_t			 n, room;
	bool			 is_cut;	/* there were more than the limit */
};

/* Finds the lives of messages. ERR_OK also when there is none; ERR_NOTFOUND: there is no trace at all; ERR_SYSTEM, ERR_NOMEM. */
int	trace_find(const struct spool_dirs *d, const struct trace_query *q, struct trace_found *found);
/* Reads what was written since: only the new lines are in each life then, new lives are added behind. The old lines are gone. */
int	trace_find_new(const struct spool_dirs *d, const struct trace_query *q, struct trace_found *found);
void	trace_found_free(struct trace_found *found);

#endif
