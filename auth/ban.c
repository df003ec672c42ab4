/*
 * Networks that are refused, and those that never are, as the registry keeps them. Part of the registry library. Invariant: a
 * network stands once, in one canonical form; what has run out is removed by the next change.
 */
#include <string.h>

#include "err.h"
#include "io.h"
#include "registry.h"
#include "store.h"

static const struct registry_account nobody;

static int
remove_expired(struct registry *r)
{
	int err = store_bind(r, STATEMENT_BANS_EXPIRE, "u", io_now_us());

	return err == ERR_OK ? store_step(r, STATEMENT_BANS_EXPIRE) : err;
}

static int
check_count(struct registry *r)
{
	int err;

	if ((err = store_bind(r, STATEMENT_BANS_COUNT, "")) != ERR_OK || (err = store_step(r, STATEMENT_BANS_COUNT)) < 0)
		return err;
	if (err == 1 && store_u64(r, STATEMENT_BANS_COUNT, 0) > REGISTRY_BANS_MAX)
		err = store_fail(r, ERR_TOOBIG, "there are %d entries, which is the most: remove some", REGISTRY_BANS_MAX);
	else
		err = ERR_OK;
	store_end(r, STATEMENT_BANS_COUNT);
	return err;
}

int
registry_set_ban(struct registry *r, const struct registry_ban *b)
{
	char network[NETADDR_TEXT];
	int err;

	netmask_put(network, &b->network);
	if ((err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = remove_expired(r)) == ERR_OK &&
	    (err = store_bind(r, STATEMENT_BAN_SET, "suuus", network, (uint64_t)b->allow, io_now_us(), b->until_us,
	    b->reason)) == ERR_OK && (err = store_step(r, STATEMENT_BAN_SET)) == ERR_OK && (err = check_count(r)) == ERR_OK)
		err = store_add_history(r, b->allow ? "ban.allow" : "ban.add", &nobody, network);
	return store_end_change(r, err);
}

int
registry_remove_ban(struct registry *r, const struct netmask *network)
{
	char text[NETADDR_TEXT];
	int err;

	netmask_put(text, network);
	if ((err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = remove_expired(r)) == ERR_OK && (err = store_bind(r, STATEMENT_BAN_REMOVE, "s", text)) == ERR_OK &&
	    (err = store_run_change(r, STATEMENT_BAN_REMOVE)) == ERR_OK)
		err = store_add_history(r, "ban.remove", &nobody, text);
	return store_end_change(r, err);
}

int
registry_walk_bans(struct registry *r, int (*each)(const struct registry_ban *b, void *arg), void *arg)
{
	const enum statement s = STATEMENT_BANS;
	char network[NETADDR_TEXT];
	struct registry_ban b;
	int result;

	if ((result = store_bind(r, s, "u", io_now_us())) != ERR_OK)
		return result;
	while ((result = store_step(r, s)) == 1) {
		store_text(r, s, 0, network, sizeof(network));
		b.allow = store_u64(r, s, 1) != 0;
		b.created_us = store_u64(r, s, 2);
		b.until_us = store_u64(r, s, 3);
		store_text(r, s, 4, b.reason, sizeof(b.reason));
		if (netmask_parse(&b.network, network) != ERR_OK)
			continue;
		if ((result = each(&b, arg)) != 0) {
			store_end(r, s);
			break;
		}
	}
	return result;
}

int
registry_data_version(struct registry *r, uint64_t *version)
{
	const enum statement s = STATEMENT_DATA_VERSION;
	int err;

	if ((err = store_bind(r, s, "")) != ERR_OK || (err = store_step(r, s)) < 0)
		return err;
	*version = err == 1 ? store_u64(r, s, 0) : 0;
	store_end(r, s);
	return ERR_OK;
}
