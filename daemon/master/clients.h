#ifndef MASTER_CLIENTS_H
#define MASTER_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netaddr.h"

#define CLIENTS_BUCKETS 1024
#define CLIENTS_BANS_MAX 1024
#define CLIENTS_RULES_MAX 1000

struct client_address;

/* Sessions counted by client address (IPv6: by /64), networks that are refused for a while after a crash, and the admin's rules. */
struct clients {
	struct client_address	*buckets[CLIENTS_BUCKETS];
	struct {
		struct netaddr	network;
		uint64_t	until_ms;
	}			 bans[CLIENTS_BANS_MAX];
	size_t			 nbans;
	struct {
		struct netmask	network;
		bool		allow;
		uint64_t	until_ms;
	}			 rules[CLIENTS_RULES_MAX];
	size_t			 nrules;
};

/* Counts one more session; the count with it, or 0 when memory is out (refuse then). */
unsigned clients_enter(struct clients *c, const struct netaddr *peer);
void	clients_leave(struct clients *c, const struct netaddr *peer);

/* Refuses the peer's network (/24, /64) until then. */
void	clients_ban(struct clients *c, const struct netaddr *peer, uint64_t until_ms);
/* The admin's rule for a network, as auth tells it: refused, or spared from every ban, until then; until_ms 0 lifts it. */
void	clients_set_rule(struct clients *c, const struct netmask *network, bool allow, uint64_t until_ms);
bool	clients_is_banned(struct clients *c, const struct netaddr *peer, uint64_t now_ms);

#endif
