#ifndef SPOOL_QUEUE_H
#define SPOOL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "destination.h"
#include "schedule.h"
#include "spool.h"

struct active;
struct conf;
struct spooler;

/*
 * The messages that delivery has to do with: those of new/ and cur/. Of each little is in memory: its file's name and when which
 * destination's turn comes; its envelope and state are read when it is its turn. Run by postern-spool's loop only.
 */
struct queue_entry {
	struct queue_entry	*next;		/* in its bucket */
	struct queue_entry	*older, *younger;	/* in the row of those that are to be routed */
	struct part		*parts;
	struct active		*active;	/* what was read of it, while something is being done with it; else NULL */
	int64_t			 born_ms;	/* its arrival by the steady clock; may be negative */
	uint32_t		 generation;	/* of the routes that its parts were made by; 0: none yet */
	bool			 is_unrouted;	/* in that row */
	bool			 is_in_cur;	/* where it was seen last */
	bool			 is_moved;	/* renamed to cur/, and new/ has not been synced since */
	bool			 is_hurried;	/* smtpadm queue retry, before it was read */
	bool			 is_given_up;	/* smtpadm queue bounce: it needs no route */
	char			 file[];
};

struct queue {
	struct queue_entry	**buckets;	/* by id */
	size_t			 nbuckets, nentries;
	struct queue_entry	*oldest, *youngest;	/* the row of those that are to be routed */
	struct destinations	 destinations;
	struct schedule		 schedule;
	uint32_t		 generation;	/* of the routes in force */
	unsigned		 reading;	/* messages being read */
	uint64_t		 rest_until_ms;	/* nothing is read to be routed before: it did not work */
	bool			 is_paused;	/* smtpadm pause delivery */
};

/* ERR_NOMEM. */
int	queue_init(struct spooler *sp);

/* All that were there at the start have been added: the oldest come first. ERR_NOMEM. */
int	queue_sort(struct spooler *sp);

/* A message that stands in new/ (or, if it is not there, in cur/): it will be scheduled. One that is there already stays. ERR_NOMEM, ERR_SYNTAX. */
int	queue_add(struct spooler *sp, const char *file, bool is_in_cur);

/* NULL: not in the schedule. */
struct queue_entry *queue_find(const struct queue *q, const char *id);
/* Its id is in its file's name. */
void	queue_get_id(const struct queue_entry *e, char id[SPOOL_ID_TEXT]);

/* Takes it out and frees it; nothing is being done with it. */
void	queue_forget(struct spooler *sp, struct queue_entry *e);

/* Where it goes is to be found out anew; rest_until_ms, unless 0: not before, and nothing else either. */
void	queue_unroute(struct spooler *sp, struct queue_entry *e, uint64_t rest_until_ms);

/*
 * For an admin's changes (`file` is a message file's name; only the id in it counts).
 *
 * queue_take_out: takes a message out of the schedule, so that nothing touches its files until queue_put_back(). ERR_BUSY: a delivery of
 * it is under way, or its results are being written; ERR_NOTFOUND: it is not in the schedule (hold/, failed/, being stored, or
 * none at all): then there is nothing to put back if it stays where it is.
 *
 * queue_put_back: reads it again from the disk (new/, then cur/; if it is in neither it is forgotten) with its state, and schedules
 * it. Also right for one that has come from hold/ or failed/. ERR_NOMEM: it waits for the next start.
 *
 * queue_retry: everything of it that waits is due now, and the back-off of its destinations is cleared. ERR_NOTFOUND.
 *
 * queue_give_up: after queue_put_back(), of one whose recipients are all settled: it comes first, and also where there is no route.
 *
 * queue_pause: nothing is given out any more; what is under way is finished.
 */
int	queue_take_out(struct spooler *sp, const char *file);
int	queue_put_back(struct spooler *sp, const char *file);
int	queue_retry(struct spooler *sp, const char *file);
void	queue_give_up(struct spooler *sp, const char *file);
void	queue_pause(struct spooler *sp, bool paused);

/* The configuration has changed: what waits is routed anew if the routes have. */
void	queue_reload(struct spooler *sp, const struct conf *old);

/* Every second, and after each round: gives out what may be given out. Returns the milliseconds until it wants to be called, at most wait_ms. */
int	queue_run(struct spooler *sp, uint64_t now_ms, int wait_ms);

/* The master has gone: whether nothing is under way any more. */
bool	queue_is_quiet(const struct spooler *sp);

#endif
