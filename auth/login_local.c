/*
 * Logins on the local socket: the kernel has told the master whose process the client is, so there is no password to be
 * checked. Part of postern-auth. Invariant: the user comes from SESSION, never from a worker.
 */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "login.h"
#include "session.h"
#include "str.h"

int
login_local_identify(struct session *s)
{
	struct login *l = s->login;
	int err;

	if ((l->credentials = calloc(1, sizeof(*l->credentials))) == NULL)
		return ERR_NOMEM;
	err = registry_find_local(s->auth->registry, netaddr_user(&s->peer), &l->account, &l->credentials[0]);
	l->ncredentials = err == ERR_OK;
	l->reason = err == ERR_NOTFOUND ? "unknown" : "disabled_or_expired";
	return err == ERR_NOTFOUND || err == ERR_DENIED ? ERR_OK : err;
}

/* The first of each rank: the account's name, an address, a pattern. */
struct choice {
	const char	*account;
	char		 patterns[3][REGISTRY_PATTERN_MAX];
};

static int
consider(const char *pattern, void *arg)
{
	struct choice *c = arg;
	size_t n = strlen(pattern), rank = strchr(pattern, '*') != NULL ? 2 : 1;

	if (str_is_equal_nocase(pattern, n, c->account, strlen(c->account)))
		rank = 0;
	/* The null sender is nobody's own; what is not ASCII can't be said in a reply. */
	for (size_t i = 0; i < n; i++)
		if (pattern[i] < '!' || pattern[i] > '~')
			return 0;
	if (strcmp(pattern, "<>") != 0 && c->patterns[rank][0] == 0)
		str_copy(c->patterns[rank], sizeof(c->patterns[rank]), pattern, n);
	return 0;
}

static int
consider_sender(const struct registry_sender *sender, void *arg)
{
	return consider(sender->pattern, arg);
}

void
login_local_sender(struct session *s, char *to, size_t size)
{
	struct choice c = { .account = s->name };
	struct registry *r = s->auth->registry;
	const char *best;
	struct addr a;

	to[0] = 0;
	if (s->scoped[SCOPE_SENDER])
		registry_walk_scope(r, s->credential, SCOPE_SENDER, consider, &c);
	else
		registry_walk_senders(r, s->account, consider_sender, &c);
	best = c.patterns[0][0] != 0 ? c.patterns[0] : c.patterns[1][0] != 0 ? c.patterns[1] : c.patterns[2];
	/* A scope may name what the account itself may not use. */
	if (addr_parse(&a, best, strlen(best), false) == ERR_OK && registry_check_sender(r, s->account, &a) == ERR_OK)
		str_copy(to, size, best, strlen(best));
}
