#ifndef AUTH_THROTTLE_H
#define AUTH_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "netaddr.h"

/*
 * Counts of wrong passwords by network, or by account and network. A table of fixed size: what was seen longest ago gives way.
 */
struct throttle;

/* After so many wrong ones within time_ms a network is refused for time_ms. after 0: never. */
struct throttle_rule {
	uint64_t	after, time_ms;
};

/* ERR_NOMEM, ERR_SYSTEM. */
int	throttle_open(struct throttle **t);

/* The network that an address is counted with: /24, /64; on loopback each address by itself. */
struct netmask throttle_network(const struct netaddr *peer);

/* account is 0 in a table that counts by network alone. */
void	throttle_note_good(struct throttle *t, uint64_t account, const struct netaddr *peer, uint64_t now_ms);
/* True when this one was the last that is borne. */
bool	throttle_note_wrong(struct throttle *t, uint64_t account, const struct netaddr *peer, uint64_t now_ms,
	    const struct throttle_rule *rule);

/* Whether a good login was noted. */
bool	throttle_is_known(struct throttle *t, uint64_t account, const struct netaddr *peer);
/* Milliseconds until it is no longer refused; 0: it is not. */
uint64_t throttle_wait(struct throttle *t, uint64_t account, const struct netaddr *peer, uint64_t now_ms);
/* By how much the answer to a wrong password is to be slowed: 1, 2 or 4. */
unsigned throttle_slowness(struct throttle *t, uint64_t account, const struct netaddr *peer, uint64_t now_ms,
	    const struct throttle_rule *rule);

#endif
