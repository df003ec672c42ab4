/*
 * smtpadm account list and show: what the registry knows of people. Runs with the admin's rights, reads only. No
 * hash is ever shown, only its method.
 */
#include "command.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "limit.h"
#include "out.h"
#include "people.h"
#include "show.h"
#include "str.h"

static const struct table_column list_columns[] = {
    {"ACCOUNT", false, 20},
    {"STATE", false, 0},
    {"SENDERS", true, 0},
    {"CREATED", false, 0},
    {"CHANGED", false, 0},
};

static const char *
state_of(const struct registry_account *account)
{
	return account->contained_us != 0 ? "contained" : account->disabled ? "disabled" : "enabled";
}

struct listing {
	const struct admin	*a;
	struct table		 table;
};

static void
put_account(struct json *j, const struct registry_account *account)
{
	json_put_str(j, "account", account->name);
	json_put_str(j, "state", account->disabled ? "disabled" : "enabled");
	json_put_bool(j, "contained", account->contained_us != 0);
	if (account->contained_us != 0) {
		json_put_u64(j, "contained_time", account->contained_us / 1000000);
		json_put_str(j, "contained_reason", account->contained_reason);
	}
	json_put_u64(j, "created_time", account->created_us / 1000000);
	json_put_u64(j, "changed_time", account->changed_us / 1000000);
}

static int
list_account(const struct registry_account *account, void *arg)
{
	struct listing *l = arg;
	char text[40];
	struct json j;

	if (out_is_json()) {
		json_begin(&j);
		put_account(&j, account);
		json_put_u64(&j, "senders", account->senders);
		json_put_u64(&j, "credentials", account->credentials);
		json_end(&j, stdout);
		return 0;
	}
	table_add(&l->table, account->name);
	table_add(&l->table, state_of(account));
	table_add(&l->table, str_put_u64(text, account->senders));
	table_add(&l->table, show_time(text, l->a->time, account->created_us));
	table_add(&l->table, show_time(text, l->a->time, account->changed_us));
	return 0;
}

int
cmd_account_list(struct admin *a)
{
	struct listing l = { .a = a };
	struct registry *r;
	int code, err;

	if ((code = people_open(a, false, &r)) != EX_OK)
		return code;
	table_open(&l.table, list_columns, sizeof(list_columns) / sizeof(list_columns[0]));
	if ((err = registry_walk_accounts(r, list_account, &l)) != ERR_OK)
		code = people_fail(r, err, "accounts");
	if (!out_is_json() && l.table.n == 0 && code == EX_OK)
		out_say("there is no account; %saccount add makes one", out_program());
	table_print(&l.table);
	registry_close(r);
	return code;
}

static int
show_sender(const struct registry_sender *s, void *arg)
{
	struct json *j = arg;

	if (j == NULL) {
		out_print("sender      %s\n", s->pattern);
		return 0;
	}
	json_open(j, NULL, '{');
	json_put_str(j, "pattern", s->pattern);
	json_close(j, '}');
	return 0;
}

static int
show_credentials(const struct admin *a, struct registry *r, const struct registry_credential *c, size_t n, struct json *j)
{
	char text[40];
	int err = ERR_OK;

	if (j != NULL)
		json_open(j, "credentials", '[');
	for (size_t i = 0; i < n; i++) {
		if (j == NULL) {
			out_print("credential  %s (%s, set %s)\n", c[i].name, c[i].kind == CREDENTIAL_LOCAL ? "no password" :
			    people_method(c[i].hash), show_time(text, a->time, c[i].changed_us));
			continue;
		}
		json_open(j, NULL, '{');
		if (err == ERR_OK)
			err = people_put_credential(j, r, &c[i]);
		json_close(j, '}');
	}
	if (j != NULL)
		json_close(j, ']');
	return err;
}

static int
show_account(const struct admin *a, struct registry *r, const struct registry_account *account)
{
	static struct registry_credential credentials[REGISTRY_CREDENTIALS_MAX];
	bool is_json = out_is_json();
	char created[40], changed[40];
	struct json j;
	size_t n = 0;
	int err;

	if ((err = registry_list_credentials(r, account->id, credentials, REGISTRY_CREDENTIALS_MAX, &n)) != ERR_OK)
		return people_fail(r, err, account->name);
	if (is_json) {
		json_begin(&j);
		put_account(&j, account);
		json_open(&j, "senders", '[');
	} else {
		out_print("account     %s\nstate       %s\ncreated     %s\nchanged     %s\n", account->name,
		    state_of(account), show_time(created, a->time, account->created_us),
		    show_time(changed, a->time, account->changed_us));
		if (account->contained_us != 0)
			out_print("contained   %s: %s\n", show_time(created, a->time, account->contained_us),
			    account->contained_reason);
	}
	err = registry_walk_senders(r, account->id, show_sender, is_json ? &j : NULL);
	if (is_json)
		json_close(&j, ']');
	if (err == ERR_OK)
		err = show_credentials(a, r, credentials, n, is_json ? &j : NULL);
	if (is_json) {
		people_put_limits(&j, &account->limits);
		json_end(&j, stdout);
	} else {
		limit_print(&account->limits, NULL);
	}
	return err == ERR_OK ? EX_OK : people_fail(r, err, account->name);
}

int
cmd_account_show(struct admin *a)
{
	struct registry_account account;
	struct registry *r;
	int code;

	if ((code = people_open(a, false, &r)) != EX_OK)
		return code;
	if ((code = people_find(r, a->words[0], &account)) == EX_OK)
		code = show_account(a, r, &account);
	registry_close(r);
	return code;
}
