/*
 * The sections [listener NAME] of a configuration: which addresses are served, and how. Run by whoever parses a configuration. Pure.
 */
#include "conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "str.h"

static const char *const kinds[] = { "submission", "submissions", "plain", "local" };

const char *
conf_listener_kind(enum listener_kind kind)
{
	return kinds[kind];
}

int
conf_parse_listener_kind(const char *word, enum listener_kind *kind)
{
	for (size_t i = 0; i <= LISTENER_PLAIN; i++) {
		if (strcmp(kinds[i], word) == 0) {
			*kind = (enum listener_kind)i;
			return ERR_OK;
		}
	}
	return ERR_NOTFOUND;
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

static struct conf_listener *
find(struct conf *c, const char *name, unsigned line)
{
	struct conf_listener *l;

	for (size_t i = 0; i < c->nlisteners; i++)
		if (strcmp(c->listeners[i].name, name) == 0)
			return &c->listeners[i];
	if (c->nlisteners == CONF_LISTENERS_MAX)
		return NULL;
	l = &c->listeners[c->nlisteners];
	if (str_copy(l->name, sizeof(l->name), name, strlen(name)) != ERR_OK)
		return NULL;
	l->line = line;
	c->nlisteners++;
	return l;
}

static int
set_networks(struct conf_listener *l, const char *value, struct conf_error *error)
{
	while (*value != 0) {
		size_t n = strcspn(value, " \t,");
		char word[64];

		if (n != 0) {
			if (l->nnetworks == CONF_NETWORKS_MAX)
				return explain(error, ERR_TOOBIG, "a listener takes at most %d networks", CONF_NETWORKS_MAX);
			if (str_copy(word, sizeof(word), value, n) != ERR_OK ||
			    netmask_parse(&l->networks[l->nnetworks], word) != ERR_OK)
				return explain(error, ERR_SYNTAX, "'%.*s' is not a network such as 192.168.1.0/24", (int)n, value);
			l->nnetworks++;
		}
		value += n + (value[n] != 0);
	}
	return ERR_OK;
}

static int
set_kind(struct conf_listener *l, const char *value, struct conf_error *error)
{
	if (l->has_kind)
		return explain(error, ERR_EXISTS, "kind of listener '%s' is set twice", l->name);
	l->has_kind = true;
	if (conf_parse_listener_kind(value, &l->kind) != ERR_OK)
		return explain(error, ERR_SYNTAX, "kind '%s' of listener '%s' is unknown: use submission, submissions or plain",
		    value, l->name);
	return ERR_OK;
}

static int
set_address(struct conf_listener *l, const char *value, struct conf_error *error)
{
	if (l->address.port != 0)
		return explain(error, ERR_EXISTS, "address of listener '%s' is set twice: give each address a section of its own",
		    l->name);
	if (netaddr_parse(&l->address, value) != ERR_OK || l->address.port == 0)
		return explain(error, ERR_SYNTAX, "address '%s' of listener '%s' is not ADDRESS:PORT, such as 0.0.0.0:587 or [::]:587",
		    value, l->name);
	return ERR_OK;
}

int
conf_set_listener(struct conf *c, const char *name, const char *key, const char *value, unsigned line, struct conf_error *error)
{
	struct conf_listener *l = find(c, name, line);

	if (l == NULL)
		return explain(error, ERR_TOOBIG, "too many listeners, or the name '%s' is too long", name);
	if (strcmp(key, "kind") == 0)
		return set_kind(l, value, error);
	if (strcmp(key, "address") == 0)
		return set_address(l, value, error);
	if (strcmp(key, "networks") == 0)
		return set_networks(l, value, error);
	return explain(error, ERR_NOTFOUND, "unknown key '%s' in [listener %s]: the keys are kind, address and networks", key, name);
}

static int
check(const struct conf *c, const struct conf_listener *l, struct conf_error *error)
{
	enum listener_kind kind = l->kind;

	if (!l->has_kind && conf_parse_listener_kind(l->name, &kind) != ERR_OK)
		return explain(error, ERR_SYNTAX, "listener '%s' has no kind: add 'kind = submission', submissions or plain", l->name);
	if (l->address.port == 0)
		return explain(error, ERR_SYNTAX, "listener '%s' has no address: add one such as 'address = 0.0.0.0:587'", l->name);
	if (kind == LISTENER_PLAIN && !netaddr_is_loopback(&l->address) && l->nnetworks == 0)
		return explain(error, ERR_SYNTAX, "listener '%s' has no TLS, so passwords would cross the network in the clear: use a "
		    "loopback address, or name the local networks with 'networks = 192.168.1.0/24'", l->name);
	for (const struct conf_listener *other = c->listeners; other < l; other++)
		if (netaddr_is_equal(&l->address, &other->address))
			return explain(error, ERR_SYNTAX, "listeners '%s' and '%s' have the same address", other->name, l->name);
	return ERR_OK;
}

int
conf_complete_listeners(struct conf *c, struct conf_error *error)
{
	for (size_t i = 0; i < c->nlisteners; i++) {
		struct conf_listener *l = &c->listeners[i];

		if (check(c, l, error) != ERR_OK) {
			error->line = l->line;
			return ERR_SYNTAX;
		}
		if (!l->has_kind)
			conf_parse_listener_kind(l->name, &l->kind);
	}
	return ERR_OK;
}
