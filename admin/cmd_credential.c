/*
 * smtpadm credential: the passwords of an account beside its main one, for single programs and devices. Runs with the admin's
 * rights and writes the registry in one transaction a command; with --dry-run it is rolled back. Passwords are hashed before it
 * begins, and one that was made is printed once.
 */
#include "command.h"

#include <string.h>

#include "err.h"
#include "io.h"
#include "out.h"
#include "people.h"
#include "secret.h"
#include "show.h"
#include "str.h"

static const struct table_column columns[] = {
    {"NAME", false, 12},
    {"KIND", false, 0},
    {"SET", false, 0},
    {"EXPIRES", false, 0},
    {"LAST USED", false, 0},
    {"FROM", false, 0},
};

static void
report(const struct admin *a, const char *account, const char *name, const char *action, const struct secret *s)
{
	struct json j;

	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "account", account);
		json_put_str(&j, "credential", name);
		json_put_str(&j, "action", action);
		json_put_bool(&j, "dry_run", a->dry_run);
		if (s != NULL && s->generated && !a->dry_run)
			json_put_str(&j, "password", s->text);
		json_end(&j, stdout);
		return;
	}
	out_say("account %s: credential %s %s%s", account, name, action, a->dry_run ? " (dry run: nothing was changed)" : "");
	if (s != NULL && s->generated && !a->dry_run)
		printf("%s\n", s->text);
}

static int
need_name(const struct admin *a, const char **name)
{
	if ((*name = admin_value(a, OPT_NAME)) != NULL)
		return EX_OK;
	out_fix("--name NAME, such as --name phone; smtpadm credential list %s shows those there are", a->words[0]);
	return out_fail(EX_USAGE, "usage", "which credential? --name NAME says it");
}

/* To whole seconds, as export writes it. */
static int
read_expiry(const struct admin *a, uint64_t *expires_us)
{
	const char *text = admin_value(a, OPT_EXPIRES);
	uint64_t ms;

	*expires_us = 0;
	if (text == NULL || strcmp(text, "never") == 0)
		return EX_OK;
	if (str_parse_duration(text, &ms) != ERR_OK || ms < 1000 || ms > 100ULL * 366 * 86400 * 1000) {
		out_fix("--expires 12h, --expires 90d, --expires never");
		return out_fail(EX_USAGE, "usage", "--expires takes a time such as 12h or 90d, not '%s'", text);
	}
	*expires_us = (io_now_us() / 1000000 + ms / 1000) * 1000000;
	return EX_OK;
}

static int
fail(struct registry *r, int err, const char *account, const char *name)
{
	out_fix("smtpadm credential list %s", account);
	if (err == ERR_EXISTS) {
		out_fix("smtpadm credential rotate %s --name %s", account, name);
		return out_fail(EX_CANTCREAT, "exists", "account '%s' has the credential '%s' already", account, name);
	}
	if (err == ERR_NOTFOUND)
		return out_fail(EX_NOUSER, "no_credential", "account '%s' has no credential '%s'", account, name);
	if (err == ERR_SYNTAX || err == ERR_TOOBIG)
		return out_fail(EX_DATAERR, err == ERR_SYNTAX ? "bad_name" : "too_many", "%s: %s", name, registry_reason(r));
	return people_fail(r, err, name);
}

/* Made unless something else was asked for: nobody has to remember it. */
static int
get_secret(const struct admin *a, const char *account, struct secret *s)
{
	int code;

	if (admin_has(a, OPT_STDIN) || admin_has(a, OPT_HASH_STDIN))
		return secret_from_options(a, account, s);
	if ((code = secret_generate(s)) != EX_OK)
		return code;
	return secret_hash(s);
}

static int
has_credential(struct registry *r, uint64_t account, const char *name, bool *found)
{
	static struct registry_credential c[REGISTRY_CREDENTIALS_MAX];
	size_t n;
	int err = registry_list_credentials(r, account, c, REGISTRY_CREDENTIALS_MAX, &n);

	*found = false;
	for (size_t i = 0; err == ERR_OK && i < n; i++)
		*found = *found || str_is_equal_nocase(c[i].name, strlen(c[i].name), name, strlen(name));
	return err;
}

/* Whether it can be done is looked at before a password is asked for, too. */
static int
check(const struct admin *a, const char *name, bool must_exist)
{
	struct registry_account account;
	struct registry *r;
	bool found;
	int code, err;

	if ((code = people_open(a, false, &r)) != EX_OK)
		return code;
	if ((code = people_find(r, a->words[0], &account)) == EX_OK) {
		if ((err = has_credential(r, account.id, name, &found)) == ERR_OK && found != must_exist)
			err = found ? ERR_EXISTS : ERR_NOTFOUND;
		if (err != ERR_OK)
			code = fail(r, err, account.name, name);
	}
	registry_close(r);
	return code;
}

static int
add(const struct admin *a, struct registry *r, uint64_t account, const char *name, const char *hash, uint64_t expires_us)
{
	int err = registry_add_credential(r, account, name, hash, expires_us);

	if (err == ERR_OK && admin_has(a, OPT_DEVICE))
		err = registry_set_device(r, account, name, true);
	return err;
}

static int
put(struct admin *a, bool is_new)
{
	struct registry_account account;
	struct registry *r = NULL;
	struct secret s = { .len = 0 };
	const char *name;
	uint64_t expires_us;
	bool found = true;
	int code, err;

	if ((code = need_name(a, &name)) != EX_OK || (code = read_expiry(a, &expires_us)) != EX_OK ||
	    (code = check(a, name, !is_new)) != EX_OK || (code = get_secret(a, a->words[0], &s)) != EX_OK ||
	    (code = people_begin(a, &r)) != EX_OK)
		goto out;
	if ((code = people_find(r, a->words[0], &account)) == EX_OK) {
		if (is_new)
			err = add(a, r, account.id, name, s.hash, expires_us);
		else if ((err = has_credential(r, account.id, name, &found)) == ERR_OK && !found)
			err = ERR_NOTFOUND;
		else if (err == ERR_OK && (err = registry_set_credential(r, account.id, name, s.hash)) == ERR_OK &&
		    admin_has(a, OPT_EXPIRES))
			err = registry_set_expiry(r, account.id, name, expires_us);
		if (err != ERR_OK)
			code = fail(r, err, account.name, name);
	}
	if ((code = people_finish(a, r, code)) == EX_OK)
		report(a, account.name, name, is_new ? "added" : "rotated", &s);
out:
	registry_close(r);
	secret_wipe(&s);
	return code;
}

int
cmd_credential_add(struct admin *a)
{
	return put(a, true);
}

int
cmd_credential_rotate(struct admin *a)
{
	return put(a, false);
}

int
cmd_credential_revoke(struct admin *a)
{
	struct registry_account account;
	struct registry *r;
	const char *name;
	int code, err;

	if ((code = need_name(a, &name)) != EX_OK || (code = admin_confirm(a, "revokes", &name, 1)) != EX_OK ||
	    (code = people_begin(a, &r)) != EX_OK)
		return code;
	if ((code = people_find(r, a->words[0], &account)) == EX_OK &&
	    (err = registry_remove_credential(r, account.id, name)) != ERR_OK)
		code = fail(r, err, account.name, name);
	if ((code = people_finish(a, r, code)) == EX_OK)
		report(a, account.name, name, "revoked", NULL);
	registry_close(r);
	return code;
}

static void
list_one(const struct admin *a, const char *account, const struct registry_credential *c, struct table *t)
{
	char text[40];
	struct json j;

	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "account", account);
		people_put_credential(&j, c);
		json_end(&j, stdout);
		return;
	}
	table_add(t, c->name);
	table_add(t, c->kind == CREDENTIAL_MAIN ? "main" : c->device ? "device" : "app");
	table_add(t, show_time(text, a->time, c->changed_us));
	table_add(t, c->expires_us != 0 ? show_time(text, a->time, c->expires_us) : "never");
	table_add(t, c->used_us != 0 ? show_time(text, a->time, c->used_us) : "never");
	table_add(t, c->used_network);
}

int
cmd_credential_list(struct admin *a)
{
	static struct registry_credential c[REGISTRY_CREDENTIALS_MAX];
	struct registry_account account;
	struct registry *r;
	struct table t;
	size_t n = 0;
	int code, err;

	if ((code = people_open(a, false, &r)) != EX_OK)
		return code;
	table_open(&t, columns, sizeof(columns) / sizeof(columns[0]));
	if ((code = people_find(r, a->words[0], &account)) == EX_OK &&
	    (err = registry_list_credentials(r, account.id, c, REGISTRY_CREDENTIALS_MAX, &n)) != ERR_OK)
		code = people_fail(r, err, account.name);
	for (size_t i = 0; i < n && code == EX_OK; i++)
		list_one(a, account.name, &c[i], &t);
	if (!out_is_json() && n == 0 && code == EX_OK)
		out_say("%s has no credential: nobody can log in", account.name);
	table_print(&t);
	registry_close(r);
	return code;
}

int
cmd_credential_show(struct admin *a)
{
	static struct registry_credential c[REGISTRY_CREDENTIALS_MAX];
	struct registry_account account;
	char set[40], expires[40], used[40];
	struct registry *r;
	const char *name;
	size_t n = 0, i = 0;
	struct json j;
	int code, err;

	if ((code = need_name(a, &name)) != EX_OK || (code = people_open(a, false, &r)) != EX_OK)
		return code;
	if ((code = people_find(r, a->words[0], &account)) != EX_OK)
		goto out;
	if ((err = registry_list_credentials(r, account.id, c, REGISTRY_CREDENTIALS_MAX, &n)) != ERR_OK) {
		code = people_fail(r, err, account.name);
		goto out;
	}
	while (i < n && !str_is_equal_nocase(c[i].name, strlen(c[i].name), name, strlen(name)))
		i++;
	if (i == n) {
		code = fail(r, ERR_NOTFOUND, account.name, name);
	} else if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "account", account.name);
		people_put_credential(&j, &c[i]);
		json_end(&j, stdout);
	} else {
		out_print("account     %s\ncredential  %s\nkind        %s\nmethod      %s\nset         %s\nexpires     %s\n"
		    "last used   %s\nfrom        %s\n", account.name, c[i].name,
		    c[i].kind == CREDENTIAL_MAIN ? "main" : c[i].device ? "device" : "app", people_method(c[i].hash),
		    show_time(set, a->time, c[i].changed_us),
		    c[i].expires_us != 0 ? show_time(expires, a->time, c[i].expires_us) : "never",
		    c[i].used_us != 0 ? show_time(used, a->time, c[i].used_us) : "never",
		    c[i].used_network[0] != 0 ? c[i].used_network : "-");
	}
out:
	registry_close(r);
	return code;
}
