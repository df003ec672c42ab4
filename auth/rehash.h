#ifndef AUTH_REHASH_H
#define AUTH_REHASH_H

#include <stddef.h>

#include "netaddr.h"
#include "registry.h"

struct auth;

/* Has a better hash of a password made that has just matched c, and written, if c's method is an old one. Best effort. */
void	rehash_begin(struct auth *a, const struct registry_credential *c, const char *password, size_t len,
	    const struct netaddr *peer);

#endif
