#ifndef RELAY_RESOLVER_RECORDS_H
#define RELAY_RESOLVER_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "message_resolve.h"

/* Records as libunbound gives them: data without compression. Pure. */

/* A domain name in the form of the wire (RFC 1035, 3.1): lower case, no dot at its end, "" for the root. ERR_SYNTAX: none that a host
 * may have. */
int	records_get_name(const uint8_t *p, size_t n, char name[RESOLVE_NAME]);

/* MX records (RFC 1035, 3.3.9), the best first, at most RESOLVE_MAX; those with no name for a host are left out. Sets hosts and n. */
void	records_get_mx(char *const *data, const int *len, struct ipc_resolve_answer *a);

/* Adds AAAA or A records (data of 16 or 4 octets) behind those that are there, as long as there is room. */
void	records_get_addresses(char *const *data, const int *len, struct ipc_resolve_answer *a);

/*
 * A domain as in an address for the DNS: lower case, without the dot at its end, UTF-8 labels as "xn--" (RFC 3492). ERR_SYNTAX: no
 * name for the DNS.
 */
int	records_put_name(const char *domain, char name[RESOLVE_NAME]);

#endif
