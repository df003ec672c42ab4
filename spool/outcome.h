#ifndef SPOOL_OUTCOME_H
#define SPOOL_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "spool.h"

#define OUTCOME_KEPT_MS (15 * 60 * 1000)	/* longer than any worker waits to ask */
#define OUTCOME_BUCKETS 4096

struct outcome {
	struct outcome	*next;		/* in its bucket */
	struct outcome	*younger;	/* in the order of age */
	uint64_t	 session;
	uint64_t	 noted_ms;
	uint32_t	 t;
	bool		 stored;
	char		 id[SPOOL_ID_TEXT];
};

/* What became of transactions whose worker may not know it. Zero-initialise. */
struct outcomes {
	struct outcome	*buckets[OUTCOME_BUCKETS];
	struct outcome	*oldest, *youngest;
};

/* Notes one; id "" unless stored. ERR_NOMEM. */
int	outcome_note(struct outcomes *o, uint64_t session, uint32_t t, bool stored, const char *id, uint64_t now_ms);

/* NULL: nothing is known, so it is not stored. */
const struct outcome *outcome_find(const struct outcomes *o, uint64_t session, uint32_t t);

/* Forgets what is old. */
void	outcome_expire(struct outcomes *o, uint64_t now_ms);

#endif
