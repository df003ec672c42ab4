/*
 * Moments to come, in their order. Part of postern-auth's loop; knows nothing of sessions. Nearly all
 * are set for a fixed time from now, so the place of a new one is near the end.
 */
#include "deadlines.h"

#include <stddef.h>

void
deadlines_init(struct deadlines *d)
{
	TAILQ_INIT(d);
}

void
deadline_set(struct deadlines *d, struct deadline *one, uint64_t at)
{
	struct deadline *before;

	deadline_clear(d, one);
	before = TAILQ_LAST(d, deadlines);
	one->at = at != 0 ? at : 1;
	while (before != NULL && before->at > one->at)
		before = TAILQ_PREV(before, deadlines, entry);
	if (before != NULL)
		TAILQ_INSERT_AFTER(d, before, one, entry);
	else
		TAILQ_INSERT_HEAD(d, one, entry);
}

void
deadline_clear(struct deadlines *d, struct deadline *one)
{
	if (one->at == 0)
		return;
	TAILQ_REMOVE(d, one, entry);
	one->at = 0;
}

int
deadlines_wait(const struct deadlines *d, uint64_t now, int max)
{
	const struct deadline *first = TAILQ_FIRST(d);

	if (first == NULL || first->at >= now + (uint64_t)max)
		return max;
	return first->at <= now ? 0 : (int)(first->at - now);
}

void
deadlines_run(struct deadlines *d, uint64_t now)
{
	struct deadline *first;

	while ((first = TAILQ_FIRST(d)) != NULL && first->at <= now) {
		deadline_clear(d, first);
		first->pass(first->owner);
	}
}
