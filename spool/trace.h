#ifndef SPOOL_TRACE_H
#define SPOOL_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "pool.h"
#include "spool.h"

struct spooler;

/*
 * The trace: what became of each message, a line an event, in files by day (trace/2026-11-22, UTC), postern-spool(5). Written by
 * postern-spool only, by its loop, through a commit thread; lines that find no room are counted and forgotten: mail goes on.
 *
 * A line has the pairs time, id, session and event, and those that belong to the event:
 *
 *   session     peer listener tls                    of the session that brought the message, no id
 *   login       account credential mechanism         no id
 *   accepted    account credential sender size recipients message_id
 *   recipient   to [notify]                          one for each of an accepted or refused message
 *   refused     account credential sender size recipients reason
 *   unsigned    domain reason                        no DKIM signature was made
 *   signed      domain selectors
 *   delivered   to route host address tls code enhanced reply stage
 *   deferred    the same, and next (a time): will be tried again
 *   failed      the same: given up for good
 *   expired     to tries                             given up because it took too long
 *   reported    kind report (the id of the report)   kind: failure, delay, success
 *   unreported  to reason                            nobody is told, and why
 *   held released retried bounced rerouted removed   by (a uid) and reason, route: what an admin did
 *   done        tries                                it has left the queue
 */

/* The writing half, a part of struct spooler. */
struct trace {
	int		folder_fd, fd;		/* -1: not open */
	uint64_t	day;			/* since 1970, of the open file */
	uint64_t	dropped;		/* lines that were not written since the last one that was */
	struct buf	pending, writing;
	struct job	job;			/* has all but pending and dropped while it is under way */
	uint64_t	days_kept;		/* for the job */
	uint64_t	flush_ms;		/* no writing before, unless much waits */
	int		error;			/* errno of a job that failed */
	bool		is_failing;		/* the last one did */
};

/* Opens the folder, as the spool's user. ERR_SYSTEM. */
int	trace_open(struct spooler *sp);

/*
 * Notes an event of a message (id NULL or "": none) and a session (0: none). Pairs of const char * key, value and a final NULL, as
 * log_event(): a pair whose value is NULL is skipped, values may be foreign.
 */
void	trace_event(struct spooler *sp, const char *id, uint64_t session, const char *event, ...) __attribute__((sentinel));
/* The same at another time, microseconds since 1970. */
void	trace_event_at(struct spooler *sp, uint64_t us, const char *id, uint64_t session, const char *event, ...)
	    __attribute__((sentinel));

/* After each round of the loop: gives what gathered to a commit thread, unless one is at it. */
void	trace_flush(struct spooler *sp);
/* How long the loop may sleep, at most wait_ms, before trace_flush() is to be called. */
int	trace_wait_ms(const struct spooler *sp, uint64_t now_ms, int wait_ms);
/* In that thread; then in the loop. */
void	trace_perform(struct spooler *sp);
void	trace_finish(struct spooler *sp);
/* Every second: removes the files that are too old, once a day. */
void	trace_tick(struct spooler *sp);
/* Whether all is written, or can't be: the program may end. */
bool	trace_is_idle(const struct spooler *sp);

#endif
