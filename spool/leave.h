#ifndef SPOOL_LEAVE_H
#define SPOOL_LEAVE_H

#include <stdbool.h>

#include "pool.h"

struct active;
struct spooler;

/* Messages that are done with and go: all that wait are removed together, with one sync of a folder. */
struct leaving {
	struct job	 job;
	struct active	*waiting, *batch;
	int		 err, error;	/* of a sync */
};

/* active_left() or active_stayed() follows. */
void	leave_add(struct spooler *sp, struct active *a);
/* Begins with those that wait, unless a thread is at it. */
void	leave_run(struct spooler *sp);

#endif
