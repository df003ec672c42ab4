/*
 * Queue ids: time and chance. Run by postern-spool only. Invariant: ids grow, also over a restart and when the clock is put back.
 */
#include "id.h"

#include <string.h>
#include <sys/random.h>

#include "err.h"
#include "name.h"

/* A file may bear any name: one far in the future must not use up the ids that are left. */
#define LATEST_BELIEVED (1ULL << 55)	/* the year 3111 */

void
id_note(struct id_source *s, const char *id)
{
	uint64_t us;

	if (name_get_id(id, strlen(id), &us) == ERR_OK && us > s->last_us && us < LATEST_BELIEVED)
		s->last_us = us;
}

int
id_next(struct id_source *s, uint64_t now_us, char id[SPOOL_ID_TEXT], uint64_t *us)
{
	uint32_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return ERR_SYSTEM;
	s->last_us = now_us > s->last_us ? now_us : s->last_us + 1;
	*us = s->last_us;
	name_put_id(id, s->last_us, random);
	return ERR_OK;
}
