#ifndef ADMIN_DNS_H
#define ADMIN_DNS_H

#include <stddef.h>

struct conf;
struct ub_ctx;
struct ub_result;

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28 };

/* Questions to DNS, by the name servers of dns.servers or else of this host. */
struct dns {
	struct ub_ctx	*ub;
	char		 why[256];	/* why the last one failed */
};

/* ERR_SYSTEM. */
int	dns_open(struct dns *d, const struct conf *c);
void	dns_close(struct dns *d);

#define DNS_VALUES_MAX 32
#define DNS_VALUE_TEXT 4096

/* The records of a name: TXT put together, MX as "10 host", hosts in lower case without the last dot ("." for the root), addresses. */
struct dns_answer {
	size_t	n;
	char	values[DNS_VALUES_MAX][DNS_VALUE_TEXT];
};

/* Asks; no such name or record is an empty answer. ERR_SYSTEM: there was no answer, d->why says so. */
int	dns_ask(struct dns *d, const char *name, enum dns_type type, struct dns_answer *a);
/* The names of an address ("192.0.2.1"). */
int	dns_ask_names(struct dns *d, const char *address, struct dns_answer *a);

#endif
