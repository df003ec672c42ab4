#ifndef ADMIN_ROUTE_KEYS_H
#define ADMIN_ROUTE_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf.h"

#define ROUTE_VALUE 1100	/* octets of a value as text, with NUL */

/* The keys of a [route NAME], in the order in which they are shown; NULL behind the last. */
const char *route_key(size_t i);
/* One sentence about it, and its default as words. */
const char *route_key_help(size_t i);
const char *route_key_default(size_t i);

/* A route's URL without its user; a key's value as it would stand in the file, "" where it is not set. to holds ROUTE_VALUE; returns to. */
char	*route_put_url(char *to, const struct conf_route *r);
char	*route_put_value(char *to, const struct conf_route *r, const char *key);
/* Whether a key of the route has more words than this value of it: it stands in other lines of the file, too. */
bool	route_has_more(const struct conf_route *r, const char *key, const char *value);
/* NULL: there is none. */
const struct conf_route *route_find(const struct conf *c, const char *name);

#endif
