/*
 * Questions to DNS, through libunbound, for smtpadm's checks. Runs with the admin's rights. Invariant: what comes out is text that a
 * foreign server chose, cut to its bounds: it is to be shown by out_print() and compared, nothing else.
 */
#include "dns.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unbound.h>

#include "conf.h"
#include "err.h"
#include "netaddr.h"
#include "str.h"

#define CLASS_IN 1

int
dns_open(struct dns *d, const struct conf *c)
{
	char host[NETADDR_TEXT], text[NETADDR_TEXT + 8];
	struct netaddr a;
	size_t n;

	*d = (struct dns){ .ub = ub_ctx_create() };
	if (d->ub == NULL)
		return ERR_SYSTEM;
	ub_ctx_debugout(d->ub, NULL);
	ub_ctx_set_option(d->ub, "do-not-query-localhost:", "no");
	/* Names of private addresses: who has such a network has name servers for it. */
	ub_ctx_set_option(d->ub, "unblock-lan-zones:", "yes");
	for (n = 0; conf_dns_server(c, n, &a); n++) {
		snprintf(text, sizeof(text), "%s@%u", netaddr_put_host(host, &a), a.port != 0 ? a.port : 53);
		ub_ctx_set_fwd(d->ub, text);
	}
	/* Without such a file libunbound asks from the root on. */
	if (n == 0)
		ub_ctx_resolvconf(d->ub, NULL);
	return ERR_OK;
}

void
dns_close(struct dns *d)
{
	if (d->ub != NULL)
		ub_ctx_delete(d->ub);
	d->ub = NULL;
}

/* An uncompressed name of n octets; libunbound gives no others. */
static int
put_name(char *to, size_t size, const uint8_t *p, size_t n)
{
	size_t used = 0;

	for (size_t at = 0; at < n && p[at] != 0; at += 1 + (size_t)p[at]) {
		size_t len = p[at];

		if (len > 63 || at + 1 + len > n || used + len + 2 > size)
			return ERR_SYNTAX;
		if (used != 0)
			to[used++] = '.';
		for (size_t i = 0; i < len; i++) {
			uint8_t c = p[at + 1 + i];

			to[used++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c == 0 ? '?' : c);
		}
	}
	if (used == 0)
		to[used++] = '.';
	to[used] = 0;
	return ERR_OK;
}

static int
put_text(char *to, size_t size, const uint8_t *p, size_t n)
{
	size_t used = 0;

	for (size_t at = 0; at < n; at += 1 + (size_t)p[at]) {
		size_t len = p[at];

		if (at + 1 + len > n || used + len + 1 > size)
			return ERR_SYNTAX;
		for (size_t i = 0; i < len; i++)
			to[used++] = p[at + 1 + i] != 0 ? (char)p[at + 1 + i] : '?';
	}
	to[used] = 0;
	return ERR_OK;
}

static int
put_value(char to[DNS_VALUE_TEXT], enum dns_type type, const uint8_t *p, size_t n)
{
	int used;

	switch (type) {
	case DNS_A:
		return n == 4 && inet_ntop(AF_INET, p, to, DNS_VALUE_TEXT) != NULL ? ERR_OK : ERR_SYNTAX;
	case DNS_AAAA:
		return n == 16 && inet_ntop(AF_INET6, p, to, DNS_VALUE_TEXT) != NULL ? ERR_OK : ERR_SYNTAX;
	case DNS_TXT:
		return put_text(to, DNS_VALUE_TEXT, p, n);
	case DNS_PTR:
		return put_name(to, DNS_VALUE_TEXT, p, n);
	case DNS_MX:
		if (n < 3)
			return ERR_SYNTAX;
		used = snprintf(to, DNS_VALUE_TEXT, "%u ", (unsigned)(p[0] << 8 | p[1]));
		return put_name(to + used, DNS_VALUE_TEXT - (size_t)used, p + 2, n - 2);
	}
	return ERR_SYNTAX;
}

int
dns_ask(struct dns *d, const char *name, enum dns_type type, struct dns_answer *a)
{
	struct ub_result *r = NULL;
	int rc;

	a->n = 0;
	if ((rc = ub_resolve(d->ub, name, (int)type, CLASS_IN, &r)) != 0) {
		snprintf(d->why, sizeof(d->why), "%s", ub_strerror(rc));
		return ERR_SYSTEM;
	}
	/* NOERROR or NXDOMAIN are answers, the others are faults of servers. */
	if (r->rcode != 0 && r->rcode != 3) {
		snprintf(d->why, sizeof(d->why), "the name servers could not answer (code %d)", r->rcode);
		ub_resolve_free(r);
		return ERR_SYSTEM;
	}
	for (size_t i = 0; r->havedata && r->data[i] != NULL && a->n < DNS_VALUES_MAX; i++)
		if (put_value(a->values[a->n], type, (const uint8_t *)r->data[i], (size_t)r->len[i]) == ERR_OK)
			a->n++;
	ub_resolve_free(r);
	return ERR_OK;
}

int
dns_ask_names(struct dns *d, const char *address, struct dns_answer *a)
{
	char name[128];
	uint8_t p[16];
	size_t used = 0;

	a->n = 0;
	if (inet_pton(AF_INET, address, p) == 1) {
		snprintf(name, sizeof(name), "%u.%u.%u.%u.in-addr.arpa", p[3], p[2], p[1], p[0]);
		return dns_ask(d, name, DNS_PTR, a);
	}
	if (inet_pton(AF_INET6, address, p) != 1)
		return ERR_SYSTEM;
	for (size_t i = 16; i-- > 0;)
		used += (size_t)snprintf(name + used, sizeof(name) - used, "%x.%x.", p[i] & 15, p[i] >> 4);
	snprintf(name + used, sizeof(name) - used, "ip6.arpa");
	return dns_ask(d, name, DNS_PTR, a);
}
