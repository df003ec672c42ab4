/*
 * What became of a transaction whose worker did not hear it: because this service was started again, or because the worker's
 * socket went away. Run by postern-spool's loop. Invariant: what is stored says so until it is too old to be asked for.
 */
#include "outcome.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"

static struct outcome **
bucket(struct outcomes *o, uint64_t session, uint32_t t)
{
	uint64_t mixed = (session ^ t) * 0x9e3779b97f4a7c15ULL;

	return &o->buckets[mixed >> 52];
}

int
outcome_note(struct outcomes *o, uint64_t session, uint32_t t, bool stored, const char *id, uint64_t now_ms)
{
	struct outcome **b = bucket(o, session, t), *n = malloc(sizeof(*n));

	if (n == NULL)
		return ERR_NOMEM;
	*n = (struct outcome){ .next = *b, .session = session, .t = t, .stored = stored, .noted_ms = now_ms };
	memcpy(n->id, id, strlen(id) + 1);
	*b = n;
	if (o->youngest != NULL)
		o->youngest->younger = n;
	else
		o->oldest = n;
	o->youngest = n;
	return ERR_OK;
}

const struct outcome *
outcome_find(const struct outcomes *o, uint64_t session, uint32_t t)
{
	const struct outcome *n = *bucket((struct outcomes *)o, session, t);

	while (n != NULL && (n->session != session || n->t != t))
		n = n->next;
	return n;
}

void
outcome_expire(struct outcomes *o, uint64_t now_ms)
{
	while (o->oldest != NULL && now_ms - o->oldest->noted_ms > OUTCOME_KEPT_MS) {
		struct outcome *n = o->oldest, **at = bucket(o, n->session, n->t);

		while (*at != n)
			at = &(*at)->next;
		*at = n->next;
		o->oldest = n->younger;
		if (o->oldest == NULL)
			o->youngest = NULL;
		free(n);
	}
}
