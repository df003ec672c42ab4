#ifndef SPOOL_RECOVER_H
#define SPOOL_RECOVER_H

#include <stddef.h>

struct id_source;
struct outcomes;
struct spool_dirs;
struct waiting;

/* What a recovery has found. */
struct recovered {
	size_t	messages;	/* whole, in new, cur and hold */
	size_t	removed;	/* from tmp */
	size_t	set_aside;	/* to failed */
};

/*
 * Brings a spool into a legal state, whatever happened before (postern-spool(5), "States"): empties tmp/, sets aside in failed/
 * what is not whole or not ours, notes the ids and transactions that are there and what waits by account, and syncs the folders. With the lock held.
 * ERR_SYSTEM, ERR_NOMEM: the spool can't be used.
 */
int	recover_spool(const struct spool_dirs *d, struct id_source *ids, struct outcomes *outcomes, struct waiting *waiting, struct recovered *r);

#endif
