/*
 * smtpadm credential list and show: what is known of an account's passwords, but never themselves. Runs with the admin's rights,
 * reads only.
 */
#include "command.h"

#include <string.h>

#include "err.h"
#include "out.h"
#include "people.h"
#include "scopes.h"
#include "show.h"
#include "str.h"

static const struct table_column columns[] = {
    {"NAME", false, 12},
    {"KIND", false, 0},
    {"EXPIRES", false, 0},
    {"LAST USED", false, 0},
    {"FROM", false, 9},
    {"ONLY", false, 4},
};

static int
list_one(const struct admin *a, const char *account, struct registry *r, const struct registry_credential *c,
    struct table *t)
{
	char text[64];
	struct json j;
	int err;

	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "account", account);
		err = people_put_credential(&j, r, c);
		json_end(&j, stdout);
		return err;
	}
	table_add(t, c->name);
	table_add(t, people_kind(c));
	table_add(t, c->expires_us != 0 ? show_time(text, a->time, c->expires_us) : "never");
	table_add(t, c->used_us != 0 ? show_time(text, a->time, c->used_us) : "never");
	table_add(t, c->used_network);
	table_add(t, scopes_name(text, c));
	return ERR_OK;
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
		if ((err = list_one(a, account.name, r, &c[i], &t)) != ERR_OK)
			code = people_fail(r, err, account.name);
	if (!out_is_json() && n == 0 && code == EX_OK)
		out_say("%s has no credential: nobody can log in", account.name);
	table_print(&t);
	registry_close(r);
	return code;
}

static int
show_one(const struct admin *a, const char *account, struct registry *r, const struct registry_credential *c)
{
	char set[40], expires[40], used[40];
	struct json j;
	int err;

	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "account", account);
		err = people_put_credential(&j, r, c);
		json_end(&j, stdout);
		return err;
	}
	out_print("account     %s\ncredential  %s\nkind        %s\nmethod      %s\nset         %s\nexpires     %s\n"
	    "last used   %s\nfrom        %s\n", account, c->name, people_kind(c),
	    c->kind == CREDENTIAL_LOCAL ? "none" : people_method(c->hash), show_time(set, a->time, c->changed_us),
	    c->expires_us != 0 ? show_time(expires, a->time, c->expires_us) : "never",
	    c->used_us != 0 ? show_time(used, a->time, c->used_us) : "never",
	    c->used_network[0] != 0 ? c->used_network : "-");
	if (c->kind == CREDENTIAL_LOCAL)
		out_print("local user  %s (%llu)\n", c->local_user, (unsigned long long)c->local_uid);
	return scopes_print(r, c);
}

int
cmd_credential_show(struct admin *a)
{
	static struct registry_credential c[REGISTRY_CREDENTIALS_MAX];
	const char *name = admin_value(a, OPT_NAME);
	struct registry_account account;
	struct registry *r;
	size_t n = 0, i = 0;
	int code, err;

	if (name == NULL) {
		out_fix("--name NAME, such as --name phone; smtpadm credential list %s shows those there are", a->words[0]);
		return out_fail(EX_USAGE, "usage", "which credential? --name NAME says it");
	}
	if ((code = people_open(a, false, &r)) != EX_OK)
		return code;
	if ((code = people_find(r, a->words[0], &account)) != EX_OK)
		goto out;
	err = registry_list_credentials(r, account.id, c, REGISTRY_CREDENTIALS_MAX, &n);
	while (err == ERR_OK && i < n && !str_is_equal_nocase(c[i].name, strlen(c[i].name), name, strlen(name)))
		i++;
	if (err == ERR_OK && i == n) {
		out_fix("smtpadm credential list %s", account.name);
		code = out_fail(EX_NOUSER, "no_credential", "account '%s' has no credential '%s'", account.name, name);
	} else if (err != ERR_OK || (err = show_one(a, account.name, r, &c[i])) != ERR_OK) {
		code = people_fail(r, err, account.name);
	}
out:
	registry_close(r);
	return code;
}
