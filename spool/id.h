#ifndef SPOOL_ID_H
#define SPOOL_ID_H

#include <stdint.h>

#include "spool.h"

/* Where queue ids come from: never one that does not sort behind the last. */
struct id_source {
	uint64_t	last_us;	/* the time in the last id */
};

/* Tells of an id that was met in the spool, so that none before it is given again. */
void	id_note(struct id_source *s, const char *id);

/* The next id and its time, `now_us` or just behind the last. ERR_SYSTEM. */
int	id_next(struct id_source *s, uint64_t now_us, char id[SPOOL_ID_TEXT], uint64_t *us);

#endif
