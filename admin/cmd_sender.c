/*
 * smtpadm sender: the addresses that an account may send as. Runs with the admin's rights and writes the registry
 * in one transaction a command; with --dry-run it is rolled back.
 */
#include "command.h"

#include <string.h>

#include "err.h"
#include "out.h"
#include "people.h"

static const struct table_column columns[] = { { "ACCOUNT", false, 20 }, { "SENDER", false, 20 } };

static void
report(const struct admin *a, const char *account, const char *pattern, const char *action)
{
	struct json j;

	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "account", account);
		json_put_str(&j, "sender", pattern);
		json_put_str(&j, "action", action);
		json_put_bool(&j, "dry_run", a->dry_run);
		json_end(&j, stdout);
		return;
	}
	out_say("account %s: sender %s %s%s", account, pattern, action,
	    a->dry_run ? " (dry run: nothing was changed)" : "");
}

static int
fail(struct registry *r, int err, const char *account, const char *pattern)
{
	out_fix("smtpadm sender list %s", account);
	if (err == ERR_SYNTAX) {
		out_fix("user@domain, *@domain, user+*@domain, or '<>' for the empty sender");
		return out_fail(EX_DATAERR, "bad_pattern", "'%s' is no pattern for a sender", pattern);
	}
	if (err == ERR_EXISTS)
		return out_fail(EX_CANTCREAT, "exists", "account '%s' has the sender '%s' already", account, pattern);
	if (err == ERR_NOTFOUND)
		return out_fail(EX_NOUSER, "no_sender", "account '%s' has no sender '%s'", account, pattern);
	return people_fail(r, err, pattern);
}

static int
change(struct admin *a, int (*apply)(struct registry *, uint64_t, const char *), const char *action)
{
	struct registry_account account;
	struct registry *r;
	int code, err;

	if ((code = people_open(a, true, &r)) != EX_OK)
		return code;
	if ((err = registry_begin(r)) != ERR_OK) {
		code = people_fail(r, err, "begin");
		goto out;
	}
	code = people_find(r, a->words[0], &account);
	for (size_t i = 1; i < a->nwords && code == EX_OK; i++)
		if ((err = apply(r, account.id, a->words[i])) != ERR_OK)
			code = fail(r, err, account.name, a->words[i]);
	if (code == EX_OK && a->dry_run)
		registry_rollback(r);
	else
		code = people_end(r, code);
	for (size_t i = 1; i < a->nwords && code == EX_OK; i++)
		report(a, account.name, a->words[i], action);
out:
	registry_close(r);
	return code;
}

int
cmd_sender_add(struct admin *a)
{
	return change(a, registry_add_sender, "added");
}

int
cmd_sender_remove(struct admin *a)
{
	int code = admin_confirm(a, "takes these senders away", "senders", a->words + 1, a->nwords - 1);

	return code != EX_OK ? code : change(a, registry_remove_sender, "removed");
}

static int
list_sender(const struct registry_sender *s, void *arg)
{
	struct table *t = arg;
	struct json j;

	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "account", s->account_name);
		json_put_str(&j, "sender", s->pattern);
		json_end(&j, stdout);
		return 0;
	}
	table_add(t, s->account_name);
	table_add(t, s->pattern);
	return 0;
}

int
cmd_sender_list(struct admin *a)
{
	struct registry_account account = { .id = 0 };
	struct registry *r;
	struct table t;
	int code, err;

	if ((code = people_open(a, false, &r)) != EX_OK)
		return code;
	table_open(&t, columns, 2);
	if (a->nwords == 0 || (code = people_find(r, a->words[0], &account)) == EX_OK) {
		if ((err = registry_walk_senders(r, account.id, list_sender, &t)) != ERR_OK)
			code = people_fail(r, err, "senders");
	}
	table_print(&t);
	registry_close(r);
	return code;
}
