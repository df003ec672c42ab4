#ifndef SPOOL_CHANGE_H
#define SPOOL_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message_queue.h"
#include "spool.h"

/* One message file that an admin's change is about, and what became of it, which is only set. */
struct spool_change {
	char			file[SPOOL_NAME_MAX];	/* its name, in whichever folder it stands */
	int			err;		/* ERR_OK; ERR_NOTFOUND; ERR_DENIED: not in this state; ERR_CORRUPT; ERR_SYNTAX; ERR_SYSTEM, ERR_FULL */
	int			error;		/* errno of a failure */
	char			id[SPOOL_ID_TEXT];
	bool			is_moved;	/* it is in another folder now, or (QUEUE_REMOVE) nowhere; perhaps only until a crash */
	enum spool_folder	from, to;	/* where it was and is */
	char			*account;	/* malloc'd, the caller frees; NULL when its envelope could not be read */
	uint64_t		octets;		/* of the message */
};

/*
 * Does one change to many messages and brings it to stable storage. By postern-spool's commit threads, with the messages out of the
 * schedule, or by smtpadm as the spool's owner with the lock (lock.h) held. text: as in struct ipc_queue_change.
 */
void	spool_change(const struct spool_dirs *d, enum queue_change what, const char *text, struct spool_change *list, size_t n);

/* Whether a change makes sense for a message that is in this folder. */
bool	spool_change_fits(enum queue_change what, enum spool_folder f);

#endif
