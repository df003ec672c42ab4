#ifndef AUTH_USAGE_H
#define AUTH_USAGE_H

#include <stdint.h>

#define USAGE_BUCKETS 1024

struct usage_account;

/* How many messages and octets of each account wait in the spool, as the spool said last. */
struct usage {
	struct usage_account	*buckets[USAGE_BUCKETS];
};

/* Notes what an account has waiting; 0 messages forgets it. ERR_NOMEM. */
int	usage_set(struct usage *u, const char *account, uint64_t messages, uint64_t octets);

/* Both 0 for an account that was never spoken of. */
void	usage_get(const struct usage *u, const char *account, uint64_t *messages, uint64_t *octets);

/* Forgets all: a new spool tells everything anew. */
void	usage_clear(struct usage *u);

#endif
