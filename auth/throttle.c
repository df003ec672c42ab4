/*
 * Who guesses passwords: counts by network, in a table that never grows. Part of postern-auth. Invariant: where an entry stands
 * depends on a key that was made at start, so that nobody can choose networks that drive out a certain other one.
 */
#include "throttle.h"

#include <stdlib.h>
#include <sys/random.h>

#include "err.h"

#define WAYS 4		/* entries that share a place in the table */
#define PLACES 2048

struct entry {
	struct netaddr	network;		/* family 0: free */
	uint64_t	account;
	uint64_t	seen_ms, since_ms;	/* last change; of the first wrong one that counts */
	uint64_t	until_ms;		/* refused until then */
	uint64_t	wrong;
	bool		good;
};

struct throttle {
	uint64_t	key;
	struct entry	entries[PLACES][WAYS];
};

int
throttle_open(struct throttle **t)
{
	if ((*t = calloc(1, sizeof(**t))) == NULL)
		return ERR_NOMEM;
	return getrandom(&(*t)->key, sizeof((*t)->key), 0) == sizeof((*t)->key) ? ERR_OK : ERR_SYSTEM;
}

struct netmask
throttle_network(const struct netaddr *peer)
{
	bool is_own = netaddr_is_loopback(peer);
	struct netmask m = { .bits = peer->family == 4 ? (is_own ? 32 : 24) : (is_own ? 128 : 64) };

	m.address = netaddr_network(peer, m.bits, m.bits);
	return m;
}

static struct entry *
place_of(struct throttle *t, uint64_t account, const struct netaddr *network)
{
	uint64_t h = t->key ^ account;

	for (size_t i = 0; i < 16; i++) {
		h = (h ^ network->octets[i]) * 1099511628211ULL;
		h ^= h >> 29;
	}
	return t->entries[h % PLACES];
}

static struct entry *
find(struct throttle *t, uint64_t account, const struct netaddr *peer)
{
	struct netaddr network = throttle_network(peer).address;
	struct entry *place = place_of(t, account, &network);

	for (size_t i = 0; i < WAYS; i++)
		if (place[i].account == account && place[i].network.family != 0 &&
		    netaddr_is_equal(&place[i].network, &network))
			return &place[i];
	return NULL;
}

static struct entry *
find_or_make(struct throttle *t, uint64_t account, const struct netaddr *peer, uint64_t now_ms)
{
	struct netaddr network = throttle_network(peer).address;
	struct entry *one = find(t, account, peer), *place = place_of(t, account, &network);

	if (one == NULL) {
		one = place;
		for (size_t i = 1; i < WAYS; i++)
			if (place[i].seen_ms < one->seen_ms)
				one = &place[i];
		*one = (struct entry){ .network = network, .account = account };
	}
	one->seen_ms = now_ms;
	return one;
}

void
throttle_note_good(struct throttle *t, uint64_t account, const struct netaddr *peer, uint64_t now_ms)
{
	find_or_make(t, account, peer, now_ms)->good = true;
}

bool
throttle_note_wrong(struct throttle *t, uint64_t account, const struct netaddr *peer, uint64_t now_ms,
    const struct throttle_rule *rule)
{
	struct entry *e = find_or_make(t, account, peer, now_ms);

	if (rule->after == 0)
		return false;
	if (e->wrong == 0 || now_ms - e->since_ms >= rule->time_ms) {
		e->wrong = 0;
		e->since_ms = now_ms;
	}
	if (++e->wrong < rule->after)
		return false;
	e->wrong = 0;
	e->until_ms = now_ms + rule->time_ms;
	return true;
}

bool
throttle_is_known(struct throttle *t, uint64_t account, const struct netaddr *peer)
{
	const struct entry *e = find(t, account, peer);

	return e != NULL && e->good;
}

uint64_t
throttle_wait(struct throttle *t, uint64_t account, const struct netaddr *peer, uint64_t now_ms)
{
	const struct entry *e = find(t, account, peer);

	return e != NULL && e->until_ms > now_ms ? e->until_ms - now_ms : 0;
}

unsigned
throttle_slowness(struct throttle *t, uint64_t account, const struct netaddr *peer, uint64_t now_ms,
    const struct throttle_rule *rule)
{
	const struct entry *e = find(t, account, peer);

	if (e == NULL || rule->after == 0)
		return 1;
	if (e->until_ms > now_ms)
		return 4;
	if (now_ms - e->since_ms >= rule->time_ms || e->wrong * 2 < rule->after)
		return 1;
	return e->wrong * 4 < rule->after * 3 ? 2 : 4;
}
