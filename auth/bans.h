#ifndef AUTH_BANS_H
#define AUTH_BANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "registry.h"

struct auth;

enum ban_verdict { BAN_NONE, BAN_REFUSED, BAN_ALLOWED };

struct ban_entry {
	struct netmask	network;
	bool		allow;
	uint64_t	until_us;	/* 0: for ever */
	bool		told;		/* the master knows */
	bool		lifted;		/* it stays here until the master knows that, too */
};

/* The registry's list of networks as it was read last. */
struct bans {
	struct ban_entry	list[2 * REGISTRY_BANS_MAX];	/* as many may have been lifted as there are new ones */
	size_t			n;
	bool			is_read;
	uint64_t		version, checked_ms;
};

/* Milliseconds until it is to be looked again. */
int	bans_wait(const struct bans *b, uint64_t now_ms);

/* Looks, at most once a second, whether the registry has changed; tells the master what is new in the list. */
void	bans_check(struct auth *a, uint64_t now_ms);

/* An entry that allows wins. */
enum ban_verdict bans_judge(const struct bans *b, const struct netaddr *peer, uint64_t now_us);

#endif
