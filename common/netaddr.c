/*
 * Network addresses as a plain value: no sockaddr image ever passes between programs. Pure; runs everywhere.
 */
#include "netaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "str.h"

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void
set_v6(struct netaddr *a, const uint8_t *octets)
{
	if (memcmp(octets, mapped, sizeof(mapped)) == 0) {
		a->family = 4;
		memcpy(a->octets, octets + 12, 4);
	} else {
		a->family = 6;
		memcpy(a->octets, octets, 16);
	}
}

static int
parse_host(struct netaddr *a, const char *text)
{
	uint8_t octets[16];

	*a = (struct netaddr){ 0 };
	if (inet_pton(AF_INET, text, octets) == 1) {
		a->family = 4;
		memcpy(a->octets, octets, 4);
		return ERR_OK;
	}
	if (inet_pton(AF_INET6, text, octets) == 1) {
		set_v6(a, octets);
		return ERR_OK;
	}
	return ERR_SYNTAX;
}

int
netaddr_parse(struct netaddr *a, const char *text)
{
	const char *colon = strrchr(text, ':');
	char host[NETADDR_TEXT];
	size_t n;
	uint64_t port;

	if (colon == NULL || str_parse_u64(colon + 1, strlen(colon + 1), 65535, &port) != ERR_OK)
		return ERR_SYNTAX;
	n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && colon[-1] == ']') {
		text++;
		n -= 2;
	} else if (memchr(text, ':', n) != NULL) {
		return ERR_SYNTAX;
	}
	if (str_copy(host, sizeof(host), text, n) != ERR_OK)
		return ERR_SYNTAX;
	if (parse_host(a, host[0] == 0 || strcmp(host, "*") == 0 ? "::" : host) != ERR_OK)
		return ERR_SYNTAX;
	a->port = (uint16_t)port;
	return ERR_OK;
}

int
netmask_parse(struct netmask *m, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char host[NETADDR_TEXT];
	struct netaddr network;
	uint64_t bits;

	if (str_copy(host, sizeof(host), text, n) != ERR_OK || parse_host(&m->address, host) != ERR_OK)
		return ERR_SYNTAX;
	bits = m->address.family == 4 ? 32 : 128;
	if (slash != NULL && str_parse_u64(slash + 1, strlen(slash + 1), bits, &bits) != ERR_OK)
		return ERR_SYNTAX;
	m->bits = (uint8_t)bits;
	network = netaddr_network(&m->address, m->bits, m->bits);
	return netaddr_is_equal(&network, &m->address) ? ERR_OK : ERR_SYNTAX;
}

char *
netmask_put(char *to, const struct netmask *m)
{
	char host[NETADDR_TEXT];

	snprintf(to, NETADDR_TEXT, "%.46s/%u", netaddr_put_host(host, &m->address), (unsigned)m->bits);
	return to;
}

char *
netaddr_put_host(char *to, const struct netaddr *a)
{
	if (a->family == NETADDR_LOCAL)
		snprintf(to, NETADDR_TEXT, "local uid=%lu", (unsigned long)netaddr_user(a));
	else if (a->family == 0 || inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->octets, to, NETADDR_TEXT) == NULL)
		snprintf(to, NETADDR_TEXT, "-");
	return to;
}

char *
netaddr_put(char *to, const struct netaddr *a)
{
	char host[NETADDR_TEXT];

	netaddr_put_host(host, a);
	if (a->family == NETADDR_LOCAL)
		memcpy(to, host, sizeof(host));
	else if (a->family == 6)
		snprintf(to, NETADDR_TEXT, "[%.46s]:%u", host, (unsigned)a->port);
	else
		snprintf(to, NETADDR_TEXT, "%.46s:%u", host, (unsigned)a->port);
	return to;
}

struct netaddr
netaddr_of_user(uid_t uid)
{
	struct netaddr a = { .family = NETADDR_LOCAL };

	for (size_t i = 0; i < 4; i++)
		a.octets[i] = (uint8_t)(uid >> (24 - 8 * i));
	return a;
}

uid_t
netaddr_user(const struct netaddr *a)
{
	return (uid_t)a->octets[0] << 24 | (uid_t)a->octets[1] << 16 | (uid_t)a->octets[2] << 8 | (uid_t)a->octets[3];
}

int
netaddr_from_sockaddr(struct netaddr *a, const struct sockaddr_storage *ss)
{
	*a = (struct netaddr){ 0 };
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)ss;

		a->family = 4;
		memcpy(a->octets, &in->sin_addr, 4);
		a->port = ntohs(in->sin_port);
		return ERR_OK;
	}
	if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

		set_v6(a, in6->sin6_addr.s6_addr);
		a->port = ntohs(in6->sin6_port);
		return ERR_OK;
	}
	return ERR_SYNTAX;
}

socklen_t
netaddr_to_sockaddr(const struct netaddr *a, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (a->family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;

		in->sin_family = AF_INET;
		memcpy(&in->sin_addr, a->octets, 4);
		in->sin_port = htons(a->port);
		return sizeof(*in);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

		in6->sin6_family = AF_INET6;
		memcpy(&in6->sin6_addr, a->octets, 16);
		in6->sin6_port = htons(a->port);
		return sizeof(*in6);
	}
}

bool
netaddr_is_loopback(const struct netaddr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == 4)
		return a->octets[0] == 127;
	return a->family == 6 && memcmp(a->octets, one, 16) == 0;
}

bool
netaddr_is_any(const struct netaddr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->octets, zero, a->family == 4 ? 4 : 16) == 0;
}

struct netaddr
netaddr_network(const struct netaddr *a, unsigned v4bits, unsigned v6bits)
{
	unsigned bits = a->family == 4 ? v4bits : v6bits;
	struct netaddr network = { .family = a->family };

	for (unsigned i = 0; i < (a->family == 4 ? 4u : 16u); i++) {
		unsigned keep = bits >= 8 * (i + 1) ? 8 : bits <= 8 * i ? 0 : bits - 8 * i;

		network.octets[i] = (uint8_t)(a->octets[i] & (0xff00u >> keep));
	}
	return network;
}

bool
netaddr_is_equal(const struct netaddr *a, const struct netaddr *b)
{
	return a->family == b->family && a->port == b->port &&
	    memcmp(a->octets, b->octets, a->family == 4 ? 4 : 16) == 0;
}

bool
netaddr_is_in(const struct netaddr *a, const struct netmask *m)
{
	struct netaddr network = netaddr_network(a, m->bits, m->bits);
	struct netaddr wanted = m->address;

	wanted.port = 0;
	return netaddr_is_equal(&network, &wanted);
}
