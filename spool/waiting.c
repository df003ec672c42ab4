/*
 * How many messages and octets of each account wait in the spool. Run by postern-spool's loop, filled by its recovery. Invariant: an
 * account is here while it has messages, or while auth believes so.
 */
#include "waiting.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "str.h"

struct waiting_account {
	struct waiting_account	*next;		/* in its bucket */
	struct waiting_account	*next_untold;
	bool			 is_untold;
	uint64_t		 messages, octets;
	char			 name[];
};

static struct waiting_account **
find(struct waiting *w, const char *account)
{
	uint64_t h = 1469598103934665603ULL;	/* FNV-1a, without ASCII case */
	struct waiting_account **at;

	for (const char *p = account; *p != 0; p++)
		h = (h ^ (uint8_t)(*p | 0x20)) * 1099511628211ULL;
	at = &w->buckets[h % WAITING_BUCKETS];
	while (*at != NULL && !str_is_equal_nocase((*at)->name, strlen((*at)->name), account, strlen(account)))
		at = &(*at)->next;
	return at;
}

static void
note(struct waiting *w, struct waiting_account *one)
{
	if (one->is_untold)
		return;
	one->is_untold = true;
	one->next_untold = w->untold;
	w->untold = one;
}

int
waiting_add(struct waiting *w, const char *account, uint64_t octets)
{
	struct waiting_account **at = find(w, account);

	if (*at == NULL) {
		if ((*at = calloc(1, sizeof(**at) + strlen(account) + 1)) == NULL)
			return ERR_NOMEM;
		memcpy((*at)->name, account, strlen(account) + 1);
	}
	(*at)->messages++;
	(*at)->octets += octets;
	note(w, *at);
	return ERR_OK;
}

void
waiting_subtract(struct waiting *w, const char *account, uint64_t octets)
{
	struct waiting_account *one = *find(w, account);

	if (one == NULL || one->messages == 0)
		return;
	one->messages--;
	one->octets -= octets < one->octets ? octets : one->octets;
	if (one->messages == 0)
		one->octets = 0;
	note(w, one);
}

bool
waiting_next(const struct waiting *w, struct ipc_usage *u)
{
	const struct waiting_account *one = w->untold;

	if (one == NULL)
		return false;
	*u = (struct ipc_usage){ .messages = one->messages, .octets = one->octets };
	/* A name from a file of the spool may be longer than any that auth knows. */
	if (strlen(one->name) < sizeof(u->account))
		memcpy(u->account, one->name, strlen(one->name));
	return true;
}

void
waiting_told(struct waiting *w)
{
	struct waiting_account *one = w->untold, **at;

	w->untold = one->next_untold;
	one->is_untold = false;
	if (one->messages != 0)
		return;
	at = find(w, one->name);
	*at = one->next;
	free(one);
}

void
waiting_forget_told(struct waiting *w)
{
	for (size_t i = 0; i < WAITING_BUCKETS; i++)
		for (struct waiting_account *one = w->buckets[i]; one != NULL; one = one->next)
			note(w, one);
}
