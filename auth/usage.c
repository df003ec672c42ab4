/*
 * What waits in the spool, by account. Part of postern-auth, told by postern-spool. Invariant: an account is here while the spool
 * has messages of it.
 */
#include "usage.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "str.h"

struct usage_account {
	struct usage_account	*next;		/* in its bucket */
	uint64_t		 messages, octets;
	char			 name[];
};

static bool
is_same(const char *a, const char *b)
{
	return str_is_equal_nocase(a, strlen(a), b, strlen(b));
}

static unsigned
bucket(const char *name)
{
	uint64_t h = 1469598103934665603ULL;	/* FNV-1a, without ASCII case */

	for (; *name != 0; name++)
		h = (h ^ (uint8_t)(*name | 0x20)) * 1099511628211ULL;
	return (unsigned)(h % USAGE_BUCKETS);
}

int
usage_set(struct usage *u, const char *account, uint64_t messages, uint64_t octets)
{
	struct usage_account **at = &u->buckets[bucket(account)], *one;

	while (*at != NULL && !is_same((*at)->name, account))
		at = &(*at)->next;
	one = *at;
	if (messages == 0) {
		if (one != NULL)
			*at = one->next;
		free(one);
		return ERR_OK;
	}
	if (one == NULL) {
		if ((one = calloc(1, sizeof(*one) + strlen(account) + 1)) == NULL)
			return ERR_NOMEM;
		memcpy(one->name, account, strlen(account) + 1);
		*at = one;
	}
	one->messages = messages;
	one->octets = octets;
	return ERR_OK;
}

void
usage_get(const struct usage *u, const char *account, uint64_t *messages, uint64_t *octets)
{
	const struct usage_account *one = u->buckets[bucket(account)];

	while (one != NULL && !is_same(one->name, account))
		one = one->next;
	*messages = one != NULL ? one->messages : 0;
	*octets = one != NULL ? one->octets : 0;
}

void
usage_clear(struct usage *u)
{
	for (size_t i = 0; i < USAGE_BUCKETS; i++) {
		struct usage_account *next;

		for (struct usage_account *one = u->buckets[i]; one != NULL; one = next) {
			next = one->next;
			free(one);
		}
		u->buckets[i] = NULL;
	}
}
