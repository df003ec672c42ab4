/*
 * smtpadm account: adding, changing and removing people's accounts. Runs with the admin's rights and writes the
 * registry in one transaction a command; with --dry-run the transaction is rolled back. Passwords are hashed
 * before it begins.
 */
#include "command.h"

#include <string.h>

#include "err.h"
#include "out.h"
#include "people.h"
#include "secret.h"
#include "str.h"

static void
report(const struct admin *a, const char *account, const char *action, const struct secret *s)
{
	struct json j;

	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "account", account);
		json_put_str(&j, "action", action);
		json_put_bool(&j, "dry_run", a->dry_run);
		if (s != NULL && s->generated && !a->dry_run)
			json_put_str(&j, "password", s->text);
		json_end(&j, stdout);
		return;
	}
	out_say("account %s: %s%s", account, action, a->dry_run ? " (dry run: nothing was changed)" : "");
	if (s != NULL && s->generated && !a->dry_run)
		printf("%s\n", s->text);
}

/* An address as people_check_name() takes it, but one that the registry does not. */
static int
no_name(const char *name)
{
	out_fix("an address without quotes, such as alice@example.org, or letters, digits and ._+- only");
	return out_fail(EX_DATAERR, "bad_address", "'%s' is no name for an account", name);
}

/* The account must not be there yet: asked before a password is, and again by the change itself. */
static int
check_absent(const struct admin *a, const char *name)
{
	struct registry_account account;
	struct registry *r;
	int code = people_open(a, false, &r), err;

	if (code != EX_OK)
		return code;
	err = registry_find_account(r, name, &account);
	if (err == ERR_OK) {
		out_fix("smtpadm account passwd %s", name);
		code = out_fail(EX_CANTCREAT, "exists", "account '%s' exists already", name);
	} else if (err != ERR_NOTFOUND) {
		code = people_fail(r, err, name);
	}
	registry_close(r);
	return code;
}

int
cmd_account_add(struct admin *a)
{
	const char *name = a->words[0];
	struct registry *r = NULL;
	struct secret s;
	uint64_t id;
	int code, err;

	if ((code = people_check_name(name)) != EX_OK || (code = check_absent(a, name)) != EX_OK)
		return code;
	if ((code = secret_from_options(a, name, &s)) != EX_OK || (code = people_begin(a, &r)) != EX_OK)
		goto out;
	err = registry_add_account(r, name, s.hash, &id);
	if (err == ERR_EXISTS)
		code = out_fail(EX_CANTCREAT, "exists", "account '%s' exists already", name);
	else if (err == ERR_SYNTAX)
		code = no_name(name);
	else if (err != ERR_OK)
		code = people_fail(r, err, name);
	if ((code = people_finish(a, r, code)) == EX_OK)
		report(a, name, "added", &s);
out:
	registry_close(r);
	secret_wipe(&s);
	return code;
}

int
cmd_account_passwd(struct admin *a)
{
	struct registry_account account;
	struct registry *r = NULL;
	struct secret s = { .len = 0 };
	int code, err;

	if ((code = people_open(a, false, &r)) == EX_OK)
		code = people_find(r, a->words[0], &account);
	registry_close(r);
	r = NULL;
	if (code != EX_OK || (code = secret_from_options(a, a->words[0], &s)) != EX_OK ||
	    (code = people_begin(a, &r)) != EX_OK)
		goto out;
	if ((code = people_find(r, a->words[0], &account)) == EX_OK &&
	    (err = registry_set_credential(r, account.id, "password", s.hash)) != ERR_OK)
		code = people_fail(r, err, a->words[0]);
	if ((code = people_finish(a, r, code)) == EX_OK)
		report(a, account.name, "password changed", &s);
out:
	registry_close(r);
	secret_wipe(&s);
	return code;
}

int
cmd_account_remove(struct admin *a)
{
	struct registry_account account;
	struct registry *r = NULL;
	int code, err;

	/* All are looked for before anything is asked. */
	if ((code = people_open(a, false, &r)) != EX_OK)
		return code;
	for (size_t i = 0; i < a->nwords && code == EX_OK; i++)
		code = people_find(r, a->words[i], &account);
	registry_close(r);
	if (code != EX_OK || (code = admin_confirm(a, "removes for good", "accounts", a->words, a->nwords)) != EX_OK ||
	    (code = people_begin(a, &r)) != EX_OK)
		return code;
	for (size_t i = 0; i < a->nwords && code == EX_OK; i++) {
		if ((code = people_find(r, a->words[i], &account)) == EX_OK &&
		    (err = registry_remove_account(r, account.id)) != ERR_OK)
			code = people_fail(r, err, a->words[i]);
	}
	if ((code = people_finish(a, r, code)) == EX_OK)
		for (size_t i = 0; i < a->nwords; i++)
			report(a, a->words[i], "removed", NULL);
	registry_close(r);
	return code;
}

static int
set_disabled(struct admin *a, bool disabled)
{
	struct registry_account account;
	struct registry *r;
	int code, err;

	if ((code = people_begin(a, &r)) != EX_OK)
		return code;
	code = people_find(r, a->words[0], &account);
	if (code == EX_OK && !disabled && account.contained_us != 0) {
		out_fix("smtpadm account restore %s", account.name);
		code = out_fail(EX_DATAERR, "contained", "account '%s' is contained: %s", account.name,
		    account.contained_reason);
	}
	if (code == EX_OK && (err = registry_set_disabled(r, account.id, disabled)) != ERR_OK)
		code = people_fail(r, err, a->words[0]);
	if ((code = people_finish(a, r, code)) == EX_OK)
		report(a, account.name, disabled ? "disabled" : "enabled", NULL);
	registry_close(r);
	return code;
}

int
cmd_account_disable(struct admin *a)
{
	return set_disabled(a, true);
}

int
cmd_account_enable(struct admin *a)
{
	return set_disabled(a, false);
}

int
cmd_account_rename(struct admin *a)
{
	struct registry_account account;
	struct registry *r;
	int code, err;

	if ((code = people_check_name(a->words[1])) != EX_OK || (code = people_begin(a, &r)) != EX_OK)
		return code;
	if ((code = people_find(r, a->words[0], &account)) == EX_OK &&
	    (err = registry_rename_account(r, account.id, a->words[1])) != ERR_OK) {
		if (err == ERR_EXISTS) {
			out_fix("another name; smtpadm account show %s shows that account", a->words[1]);
			code = out_fail(EX_CANTCREAT, "exists", "account '%s' exists already", a->words[1]);
		} else if (err == ERR_SYNTAX)
			code = no_name(a->words[1]);
		else
			code = people_fail(r, err, a->words[0]);
	}
	if ((code = people_finish(a, r, code)) == EX_OK) {
		report(a, a->words[1], "renamed", NULL);
		out_say("it may still send as before: %ssender list %s", out_program(), a->words[1]);
	}
	registry_close(r);
	return code;
}
