/*
 * The registry as smtpadm's commands use it: opened as its owner, its errors as exit codes. Runs with the admin's
 * rights; registry_open() becomes the owner where root calls it.
 */
#include "people.h"

#include <string.h>

#include "addr.h"
#include "conf.h"
#include "err.h"
#include "out.h"

int
people_fail(struct registry *r, int err, const char *doing)
{
	int code = admin_code(err);
	const char *name = admin_name(err);

	if (err == ERR_BUSY)
		out_fix("the same command again, when the other program is done");
	else if (err == ERR_NOTFOUND)
		out_fix("smtpadm setup");
	else if (err == ERR_VERSION)
		out_fix("the newer version of Postern that wrote it");
	else if (code == EX_NOPERM)
		out_fix("the same command as root, or as the owner of the instance");
	return out_fail(code, name, "%s: the registry: %s", doing, registry_reason(r));
}

int
people_open_as(const struct admin *a, const struct instance_ids *ids, bool writable, struct registry **r)
{
	int err;

	*r = NULL;
	if ((err = registry_open(r, &a->in, ids, writable)) == ERR_OK)
		return EX_OK;
	*r = NULL;
	return people_fail(NULL, err, a->in.registry_file);
}

int
people_open(const struct admin *a, bool writable, struct registry **r)
{
	static struct conf c;
	struct instance_ids ids;
	int code;

	*r = NULL;
	if ((code = admin_load_conf(a, &c)) != EX_OK)
		return code;
	instance_ids(&a->in, &c, &ids);
	return people_open_as(a, &ids, writable, r);
}

int
people_find(struct registry *r, const char *name, struct registry_account *account)
{
	int err = registry_find_account(r, name, account);

	if (err == ERR_NOTFOUND) {
		out_fix("smtpadm account list");
		return out_fail(EX_NOUSER, "no_account", "there is no account '%s'", name);
	}
	return err == ERR_OK ? EX_OK : people_fail(r, err, name);
}

int
people_end(struct registry *r, int code)
{
	int err;

	if (code == EX_OK && (err = registry_commit(r)) != ERR_OK)
		code = people_fail(r, err, "commit");
	if (code != EX_OK)
		registry_rollback(r);
	return code;
}

int
people_check_name(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-";
	struct addr address;
	size_t n = strlen(name);

	if (n < REGISTRY_NAME_MAX && addr_parse(&address, name, n, true) == ERR_OK)
		return EX_OK;
	if (n < REGISTRY_NAME_MAX && n > 0 && strspn(name, letters) == n)
		return EX_OK;
	return out_fail(
	    EX_DATAERR, "bad_address", "'%s' is neither an address such as alice@example.org nor a plain word", name);
}
