#ifndef ADMIN_ROUTE_H
#define ADMIN_ROUTE_H

#include "admin.h"
#include "conf.h"
#include "conffile.h"
#include "secret.h"

/* A route on its way into the configuration file, and its password into a file of its own. */
struct new_route {
	const char		*name;
	const struct conf_route	*route;		/* as it will be, in the caller's configuration */
	struct secret		 secret;	/* wiped by route_plan_end() */
	char			 path[PATH_MAX];	/* of the secret; "" for none */
};

/*
 * Puts [route NAME] into the text of the file, with the options of route add, parses it into *c, and asks for the password where
 * there is a user. Reads only. Exit code.
 */
int	route_plan(struct new_route *n, const struct admin *a, struct conffile *f, struct conf *c, const char *name, const char *url,
	    bool with_options);
/* Writes the password's file; before the configuration that names it. Exit code. */
int	route_write_secret(const struct new_route *n);
void	route_plan_end(struct new_route *n);

/* Says what is missing for a route: the file of the password, that of the authorities. Exit code. */
int	route_check(const struct admin *a, const struct conf_route *r);
/* Says which mail has no route. */
void	route_warn_default(const struct conf *c);

#endif
