#ifndef MASTER_WATCH_H
#define MASTER_WATCH_H

#include <stdint.h>

struct master;

/* What is known of the files of certificates and keys; numbers of setup_files(), 0 for none. */
struct watch {
	uint64_t	seen;		/* a change that may not be over yet */
	uint64_t	tried;		/* a change that was refused */
	uint64_t	next_ms;	/* when to look again */
	uint64_t	expiry_ms;	/* when to look for certificates that expire */
};

/*
 * Looks at the files when it is time: a change that has settled is loaded as HUP would do; one that can't be loaded is tried once,
 * and again when the files change again, as at the end of a renewal. Once a day warns of certificates that expire.
 * Called every round; returns the milliseconds until it wants to be called again, -1 for never.
 */
int	watch_tick(struct master *m, uint64_t now_ms);

/* Lets the next round look, and try what it finds even if it was refused before. */
void	watch_soon(struct master *m);

/* Warns now of certificates in force that expire soon or have expired; then a day later. */
void	watch_expiry(struct master *m);

#endif
