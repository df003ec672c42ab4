/*
 * What narrows a credential: senders, recipients, networks, limits; and the mark of a canary. Part of the registry library,
 * in postern-auth (asking) and smtpadm. Invariant: a credential never may more than its account, and one without a scope of
 * some kind is not narrowed in it.
 */
#include <string.h>

#include "err.h"
#include "pattern.h"
#include "registry.h"
#include "store.h"

int
registry_set_canary(struct registry *r, uint64_t account, const char *name, bool canary)
{
	const enum statement s = STATEMENT_CREDENTIAL_CANARY;
	int err = store_begin_change(r);

	if (err != ERR_OK)
		return err;
	return store_change_credential(r, s, account, name, store_bind(r, s, "usu", account, name, (uint64_t)canary),
	    "credential.canary");
}

int
registry_set_credential_limits(struct registry *r, uint64_t account, const char *name, const struct registry_limits *l)
{
	const enum statement s = STATEMENT_CREDENTIAL_SET_LIMITS;
	int err = store_begin_change(r);

	if (err != ERR_OK)
		return err;
	return store_change_credential(r, s, account, name, store_bind(r, s, "usuuu", account, name, l->recipients,
	    l->message_size, l->messages_per_hour), "credential.limit");
}

/* In its one written form. */
static int
parse(struct registry *r, enum scope_kind kind, const char *pattern, char *written)
{
	struct netmask m;

	if (kind == SCOPE_NETWORK) {
		if (netmask_parse(&m, pattern) != ERR_OK || m.address.family == 0)
			return store_fail(r, ERR_SYNTAX,
			    "'%s' is no network such as 192.0.2.0/24, or has bits behind its prefix", pattern);
		netmask_put(written, &m);
		return ERR_OK;
	}
	if (pattern_parse(written, pattern) == ERR_OK && (kind == SCOPE_SENDER || strcmp(written, "<>") != 0))
		return ERR_OK;
	return store_fail(r, ERR_SYNTAX, "'%s' is no pattern: user@domain, *@domain%s or user+*@domain", pattern,
	    kind == SCOPE_SENDER ? ", <>" : "");
}

static int
check_count(struct registry *r, uint64_t account, const char *name, enum scope_kind kind)
{
	const enum statement s = STATEMENT_SCOPE_COUNT;
	int err = store_bind(r, s, "usu", account, name, (uint64_t)kind);

	if (err != ERR_OK || (err = store_step(r, s)) < 0)
		return err;
	if (err == 1 && store_u64(r, s, 0) > REGISTRY_SCOPES_MAX)
		err = store_fail(r, ERR_TOOBIG, "a credential has at most %d patterns of a kind", REGISTRY_SCOPES_MAX);
	else
		err = ERR_OK;
	store_end(r, s);
	return err;
}

int
registry_add_scope(struct registry *r, uint64_t account, const char *name, enum scope_kind kind, const char *pattern)
{
	const enum statement s = STATEMENT_SCOPE_ADD;
	char written[REGISTRY_PATTERN_MAX];
	struct registry_account a;
	int err;

	if ((err = parse(r, kind, pattern, written)) != ERR_OK || (err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, account, &a)) == ERR_OK &&
	    (err = store_bind(r, s, "usus", account, name, (uint64_t)kind, written)) == ERR_OK &&
	    (err = store_run_change(r, s)) == ERR_EXISTS)
		store_fail(r, err, "%s has the pattern %s already", name, written);
	if (err == ERR_OK && (err = check_count(r, account, name, kind)) == ERR_OK)
		err = store_add_history(r, "credential.scope", &a, name);
	return store_end_change(r, err);
}

int
registry_clear_scope(struct registry *r, uint64_t account, const char *name, enum scope_kind kind)
{
	const enum statement s = STATEMENT_SCOPE_CLEAR;
	struct registry_account a;
	int err;

	if ((err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, account, &a)) == ERR_OK &&
	    (err = store_bind(r, s, "usu", account, name, (uint64_t)kind)) == ERR_OK && (err = store_step(r, s)) == ERR_OK)
		err = store_add_history(r, "credential.scope", &a, name);
	return store_end_change(r, err);
}

int
registry_walk_scope(struct registry *r, uint64_t credential, enum scope_kind kind,
    int (*each)(const char *pattern, void *arg), void *arg)
{
	const enum statement s = STATEMENT_SCOPES;
	char pattern[REGISTRY_PATTERN_MAX];
	int result;

	if ((result = store_bind(r, s, "uu", credential, (uint64_t)kind)) != ERR_OK)
		return result;
	while ((result = store_step(r, s)) == 1) {
		store_text(r, s, 0, pattern, sizeof(pattern));
		if ((result = each(pattern, arg)) != 0) {
			store_end(r, s);
			break;
		}
	}
	return result;
}

int
registry_check_scope(struct registry *r, uint64_t credential, enum scope_kind kind, const struct addr *address)
{
	const enum statement s = STATEMENT_SCOPE_CHECK;
	char pattern[REGISTRY_PATTERN_MAX];
	int err = ERR_DENIED;

	for (size_t i = 0; pattern_candidate(pattern, address, i) == ERR_OK && err == ERR_DENIED; i++)
		err = store_ask(r, s, store_bind(r, s, "uus", credential, (uint64_t)kind, pattern));
	return err;
}

/* walk_scope() ends with 1 at the first network that holds the address. */
static int
holds(const char *pattern, void *arg)
{
	struct netmask m;

	return netmask_parse(&m, pattern) == ERR_OK && netaddr_is_in(arg, &m);
}

int
registry_check_network(struct registry *r, uint64_t credential, const struct netaddr *peer)
{
	struct netaddr address = *peer;
	int result = registry_walk_scope(r, credential, SCOPE_NETWORK, holds, &address);

	if (result == 0)
		return store_fail(r, ERR_DENIED, "not allowed");
	return result == 1 ? ERR_OK : result;
}
