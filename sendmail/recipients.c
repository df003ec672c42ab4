/*
 * The recipients of a message. Run by postern-sendmail.
 */
#include "recipients.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"

int
recipients_add(struct recipients *r, const char *address)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->list[i], address) == 0)
			return ERR_OK;
	if (r->n == RECIPIENTS_MAX)
		return ERR_TOOBIG;
	if (r->n == r->size) {
		size_t size = r->size != 0 ? 2 * r->size : 16;
		char **list = realloc(r->list, size * sizeof(*list));

		if (list == NULL)
			return ERR_NOMEM;
		r->list = list;
		r->size = size;
	}
	if ((r->list[r->n] = strdup(address)) == NULL)
		return ERR_NOMEM;
	r->n++;
	return ERR_OK;
}

void
recipients_free(struct recipients *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->list[i]);
	free(r->list);
	*r = (struct recipients){ .n = 0 };
}
