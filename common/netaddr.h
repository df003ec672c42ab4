#ifndef COMMON_NETADDR_H
#define COMMON_NETADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* An IPv4 or IPv6 address with a port, or a user of this machine. An IPv4-mapped IPv6 address is kept as IPv4. */
struct netaddr {
	uint8_t		family;		/* 4, 6, NETADDR_LOCAL, or 0 for none */
	uint8_t		octets[16];	/* the first 4 for IPv4, and for a user: its number, in network order */
	uint16_t	port;		/* host order */
};

/* A network: an address and the bits of its prefix. */
struct netmask {
	struct netaddr	address;
	uint8_t		bits;
};

#define NETADDR_LOCAL 1		/* a family: who is at the other end of a local socket */
#define NETADDR_TEXT 56		/* octets that a text form takes at most, with NUL */

/* "127.0.0.1:587", "[::1]:587", ":587" and "*:587" (every IPv6 and IPv4 address: [::]). ERR_SYNTAX. */
int	netaddr_parse(struct netaddr *a, const char *text);
/* "10.0.0.0/8", "fd00::/8", "192.0.2.1". ERR_SYNTAX, also when bits beyond the prefix are set. */
int	netmask_parse(struct netmask *m, const char *text);

/* "10.0.0.0/8", with the prefix always. to holds NETADDR_TEXT; returns to. */
char	*netmask_put(char *to, const struct netmask *m);

/* The address alone, and with its port ("192.0.2.1:25", "[::1]:25"); both "local uid=1000" for a user. to holds NETADDR_TEXT; returns to. */
char	*netaddr_put_host(char *to, const struct netaddr *a);
char	*netaddr_put(char *to, const struct netaddr *a);

/* A user of this machine, and its number again. */
struct netaddr netaddr_of_user(uid_t uid);
uid_t	netaddr_user(const struct netaddr *a);

/* To and from the kernel's form. ERR_SYNTAX for another family. */
int	netaddr_from_sockaddr(struct netaddr *a, const struct sockaddr_storage *ss);
socklen_t netaddr_to_sockaddr(const struct netaddr *a, struct sockaddr_storage *ss);

bool	netaddr_is_loopback(const struct netaddr *a);
bool	netaddr_is_any(const struct netaddr *a);
bool	netaddr_is_in(const struct netaddr *a, const struct netmask *m);
/* Sets the bits behind a prefix to zero: v4bits for IPv4, v6bits for IPv6; port becomes 0. */
struct netaddr netaddr_network(const struct netaddr *a, unsigned v4bits, unsigned v6bits);
bool	netaddr_is_equal(const struct netaddr *a, const struct netaddr *b);

#endif
