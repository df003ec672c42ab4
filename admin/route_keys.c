/*
 * The keys of sections [route NAME] as text, for smtpadm config and smtpadm route. Pure.
 */
#include "route_keys.h"

#include <stdio.h>
#include <string.h>

#include "str.h"

static const struct {
	const char *key, *fallback, *help;
} keys[] = {
	{ "url", "", "Where to: smtp://HOST:PORT, smtps://HOST, lmtp://HOST:PORT, lmtp:/PATH, mx: or discard:." },
	{ "tls", "by the url", "none, opportunistic, required or verified." },
	{ "user", "", "Name to log in with; its password is in the file that secret names." },
	{ "secret", "routes/NAME.secret", "File of the password, readable by its owner only." },
	{ "ca", "", "File of certificates of authorities to verify by; empty for the system's." },
	{ "to_domain", "", "Domains of recipients that go this way, such as example.org *.example.org." },
	{ "account", "", "Accounts whose mail goes this way." },
	{ "from_domain", "", "Domains of senders whose mail goes this way." },
	{ "sessions", "delivery.sessions_per_destination", "Sessions at the same time with one next hop of this route." },
	{ "return_path", "off", "For LMTP: whether a Return-Path field is written." },
};
#define NKEYS (sizeof(keys) / sizeof(keys[0]))

const char *
route_key(size_t i)
{
	return i < NKEYS ? keys[i].key : NULL;
}

const char *
route_key_help(size_t i)
{
	return keys[i].help;
}

const char *
route_key_default(size_t i)
{
	return keys[i].fallback;
}

char *
route_put_url(char *to, const struct conf_route *r)
{
	bool is_six = strchr(r->host, ':') != NULL;

	if (r->host[0] != 0)
		snprintf(to, ROUTE_VALUE, "%s://%s%s%s:%u", conf_route_kind(r->kind), is_six ? "[" : "", r->host, is_six ? "]" : "",
		    (unsigned)r->port);
	else if (r->kind == ROUTE_MX && r->port != 25)
		snprintf(to, ROUTE_VALUE, "mx:%u", (unsigned)r->port);
	else
		snprintf(to, ROUTE_VALUE, "%s:%s", conf_route_kind(r->kind), r->path);
	return to;
}

char *
route_put_value(char *to, const struct conf_route *r, const char *key)
{
	const struct {
		const char *key, *value;
	} texts[] = {
		{ "tls", conf_route_tls(r->tls) }, { "user", r->user }, { "secret", r->secret }, { "ca", r->ca },
		{ "to_domain", r->to_domains }, { "account", r->accounts }, { "from_domain", r->from_domains },
		{ "return_path", r->kind != ROUTE_LMTP ? "" : r->return_path ? "on" : "off" },
	};

	to[0] = 0;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i].key, key) == 0)
			snprintf(to, ROUTE_VALUE, "%s", texts[i].value);
	if (strcmp(key, "url") == 0)
		route_put_url(to, r);
	else if (strcmp(key, "sessions") == 0 && r->sessions != 0)
		str_put_u64(to, r->sessions);
	return to;
}

const struct conf_route *
route_find(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->nroutes; i++)
		if (strcmp(c->routes[i].name, name) == 0)
			return &c->routes[i];
	return NULL;
}

bool
route_has_more(const struct conf_route *r, const char *key, const char *value)
{
	char held[ROUTE_VALUE];
	size_t words = 0, asked = 0;

	if (strcmp(key, "url") == 0)
		return false;
	for (const char *p = route_put_value(held, r, key); *p != 0; words++)
		p += strcspn(p, " ") + strspn(p + strcspn(p, " "), " ");
	for (const char *p = value + strspn(value, " \t,"); *p != 0; asked++)
		p += strcspn(p, " \t,") + strspn(p + strcspn(p, " \t,"), " \t,");
	return words > asked;
}
