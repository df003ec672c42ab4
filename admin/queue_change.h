#ifndef ADMIN_QUEUE_CHANGE_H
#define ADMIN_QUEUE_CHANGE_H

#include <stddef.h>

#include "admin.h"
#include "message_queue.h"

#define QUEUE_HELD_FOR_CONTAIN "account contained"	/* why account contain holds messages: by that restore knows them */

/*
 * Does a change to all messages of an account, as smtpadm queue does it: by the daemon, or with the spool's lock. text: as in struct
 * ipc_queue_change. held_for: only those that are held for this reason; "": that are not held; NULL: all. *n is set to how many were
 * changed; none is no error.
 * Root becomes the spool's owner in it for good: it is the last thing that a command does. Exit code; what is wrong was said.
 */
int	queue_change_account(const struct admin *a, enum queue_change change, const char *text, const char *account, const char *held_for,
	    size_t *n);

#endif
