#ifndef SPOOL_RECOVER_H
#define SPOOL_RECOVER_H

#include <stddef.h>

struct spool_dirs;
struct spooler;

/* What a recovery has found. */
struct recovered {
	size_t	messages;	/* whole, in new, cur and hold */
	size_t	removed;	/* from tmp */
	size_t	set_aside;	/* to failed */
};

/*
 * Brings a spool into a legal state, whatever happened before (postern-spool(5), "States"): empties tmp/, sets aside in failed/
 * what is not whole or not ours, notes the ids and transactions that are there, what waits by account and what is to be delivered, and
 * syncs the folders. With the lock held.
 * ERR_SYSTEM, ERR_NOMEM: the spool can't be used.
 */
int	recover_spool(struct spooler *sp, struct recovered *r);

/*
 * A file that stands in two folders, as a move without renameat2(2) may leave it, stays in the later one only; the states of messages
 * that are nowhere are removed. ERR_SYSTEM, ERR_NOMEM.
 */
int	recover_strays(const struct spool_dirs *d);

#endif
