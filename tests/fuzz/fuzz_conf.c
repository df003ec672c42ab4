/*
 * Fuzz entry for the configuration: any text is read or refused with a line; what was read is put and read again the
 * same.
 */
#include <string.h>

#include "conf.h"
#include "err.h"
#include "fuzz.h"

/* Every setting that is no text, in a file of its own. */
static void
put_again(const struct conf *c)
{
	static char text[65536];
	static struct conf again;
	const struct conf_setting *s;
	struct conf_error error;
	size_t n, len = 0;

	s = conf_settings(&n);
	for (size_t i = 0; i < n; i++) {
		const char *dot = strchr(s[i].name, '.');
		char value[1024];

		if (s[i].type == CONF_TEXT)
			continue;
		conf_put_value(value, c, &s[i]);
		/* An empty one is no value of a host name. */
		if (value[0] == 0)
			continue;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "[%.*s]\n%s = %s\n",
		    dot != NULL ? (int)(dot - s[i].name) : 0, s[i].name, dot != NULL ? dot + 1 : s[i].name, value);
		must(len < sizeof(text));
	}
	must(conf_parse(&again, text, len, &error) == ERR_OK || error.text[0] == 0);
	for (size_t i = 0; i < n; i++) {
		char held[1024], value[1024];

		if (s[i].type != CONF_TEXT)
			must(strcmp(conf_put_value(held, &again, &s[i]), conf_put_value(value, c, &s[i])) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct conf c;
	struct conf_error error;
	struct conf_pair pair;
	size_t lines = 1;

	for (size_t i = 0; i < n; i++)
		lines += p[i] == '\n';
	if (conf_parse(&c, (const char *)p, n, &error) != ERR_OK) {
		must(error.text[0] != 0 && memchr(error.text, 0, sizeof(error.text)) != NULL && error.line <= lines);
		return 0;
	}
	must(c.nlisteners <= CONF_LISTENERS_MAX && c.ncertificates <= CONF_CERTIFICATES_MAX);
	for (size_t i = 0; i < c.nlisteners; i++)
		must(c.listeners[i].kind <= LISTENER_KIND_MAX && c.listeners[i].address.port != 0 &&
		    c.listeners[i].nnetworks <= CONF_NETWORKS_MAX && memchr(c.listeners[i].name, 0, sizeof(c.listeners[i].name)));
	/* tls.certificate and tls.key may be set to nothing; the pairs with names have file names by themselves. */
	for (size_t i = 1; conf_pair(&c, i, &pair); i++)
		must(pair.certificate[0] != 0 && pair.key[0] != 0);
	must(c.nroutes <= CONF_ROUTES_MAX);
	for (size_t i = 0; i < c.nroutes; i++) {
		const struct conf_route *r = &c.routes[i];

		must(r->name[0] != 0 && (r->user[0] == 0) == (r->secret[0] == 0));
		must((r->host[0] != 0) == (r->port != 0 && r->kind != ROUTE_MX) && (r->host[0] == 0 || r->path[0] == 0));
		conf_find_route(&c, r->accounts, r->from_domains, r->to_domains);
	}
	put_again(&c);
	return 0;
}
