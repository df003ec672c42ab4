/*
 * The sections [route NAME] of a configuration: where mail goes on to. Run by whoever parses a configuration, by postern-spool for
 * each recipient, and by smtpadm. Pure.
 */
#include "conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "addr.h"
#include "err.h"
#include "str.h"

#define SESSIONS_MAX 1000

static const char *const kinds[] = { "smtp", "smtps", "lmtp", "mx", "discard" };
static const char *const tls_words[] = { "none", "opportunistic", "required", "verified" };

enum route_key {
	KEY_URL, KEY_TLS, KEY_USER, KEY_SECRET, KEY_CA, KEY_TO_DOMAIN, KEY_FROM_DOMAIN, KEY_ACCOUNT, KEY_SESSIONS, KEY_RETURN_PATH,
	KEY_COUNT,
};
static const char *const key_names[KEY_COUNT] = {
	[KEY_URL] = "url", [KEY_TLS] = "tls", [KEY_USER] = "user", [KEY_SECRET] = "secret", [KEY_CA] = "ca",
	[KEY_TO_DOMAIN] = "to_domain", [KEY_FROM_DOMAIN] = "from_domain", [KEY_ACCOUNT] = "account", [KEY_SESSIONS] = "sessions",
	[KEY_RETURN_PATH] = "return_path",
};

const char *
conf_route_kind(enum route_kind kind)
{
	return kinds[kind];
}

const char *
conf_route_tls(enum route_tls tls)
{
	return tls_words[tls];
}

static int
explain(struct conf_error *error, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int
explain(struct conf_error *error, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, ap);
	va_end(ap);
	return err;
}

/* Host and port of n octets: "mail.example.org", "192.0.2.1:25", "[2001:db8::1]:25". */
static int
parse_host(struct conf_route *r, const char *p, size_t n, struct conf_error *error)
{
	const char *end = p + n, *colon = memchr(p, ':', n), *host = p;
	struct netmask m;
	uint64_t port;
	size_t len;

	if (n != 0 && p[0] == '[') {
		const char *close = memchr(p, ']', n);

		if (close == NULL || (close + 1 != end && close[1] != ':'))
			return explain(error, ERR_SYNTAX, "an IPv6 address in a URL stands in brackets, as in smtp://[2001:db8::1]:587");
		host = p + 1;
		len = (size_t)(close - host);
		colon = close + 1 != end ? close + 1 : NULL;
	} else {
		len = colon != NULL ? (size_t)(colon - p) : n;
	}
	if (colon != NULL) {
		if (str_parse_u64(colon + 1, (size_t)(end - colon - 1), UINT16_MAX, &port) != ERR_OK || port == 0)
			return explain(error, ERR_SYNTAX, "'%.*s' is no port", (int)(end - colon - 1), colon + 1);
		r->port = (uint16_t)port;
	}
	if (str_copy(r->host, sizeof(r->host), host, len) != ERR_OK || strchr(r->host, '/') != NULL ||
	    (host != p ? strchr(r->host, ':') == NULL || netmask_parse(&m, r->host) != ERR_OK :
	    r->host[0] == '[' || !addr_is_domain(r->host, len, false)))
		return explain(error, ERR_SYNTAX, "'%.*s' is no host: use a name or an address, as in smtp://mail.example.org:587",
		    (int)len, host);
	return ERR_OK;
}

/* What stands behind "scheme://": an optional user, host, port. */
static int
parse_authority(struct conf_route *r, const char *p, struct conf_error *error)
{
	const char *at = strrchr(p, '@');
	size_t n;

	if (at != NULL) {
		if (memchr(p, ':', (size_t)(at - p)) != NULL)
			return explain(error, ERR_DENIED, "a URL must not hold a password: remove it from the URL, and give it to "
			    "smtpadm route add, which asks for it and keeps it in a file of its own");
		if (at == p || str_copy(r->user, sizeof(r->user), p, (size_t)(at - p)) != ERR_OK)
			return explain(error, ERR_SYNTAX, "the user in the URL is empty or too long");
		p = at + 1;
	}
	n = strlen(p);
	if (n != 0 && p[n - 1] == '/')
		n--;
	return parse_host(r, p, n, error);
}

int
conf_parse_route_url(struct conf_route *r, const char *url, struct conf_error *error)
{
	static const struct {
		const char	*scheme;
		enum route_kind	 kind;
		enum route_tls	 tls;
		uint16_t	 port;
	} rows[] = {
		{ "smtp://", ROUTE_SMTP, ROUTE_TLS_OPPORTUNISTIC, 25 },
		{ "smtps://", ROUTE_SMTPS, ROUTE_TLS_VERIFIED, 465 },
		{ "lmtp://", ROUTE_LMTP, ROUTE_TLS_NONE, 24 },
		{ "lmtp:", ROUTE_LMTP, ROUTE_TLS_NONE, 0 },
		{ "mx:", ROUTE_MX, ROUTE_TLS_OPPORTUNISTIC, 25 },
		{ "discard:", ROUTE_DISCARD, ROUTE_TLS_NONE, 0 },
	};
	size_t i = 0, count = sizeof(rows) / sizeof(rows[0]);
	const char *rest;
	uint64_t port;

	while (i < count && strncasecmp(url, rows[i].scheme, strlen(rows[i].scheme)) != 0)
		i++;
	if (i == count)
		return explain(error, ERR_SYNTAX, "'%s' is no URL of a route: use smtp://HOST:PORT, smtps://HOST, lmtp://HOST:PORT, "
		    "lmtp:/PATH, mx: or discard:", url);
	rest = url + strlen(rows[i].scheme);
	r->kind = rows[i].kind;
	r->tls = rows[i].tls;
	r->port = rows[i].port;
	r->host[0] = r->path[0] = 0;
	if (strstr(rows[i].scheme, "//") != NULL)
		return parse_authority(r, rest, error);
	if (r->kind == ROUTE_LMTP) {
		if (rest[0] != '/' || rest[1] == 0 || str_copy(r->path, sizeof(r->path), rest, strlen(rest)) != ERR_OK)
			return explain(error, ERR_SYNTAX, "'%s' is no path of a socket: it starts with / and has up to %zu characters",
			    rest, sizeof(r->path) - 1);
		return ERR_OK;
	}
	if (rest[0] == 0)
		return ERR_OK;
	if (r->kind != ROUTE_MX || str_parse_u64(rest, strlen(rest), UINT16_MAX, &port) != ERR_OK || port == 0)
		return explain(error, ERR_SYNTAX, "nothing stands behind '%s'", rows[i].scheme);
	r->port = (uint16_t)port;
	return ERR_OK;
}

static struct conf_route *
find(struct conf *c, const char *name, unsigned line)
{
	struct conf_route *r;

	for (size_t i = 0; i < c->nroutes; i++)
		if (strcmp(c->routes[i].name, name) == 0)
			return &c->routes[i];
	if (c->nroutes == CONF_ROUTES_MAX)
		return NULL;
	r = &c->routes[c->nroutes];
	if (str_copy(r->name, sizeof(r->name), name, strlen(name)) != ERR_OK)
		return NULL;
	r->line = line;
	c->nroutes++;
	return r;
}

/* The next word of a value, in lower case; false at its end. Too long a word: "". */
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
	for (char *q = to; *q != 0; q++)
		if (*q >= 'A' && *q <= 'Z')
			*q = (char)(*q - 'A' + 'a');
	return true;
}

/* Whether a list has a word. */
static bool
has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (*list != 0) {
		size_t len = strcspn(list, " ");

		if (str_is_equal_nocase(list, len, word, n))
			return true;
		list += len + (list[len] != 0);
	}
	return false;
}

static int
add_words(const struct conf_route *r, enum route_key key, char *list, size_t size, const char *value, struct conf_error *error)
{
	char word[256];

	while (take_word(&value, word, sizeof(word))) {
		size_t used = strlen(list);
		const char *domain = strncmp(word, "*.", 2) == 0 ? word + 2 : word;

		if (key == KEY_ACCOUNT ? word[0] == 0 : !addr_is_domain(domain, strlen(domain), true))
			return explain(error, ERR_SYNTAX, "'%s' is no %s for %s of route '%s'", word,
			    key == KEY_ACCOUNT ? "account" : "domain such as example.org or *.example.org", key_names[key], r->name);
		if (!has_word(list, word) && str_fmt(list + used, size - used, "%s%s", used != 0 ? " " : "", word) != ERR_OK)
			return explain(error, ERR_TOOBIG, "%s of route '%s' has more words than there is room for", key_names[key], r->name);
	}
	return list[0] != 0 ? ERR_OK : explain(error, ERR_SYNTAX, "%s of route '%s' is empty", key_names[key], r->name);
}

static int
set_text(const struct conf_route *r, enum route_key key, char *field, size_t size, const char *value, struct conf_error *error)
{
	if (field[0] != 0)	/* the user, by the URL */
		return explain(error, ERR_EXISTS, "%s of route '%s' is set twice: remove one of them", key_names[key], r->name);
	if (value[0] == 0 || str_copy(field, size, value, strlen(value)) != ERR_OK)
		return explain(error, ERR_SYNTAX, "%s of route '%s' is empty or too long", key_names[key], r->name);
	return ERR_OK;
}

static int
set_tls(struct conf_route *r, const char *value, struct conf_error *error)
{
	for (size_t i = 0; i < sizeof(tls_words) / sizeof(tls_words[0]); i++) {
		if (strcmp(value, tls_words[i]) == 0) {
			r->tls = (enum route_tls)i;
			return ERR_OK;
		}
	}
	return explain(error, ERR_SYNTAX, "'%s' is no value for tls of route '%s': it takes none, opportunistic, required or verified",
	    value, r->name);
}

static int
set_url(struct conf_route *r, const char *value, struct conf_error *error)
{
	char user[sizeof(r->user)];
	enum route_tls tls = r->tls;
	struct conf_error why;
	int err;

	memcpy(user, r->user, sizeof(user));
	r->user[0] = 0;
	if ((err = conf_parse_route_url(r, value, &why)) != ERR_OK)
		return explain(error, err, "url of route '%s': %.400s", r->name, why.text);
	if (r->user[0] != 0 && user[0] != 0)
		return explain(error, ERR_EXISTS, "user of route '%s' is set twice: remove one of them", r->name);
	if (user[0] != 0)
		memcpy(r->user, user, sizeof(user));
	if ((r->given & 1U << KEY_TLS) != 0)
		r->tls = tls;
	return ERR_OK;
}

static int
set_sessions(struct conf_route *r, const char *value, struct conf_error *error)
{
	if (str_parse_u64(value, strlen(value), SESSIONS_MAX, &r->sessions) != ERR_OK || r->sessions == 0)
		return explain(error, ERR_SYNTAX, "'%s' is no value for sessions of route '%s': it takes a number from 1 to %d", value,
		    r->name, SESSIONS_MAX);
	return ERR_OK;
}

static int
set_return_path(struct conf_route *r, const char *value, struct conf_error *error)
{
	r->return_path = strcmp(value, "on") == 0;
	if (!r->return_path && strcmp(value, "off") != 0)
		return explain(error, ERR_SYNTAX, "'%s' is no value for return_path of route '%s': it takes on or off", value, r->name);
	return ERR_OK;
}

static int
set(struct conf_route *r, enum route_key key, const char *value, struct conf_error *error)
{
	switch (key) {
	case KEY_URL:
		return set_url(r, value, error);
	case KEY_TLS:
		return set_tls(r, value, error);
	case KEY_USER:
		return set_text(r, key, r->user, sizeof(r->user), value, error);
	case KEY_SECRET:
		return set_text(r, key, r->secret, sizeof(r->secret), value, error);
	case KEY_CA:
		return set_text(r, key, r->ca, sizeof(r->ca), value, error);
	case KEY_TO_DOMAIN:
		return add_words(r, key, r->to_domains, sizeof(r->to_domains), value, error);
	case KEY_FROM_DOMAIN:
		return add_words(r, key, r->from_domains, sizeof(r->from_domains), value, error);
	case KEY_ACCOUNT:
		return add_words(r, key, r->accounts, sizeof(r->accounts), value, error);
	case KEY_SESSIONS:
		return set_sessions(r, value, error);
	case KEY_RETURN_PATH:
		return set_return_path(r, value, error);
	case KEY_COUNT:
		break;
	}
	return ERR_NOTFOUND;
}

int
conf_set_route(struct conf *c, const char *name, const char *key, const char *value, unsigned line, struct conf_error *error)
{
	struct conf_route *r;
	size_t i = 0;
	int err;

	/* It becomes part of a file's name, and of trace lines. */
	if (name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] != 0 || name[0] == '.')
		return explain(error, ERR_SYNTAX, "'%s' is no name for a route: use letters, digits, '.', '_' and '-'", name);
	if ((r = find(c, name, line)) == NULL)
		return explain(error, ERR_TOOBIG, "more than %d routes, or the name '%s' is over %d characters", CONF_ROUTES_MAX, name,
		    CONF_ROUTE_NAME - 1);
	while (i < KEY_COUNT && strcmp(key, key_names[i]) != 0)
		i++;
	if (i == KEY_COUNT)
		return explain(error, ERR_NOTFOUND, "unknown key '%s' in [route %s]: the keys are url, tls, user, secret, ca, to_domain, "
		    "from_domain, account, sessions and return_path", key, name);
	if ((r->given & 1U << i) != 0 && i != KEY_TO_DOMAIN && i != KEY_FROM_DOMAIN && i != KEY_ACCOUNT)
		return explain(error, ERR_EXISTS, "%s of route '%s' is set twice: remove one of the lines", key, name);
	if ((err = set(r, (enum route_key)i, value, error)) == ERR_OK)
		r->given |= 1U << i;
	return err;
}

/* Whether the octets that go there stay in this machine. */
static bool
is_local(const struct conf_route *r)
{
	struct netmask m;

	return r->path[0] != 0 || strcasecmp(r->host, "localhost") == 0 ||
	    (netmask_parse(&m, r->host) == ERR_OK && netaddr_is_loopback(&m.address));
}

static bool
is_default(const struct conf_route *r)
{
	return r->to_domains[0] == 0 && r->from_domains[0] == 0 && r->accounts[0] == 0;
}

/* What fits together within one route. */
static int
check(const struct conf_route *r, struct conf_error *error)
{
	bool has_session = r->kind != ROUTE_MX && r->kind != ROUTE_DISCARD && r->path[0] == 0;

	if ((r->given & 1U << KEY_URL) == 0)
		return explain(error, ERR_SYNTAX, "route '%s' has no url: add one such as 'url = smtp://mail.example.org:587'", r->name);
	if (r->user[0] != 0 && !has_session)
		return explain(error, ERR_SYNTAX, "route '%s' has a user, but nobody to log in to", r->name);
	if (r->user[0] == 0 && (r->given & 1U << KEY_SECRET) != 0)
		return explain(error, ERR_SYNTAX, "route '%s' has a secret, but no user: add one with 'user = NAME'", r->name);
	if (r->user[0] != 0 && r->tls < ROUTE_TLS_REQUIRED && !is_local(r))
		return explain(error, ERR_SYNTAX, "route '%s' would send its password in the clear: set its tls to verified or required",
		    r->name);
	if (r->kind == ROUTE_SMTPS && r->tls < ROUTE_TLS_REQUIRED)
		return explain(error, ERR_SYNTAX, "route '%s' has TLS from the first octet: its tls can be required or verified", r->name);
	if (r->tls != ROUTE_TLS_NONE && (r->path[0] != 0 || r->kind == ROUTE_DISCARD))
		return explain(error, ERR_SYNTAX, "route '%s' has no connection that TLS could be used on: remove its tls", r->name);
	if (r->ca[0] != 0 && r->tls != ROUTE_TLS_VERIFIED)
		return explain(error, ERR_SYNTAX, "ca of route '%s' is used with 'tls = verified' only", r->name);
	if (r->return_path && r->kind != ROUTE_LMTP)
		return explain(error, ERR_SYNTAX, "return_path of route '%s' is for LMTP only: SMTP servers write it at final delivery", r->name);
	return ERR_OK;
}

static int
check_words(const struct conf_route *r, const struct conf_route *other, enum route_key key, const char *list, const char *others,
    struct conf_error *error)
{
	char word[256];

	while (take_word(&list, word, sizeof(word)))
		if (has_word(others, word))
			return explain(error, ERR_EXISTS, "'%s' is %s of both route '%s' and route '%s'", word, key_names[key],
			    other->name, r->name);
	return ERR_OK;
}

/* What fits together between two. */
static int
check_pair(const struct conf_route *r, const struct conf_route *other, struct conf_error *error)
{
	if (is_default(r) && is_default(other))
		return explain(error, ERR_EXISTS, "routes '%s' and '%s' are both for all other mail: give one of them a to_domain, "
		    "from_domain or account", other->name, r->name);
	if (check_words(r, other, KEY_TO_DOMAIN, r->to_domains, other->to_domains, error) != ERR_OK ||
	    check_words(r, other, KEY_FROM_DOMAIN, r->from_domains, other->from_domains, error) != ERR_OK ||
	    check_words(r, other, KEY_ACCOUNT, r->accounts, other->accounts, error) != ERR_OK)
		return ERR_EXISTS;
	return ERR_OK;
}

int
conf_complete_routes(struct conf *c, struct conf_error *error)
{
	for (size_t i = 0; i < c->nroutes; i++) {
		struct conf_route *r = &c->routes[i];

		error->line = r->line;
		if (r->user[0] != 0 && r->kind == ROUTE_SMTP && (r->given & 1U << KEY_TLS) == 0)
			r->tls = ROUTE_TLS_VERIFIED;
		if (check(r, error) != ERR_OK)
			return ERR_SYNTAX;
		for (size_t j = 0; j < i; j++)
			if (check_pair(r, &c->routes[j], error) != ERR_OK)
				return ERR_SYNTAX;
		if (r->user[0] != 0 && r->secret[0] == 0)
			snprintf(r->secret, sizeof(r->secret), "routes/%s.secret", r->name);
	}
	error->line = 0;
	return ERR_OK;
}

/* By a domain: first as it is, then "*.example.org" for each domain above it, the nearest first. */
static const struct conf_route *
find_domain(const struct conf *c, const char *domain, size_t list)
{
	char pattern[260];

	for (const char *p = domain; domain[0] != 0 && p != NULL; p = strchr(p + 1, '.')) {
		if (str_fmt(pattern, sizeof(pattern), "%s%s", p == domain ? "" : "*", p) != ERR_OK)
			return NULL;
		for (size_t i = 0; i < c->nroutes; i++)
			if (has_word((const char *)&c->routes[i] + list, pattern))
				return &c->routes[i];
	}
	return NULL;
}

const struct conf_route *
conf_find_route(const struct conf *c, const char *account, const char *from_domain, const char *to_domain)
{
	const struct conf_route *r;

	if ((r = find_domain(c, to_domain, offsetof(struct conf_route, to_domains))) != NULL)
		return r;
	for (size_t i = 0; i < c->nroutes; i++)
		if (account[0] != 0 && has_word(c->routes[i].accounts, account))
			return &c->routes[i];
	if ((r = find_domain(c, from_domain, offsetof(struct conf_route, from_domains))) != NULL)
		return r;
	for (size_t i = 0; i < c->nroutes; i++)
		if (is_default(&c->routes[i]))
			return &c->routes[i];
	return NULL;
}
