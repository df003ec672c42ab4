#ifndef SPOOL_LOCK_H
#define SPOOL_LOCK_H

struct spool_dirs;

/*
 * Takes the spool's lock, the file "lock" in it, for as long as *fd stays open; waits up to wait_ms for who holds it. ERR_BUSY:
 * still held; ERR_DENIED: the file is none of ours; ERR_FULL, ERR_SYSTEM.
 */
int	lock_take(const struct spool_dirs *d, unsigned wait_ms, int *fd);

/*
 * The same, and what a crash has left in the journal is in its files before any of them is changed. For whoever changes a stopped spool.
 * What lock_take() and journal_recover() answer.
 */
int	lock_take_over(const struct spool_dirs *d, unsigned wait_ms, int *fd);

#endif
