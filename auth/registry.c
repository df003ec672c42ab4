/*
 * Accounts, credentials and senders: what can be asked of the registry and changed in it. Part of the
 * registry library, in postern-auth (asking) and smtpadm. Invariant: a change and its line of history
 * are one transaction: both are there or none.
 */
#include "registry.h"

#include <string.h>

#include "err.h"
#include "io.h"
#include "password.h"
#include "pattern.h"
#include "store.h"

/* Opens a change: a transaction, or a part of the caller's. */
static int
begin_change(struct registry *r)
{
	enum statement s = r->in_transaction ? STATEMENT_SAVE : STATEMENT_BEGIN;
	int err = store_bind(r, s, "");

	return err == ERR_OK ? store_step(r, s) : err;
}

/* Ends it, well or undone, and returns err or what went wrong at the end. */
static int
end_change(struct registry *r, int err)
{
	char reason[sizeof(r->reason)];

	if (err == ERR_OK)
		err = store_step(r, r->in_transaction ? STATEMENT_RELEASE : STATEMENT_COMMIT);
	if (err == ERR_OK)
		return ERR_OK;
	memcpy(reason, r->reason, sizeof(reason));
	if (!r->in_transaction) {
		registry_rollback(r);
	} else if (store_step(r, STATEMENT_UNDO) == ERR_OK) {
		store_step(r, STATEMENT_RELEASE);
	}
	memcpy(r->reason, reason, sizeof(reason));
	return err;
}

/* Runs a change that must touch a row. */
static int
run_change(struct registry *r, enum statement s)
{
	int err = store_step(r, s);

	if (err == ERR_OK && sqlite3_changes(r->db) == 0)
		return store_fail(r, ERR_NOTFOUND, "there is no such entry");
	return err;
}

static int
add_history(struct registry *r, const char *what, const struct registry_account *a, const char *detail)
{
	int err = store_bind(r, STATEMENT_HISTORY_ADD, "ususs", io_now_us(), what, a->id, a->name, detail);

	return err == ERR_OK ? store_step(r, STATEMENT_HISTORY_ADD) : err;
}

static void
take_account(struct registry *r, enum statement s, struct registry_account *a)
{
	a->id = store_u64(r, s, 0);
	store_text(r, s, 1, a->name, sizeof(a->name));
	a->disabled = store_u64(r, s, 2) != 0;
	a->created_us = store_u64(r, s, 3);
	a->changed_us = store_u64(r, s, 4);
	a->senders = store_u64(r, s, 5);
	a->credentials = store_u64(r, s, 6);
}

/* Takes the one row of a statement that was bound with result err. */
static int
find_account(struct registry *r, enum statement s, int err, struct registry_account *a)
{
	*a = (struct registry_account){ .id = 0 };
	if (err != ERR_OK || (err = store_step(r, s)) < 0)
		return err;
	if (err == 0)
		return store_fail(r, ERR_NOTFOUND, "there is no such account");
	take_account(r, s, a);
	store_end(r, s);
	return ERR_OK;
}

int
registry_find_account(struct registry *r, const char *name, struct registry_account *a)
{
	return find_account(r, STATEMENT_ACCOUNT_BY_NAME, store_bind(r, STATEMENT_ACCOUNT_BY_NAME, "s", name), a);
}

int
registry_find_account_id(struct registry *r, uint64_t id, struct registry_account *a)
{
	return find_account(r, STATEMENT_ACCOUNT_BY_ID, store_bind(r, STATEMENT_ACCOUNT_BY_ID, "u", id), a);
}

int
registry_walk_accounts(struct registry *r, int (*each)(const struct registry_account *a, void *arg), void *arg)
{
	struct registry_account a;
	int result;

	if ((result = store_bind(r, STATEMENT_ACCOUNTS, "")) != ERR_OK)
		return result;
	while ((result = store_step(r, STATEMENT_ACCOUNTS)) == 1) {
		take_account(r, STATEMENT_ACCOUNTS, &a);
		if ((result = each(&a, arg)) != 0) {
			store_end(r, STATEMENT_ACCOUNTS);
			break;
		}
	}
	return result;
}

static bool
is_word(const char *name)
{
	static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-";

	return name[0] != 0 && name[strspn(name, characters)] == 0 && strlen(name) < REGISTRY_NAME_MAX;
}

/* A mailbox that is also fit for a login name and an own sender: no quotes, no '*'. */
static bool
is_mailbox(const char *name)
{
	struct addr a;

	return strlen(name) < REGISTRY_NAME_MAX && addr_parse(&a, name, strlen(name), true) == ERR_OK &&
	    strcmp(a.text, name) == 0 && strchr(name, '*') == NULL && strchr(name, '"') == NULL;
}

static int
check_hash(struct registry *r, const char *hash)
{
	if (strlen(hash) < REGISTRY_HASH_MAX && password_is_hash(hash))
		return ERR_OK;
	return store_fail(r, ERR_SYNTAX,
	    "this is no password hash of crypt(5) by yescrypt, sha512crypt, sha256crypt or bcrypt");
}

static int
set_credential(struct registry *r, const struct registry_account *a, const char *name, const char *hash)
{
	int err = store_bind(r, STATEMENT_CREDENTIAL_SET, "ussu", a->id, name, hash, io_now_us());

	if (err == ERR_OK && (err = store_step(r, STATEMENT_CREDENTIAL_SET)) == ERR_OK)
		err = add_history(r, "credential.set", a, name);
	return err;
}

static int
add_sender(struct registry *r, const struct registry_account *a, const char *pattern)
{
	int err = store_bind(r, STATEMENT_SENDER_ADD, "us", a->id, pattern);

	if (err == ERR_OK && (err = store_step(r, STATEMENT_SENDER_ADD)) == ERR_EXISTS)
		store_fail(r, err, "%s has the sender %s already", a->name, pattern);
	return err == ERR_OK ? add_history(r, "sender.add", a, pattern) : err;
}

int
registry_add_account(struct registry *r, const char *name, const char *hash, uint64_t *id)
{
	struct registry_account a;
	int err;

	if (!is_word(name) && !is_mailbox(name))
		return store_fail(r, ERR_SYNTAX, "an account's name is a mailbox address or a word of letters, digits and ._+-");
	if ((err = check_hash(r, hash)) != ERR_OK || (err = begin_change(r)) != ERR_OK)
		return err;
	if ((err = store_bind(r, STATEMENT_ACCOUNT_ADD, "su", name, io_now_us())) != ERR_OK)
		goto out;
	if ((err = store_step(r, STATEMENT_ACCOUNT_ADD)) != ERR_OK) {
		if (err == ERR_EXISTS)
			store_fail(r, err, "the account %s is there already", name);
		goto out;
	}
	if ((err = registry_find_account_id(r, (uint64_t)sqlite3_last_insert_rowid(r->db), &a)) != ERR_OK ||
	    (err = add_history(r, "account.add", &a, "")) != ERR_OK ||
	    (err = set_credential(r, &a, "password", hash)) != ERR_OK)
		goto out;
	if (is_mailbox(name) && (err = add_sender(r, &a, name)) != ERR_OK)
		goto out;
	if (id != NULL)
		*id = a.id;
out:
	return end_change(r, err);
}

int
registry_remove_account(struct registry *r, uint64_t id)
{
	struct registry_account a;
	int err;

	if ((err = begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, id, &a)) == ERR_OK &&
	    (err = store_bind(r, STATEMENT_ACCOUNT_REMOVE, "u", id)) == ERR_OK &&
	    (err = run_change(r, STATEMENT_ACCOUNT_REMOVE)) == ERR_OK)
		err = add_history(r, "account.remove", &a, "");
	return end_change(r, err);
}

int
registry_set_disabled(struct registry *r, uint64_t id, bool disabled)
{
	struct registry_account a;
	int err;

	if ((err = begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, id, &a)) == ERR_OK && a.disabled != disabled &&
	    (err = store_bind(r, STATEMENT_ACCOUNT_SET_DISABLED, "uuu", id, (uint64_t)disabled, io_now_us())) == ERR_OK &&
	    (err = run_change(r, STATEMENT_ACCOUNT_SET_DISABLED)) == ERR_OK)
		err = add_history(r, disabled ? "account.disable" : "account.enable", &a, "");
	return end_change(r, err);
}

int
registry_list_credentials(struct registry *r, uint64_t account, struct registry_credential *c, size_t max, size_t *n)
{
	const enum statement s = STATEMENT_CREDENTIALS;
	int result;

	*n = 0;
	if ((result = store_bind(r, s, "uu", account, (uint64_t)max)) != ERR_OK)
		return result;
	while ((result = store_step(r, s)) == 1) {
		if (*n == max) {
			store_end(r, s);
			return ERR_OK;
		}
		c[*n].id = store_u64(r, s, 0);
		c[*n].account = store_u64(r, s, 1);
		store_text(r, s, 2, c[*n].name, sizeof(c[*n].name));
		store_text(r, s, 3, c[*n].hash, sizeof(c[*n].hash));
		c[*n].changed_us = store_u64(r, s, 4);
		(*n)++;
	}
	return result;
}

int
registry_set_credential(struct registry *r, uint64_t account, const char *name, const char *hash)
{
	struct registry_account a;
	int err;

	if (!is_word(name))
		return store_fail(r, ERR_SYNTAX, "a credential's name is a word of letters, digits and ._+-");
	if ((err = check_hash(r, hash)) != ERR_OK || (err = begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, account, &a)) == ERR_OK)
		err = set_credential(r, &a, name, hash);
	return end_change(r, err);
}

int
registry_remove_credential(struct registry *r, uint64_t account, const char *name)
{
	struct registry_account a;
	int err;

	if ((err = begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, account, &a)) == ERR_OK &&
	    (err = store_bind(r, STATEMENT_CREDENTIAL_REMOVE, "us", account, name)) == ERR_OK &&
	    (err = run_change(r, STATEMENT_CREDENTIAL_REMOVE)) == ERR_OK)
		err = add_history(r, "credential.remove", &a, name);
	return end_change(r, err);
}

/* Whether the statement, bound with result err, has a row: ERR_OK or ERR_DENIED. */
static int
ask(struct registry *r, enum statement s, int err)
{
	if (err != ERR_OK || (err = store_step(r, s)) < 0)
		return err;
	if (err == 0)
		return store_fail(r, ERR_DENIED, "not allowed");
	store_end(r, s);
	return ERR_OK;
}

int
registry_check_credential(struct registry *r, uint64_t account, uint64_t credential, uint64_t changed_us)
{
	return ask(r, STATEMENT_CREDENTIAL_CHECK,
	    store_bind(r, STATEMENT_CREDENTIAL_CHECK, "uuu", account, credential, changed_us));
}

int
registry_add_sender(struct registry *r, uint64_t account, const char *pattern)
{
	struct registry_account a;
	char written[REGISTRY_PATTERN_MAX];
	int err;

	if (pattern_parse(written, pattern) != ERR_OK)
		return store_fail(r, ERR_SYNTAX, "a sender is user@domain, *@domain, user+*@domain or <>");
	if ((err = begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, account, &a)) == ERR_OK)
		err = add_sender(r, &a, written);
	return end_change(r, err);
}

int
registry_remove_sender(struct registry *r, uint64_t account, const char *pattern)
{
	struct registry_account a;
	char written[REGISTRY_PATTERN_MAX];
	int err;

	if (pattern_parse(written, pattern) != ERR_OK)
		return store_fail(r, ERR_SYNTAX, "a sender is user@domain, *@domain, user+*@domain or <>");
	if ((err = begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, account, &a)) == ERR_OK &&
	    (err = store_bind(r, STATEMENT_SENDER_REMOVE, "us", account, written)) == ERR_OK &&
	    (err = run_change(r, STATEMENT_SENDER_REMOVE)) == ERR_OK)
		err = add_history(r, "sender.remove", &a, written);
	return end_change(r, err);
}

int
registry_walk_senders(struct registry *r, uint64_t account, int (*each)(const struct registry_sender *s, void *arg),
    void *arg)
{
	const enum statement s = account != 0 ? STATEMENT_SENDERS_OF : STATEMENT_SENDERS;
	struct registry_sender sender;
	int result;

	if ((result = store_bind(r, s, account != 0 ? "u" : "", account)) != ERR_OK)
		return result;
	while ((result = store_step(r, s)) == 1) {
		sender.account = store_u64(r, s, 0);
		store_text(r, s, 1, sender.account_name, sizeof(sender.account_name));
		store_text(r, s, 2, sender.pattern, sizeof(sender.pattern));
		if ((result = each(&sender, arg)) != 0) {
			store_end(r, s);
			break;
		}
	}
	return result;
}

int
registry_check_sender(struct registry *r, uint64_t account, const struct addr *address)
{
	char pattern[REGISTRY_PATTERN_MAX];
	int err = ERR_DENIED;

	for (size_t i = 0; pattern_candidate(pattern, address, i) == ERR_OK && err == ERR_DENIED; i++)
		err = ask(r, STATEMENT_SENDER_CHECK, store_bind(r, STATEMENT_SENDER_CHECK, "us", account, pattern));
	return err;
}
