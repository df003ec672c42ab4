/*
 * Who has how many sessions, and who is refused: after a crash, or by the admin's rules. Run by the master; bounded by the sessions
 * there are, and by the lengths of both lists.
 */
#include "clients.h"

#include <stdlib.h>

struct client_address {
	struct client_address	*next;
	struct netaddr		 address;
	unsigned		 sessions;
};

static struct client_address **
bucket(struct clients *c, const struct netaddr *a)
{
	uint64_t h = 1469598103934665603ULL;	/* FNV-1a */

	for (size_t i = 0; i < 16; i++)
		h = (h ^ a->octets[i]) * 1099511628211ULL;
	return &c->buckets[(h ^ a->family) % CLIENTS_BUCKETS];
}

static struct client_address **
find(struct clients *c, const struct netaddr *key)
{
	struct client_address **p = bucket(c, key);

	while (*p != NULL && !netaddr_is_equal(&(*p)->address, key))
		p = &(*p)->next;
	return p;
}

unsigned
clients_enter(struct clients *c, const struct netaddr *peer)
{
	struct netaddr key = netaddr_network(peer, 32, 64);
	struct client_address **p = find(c, &key);

	if (*p == NULL) {
		if ((*p = calloc(1, sizeof(**p))) == NULL)
			return 0;
		(*p)->address = key;
	}
	return ++(*p)->sessions;
}

void
clients_leave(struct clients *c, const struct netaddr *peer)
{
	struct netaddr key = netaddr_network(peer, 32, 64);
	struct client_address **p = find(c, &key), *gone = *p;

	if (gone == NULL || --gone->sessions != 0)
		return;
	*p = gone->next;
	free(gone);
}

void
clients_ban(struct clients *c, const struct netaddr *peer, uint64_t until_ms)
{
	struct netaddr network = netaddr_network(peer, 24, 64);
	size_t oldest = 0;

	for (size_t i = 0; i < c->nbans; i++) {
		if (netaddr_is_equal(&c->bans[i].network, &network)) {
			c->bans[i].until_ms = until_ms;
			return;
		}
		if (c->bans[i].until_ms < c->bans[oldest].until_ms)
			oldest = i;
	}
	if (c->nbans < CLIENTS_BANS_MAX)
		oldest = c->nbans++;
	c->bans[oldest].network = network;
	c->bans[oldest].until_ms = until_ms;
}

void
clients_set_rule(struct clients *c, const struct netmask *network, bool allow, uint64_t until_ms)
{
	size_t i = 0;

	while (i < c->nrules && (c->rules[i].network.bits != network->bits ||
	    !netaddr_is_equal(&c->rules[i].network.address, &network->address)))
		i++;
	if (until_ms == 0) {
		if (i < c->nrules)
			c->rules[i] = c->rules[--c->nrules];
		return;
	}
	if (i == CLIENTS_RULES_MAX)
		return;
	c->rules[i].network = *network;
	c->rules[i].allow = allow;
	c->rules[i].until_ms = until_ms;
	if (i == c->nrules)
		c->nrules++;
}

bool
clients_is_banned(struct clients *c, const struct netaddr *peer, uint64_t now_ms)
{
	struct netaddr network = netaddr_network(peer, 24, 64);
	bool is_refused = false;

	for (size_t i = 0; i < c->nrules; i++) {
		if (c->rules[i].until_ms <= now_ms || !netaddr_is_in(peer, &c->rules[i].network))
			continue;
		if (c->rules[i].allow)
			return false;
		is_refused = true;
	}
	if (is_refused)
		return true;
	for (size_t i = 0; i < c->nbans; i++) {
		if (c->bans[i].until_ms <= now_ms)
			c->bans[i] = c->bans[--c->nbans];
		if (i < c->nbans && netaddr_is_equal(&c->bans[i].network, &network) && c->bans[i].until_ms > now_ms)
			return true;
	}
	return false;
}
