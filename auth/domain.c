/*
 * The domains that mail is sent from, as the admin names them, so that what DNS needs for each can be said and checked. Part of the
 * registry library.
 */
#include <string.h>

#include "err.h"
#include "io.h"
#include "registry.h"
#include "store.h"

static const struct registry_account nobody;

int
registry_add_domain(struct registry *r, const char *name)
{
	int err;

	if ((err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = store_bind(r, STATEMENT_DOMAIN_ADD, "su", name, io_now_us())) == ERR_OK &&
	    (err = store_step(r, STATEMENT_DOMAIN_ADD)) == ERR_OK)
		err = store_add_history(r, "domain.add", &nobody, name);
	return store_end_change(r, err);
}

int
registry_remove_domain(struct registry *r, const char *name)
{
	int err;

	if ((err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = store_bind(r, STATEMENT_DOMAIN_REMOVE, "s", name)) == ERR_OK &&
	    (err = store_run_change(r, STATEMENT_DOMAIN_REMOVE)) == ERR_OK)
		err = store_add_history(r, "domain.remove", &nobody, name);
	return store_end_change(r, err);
}

int
registry_walk_domains(struct registry *r, int (*each)(const struct registry_domain *d, void *arg), void *arg)
{
	const enum statement s = STATEMENT_DOMAINS;
	struct registry_domain d;
	int result;

	if ((result = store_bind(r, s, "")) != ERR_OK)
		return result;
	while ((result = store_step(r, s)) == 1) {
		store_text(r, s, 0, d.name, sizeof(d.name));
		d.created_us = store_u64(r, s, 1);
		if ((result = each(&d, arg)) != 0) {
			store_end(r, s);
			break;
		}
	}
	return result;
}
