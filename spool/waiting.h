#ifndef SPOOL_WAITING_H
#define SPOOL_WAITING_H

#include <stdint.h>

#include "ipc.h"

#define WAITING_BUCKETS 4096

struct waiting_account;

/* What waits in new/, cur/ and hold/ by account, and what of it auth is still to be told. Zero-initialise. */
struct waiting {
	struct waiting_account	*buckets[WAITING_BUCKETS];
	struct waiting_account	*untold;
};

/* A message more or less; names differ in more than ASCII case. ERR_NOMEM. */
int	waiting_add(struct waiting *w, const char *account, uint64_t octets);
void	waiting_subtract(struct waiting *w, const char *account, uint64_t octets);

/* An account that is to be told, or false. It stays so until waiting_told(). */
bool	waiting_next(const struct waiting *w, struct ipc_usage *u);
/* The one that waiting_next() gave was told. */
void	waiting_told(struct waiting *w);

/* A new auth knows nothing: all are to be told. */
void	waiting_forget_told(struct waiting *w);

#endif
