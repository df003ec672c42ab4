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
#include "scopes.h"

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
	out_fix("an address such as alice@example.org, or letters, digits and ._+- only");
	return out_fail(
	    EX_DATAERR, "bad_address", "'%s' is neither an address such as alice@example.org nor a plain word", name);
}

int
people_begin(const struct admin *a, struct registry **r)
{
	int code = people_open(a, true, r), err;

	if (code == EX_OK && (err = registry_begin(*r)) != ERR_OK) {
		code = people_fail(*r, err, "begin");
		registry_close(*r);
		*r = NULL;
	}
	return code;
}

int
people_finish(const struct admin *a, struct registry *r, int code)
{
	if (code == EX_OK && a->dry_run) {
		registry_rollback(r);
		return EX_OK;
	}
	return people_end(r, code);
}

/* crypt(5)'s prefixes. */
const char *
people_method(const char *hash)
{
	static const struct {
		const char *prefix, *name;
	} methods[] = { { "$y$", "yescrypt" }, { "$6$", "sha512crypt" }, { "$5$", "sha256crypt" }, { "$2", "bcrypt" } };

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strncmp(hash, methods[i].prefix, strlen(methods[i].prefix)) == 0)
			return methods[i].name;
	return "unknown";
}

const char *
people_kind(const struct registry_credential *c)
{
	if (c->kind != CREDENTIAL_APP)
		return c->kind == CREDENTIAL_MAIN ? "main" : "local";
	return c->canary ? "canary" : c->device ? "device" : "app";
}

int
people_put_credential(struct json *j, struct registry *r, const struct registry_credential *c)
{
	json_put_str(j, "name", c->name);
	json_put_str(j, "method", c->kind == CREDENTIAL_LOCAL ? "none" : people_method(c->hash));
	json_put_u64(j, "changed_time", c->changed_us / 1000000);
	json_put_str(j, "kind", c->kind == CREDENTIAL_MAIN ? "main" : c->kind == CREDENTIAL_APP ? "app" : "local");
	json_put_bool(j, "device", c->device);
	json_put_u64(j, "expires_time", c->expires_us / 1000000);
	json_put_u64(j, "used_time", c->used_us / 1000000);
	json_put_str(j, "used_network", c->used_network);
	json_put_bool(j, "canary", c->canary);
	if (c->kind == CREDENTIAL_LOCAL) {
		json_put_str(j, "local_user", c->local_user);
		json_put_u64(j, "local_uid", c->local_uid);
	}
	return scopes_put_json(j, r, c);
}

void
people_put_limits(struct json *j, const struct registry_limits *l)
{
	json_open(j, "limits", '{');
	if (l->sessions != 0)
		json_put_u64(j, "sessions", l->sessions);
	if (l->recipients != 0)
		json_put_u64(j, "recipients", l->recipients);
	if (l->message_size != 0)
		json_put_u64(j, "message_size", l->message_size);
	if (l->messages_per_hour != 0)
		json_put_u64(j, "messages_per_hour", l->messages_per_hour);
	json_close(j, '}');
}
