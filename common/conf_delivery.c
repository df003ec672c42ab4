/*
 * Settings of delivery that are lists: the times between attempts, the name servers. Run by whoever parses a configuration, by
 * postern-spool and postern-relay. Pure.
 */
#include "conf.h"

#include <string.h>

#include "addr.h"
#include "err.h"
#include "str.h"

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS (7 * 86400000ULL)
#define SERVERS_MAX 3	/* as resolv.conf(5) has them */
#define DNS_PORT 53

/* The next word of a list divided by blanks or commas; false at its end. *at goes on. ERR_TOOBIG: to is "". */
static bool
take_word(const char **at, char *to, size_t size)
{
	const char *p = *at + strspn(*at, " \t,");
	size_t n = strcspn(p, " \t,");

	*at = p + n;
	if (n == 0)
		return false;
	if (str_copy(to, size, p, n) != ERR_OK)
		to[0] = 0;
	return true;
}

bool
conf_is_schedule(const char *value)
{
	char word[32];
	size_t n = 0;
	uint64_t ms;

	for (; take_word(&value, word, sizeof(word)); n++)
		if (str_parse_duration(word, &ms) != ERR_OK || ms < RETRY_MIN_MS || ms > RETRY_MAX_MS)
			return false;
	return n != 0;
}

uint64_t
conf_retry_ms(const struct conf *c, unsigned tries)
{
	const char *at = c->delivery_retry;
	uint64_t ms = RETRY_MIN_MS, next;
	char word[32];

	for (unsigned i = 0; (i == 0 || i < tries) && take_word(&at, word, sizeof(word)); i++)
		if (str_parse_duration(word, &next) == ERR_OK)
			ms = next;
	return ms;
}

/* "192.0.2.53", "192.0.2.53@5353", "::1", "::1@5353". */
static int
parse_server(char *word, struct netaddr *a)
{
	char *at = strchr(word, '@');
	uint64_t port = DNS_PORT;
	struct netmask m;

	if (at != NULL) {
		*at = 0;
		if (str_parse_u64(at + 1, strlen(at + 1), UINT16_MAX, &port) != ERR_OK || port == 0)
			return ERR_SYNTAX;
	}
	if (strchr(word, '/') != NULL || netmask_parse(&m, word) != ERR_OK)
		return ERR_SYNTAX;
	*a = m.address;
	a->port = (uint16_t)port;
	return ERR_OK;
}

bool
conf_dns_server(const struct conf *c, size_t i, struct netaddr *a)
{
	const char *at = c->dns_servers;
	char word[64];

	for (size_t n = 0; take_word(&at, word, sizeof(word)); n++)
		if (n == i)
			return parse_server(word, a) == ERR_OK;
	return false;
}

bool
conf_is_servers(const char *value)
{
	struct netaddr a;
	char word[64];
	size_t n = 0;

	for (; take_word(&value, word, sizeof(word)); n++)
		if (parse_server(word, &a) != ERR_OK)
			return false;
	return n <= SERVERS_MAX;
}

bool
conf_is_address(const char *value)
{
	struct addr a;

	return value[0] == 0 || addr_parse(&a, value, strlen(value), true) == ERR_OK;
}
