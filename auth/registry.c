/*
 * Accounts and senders: what can be asked of the registry and changed in it. Part of the registry
 * library, in postern-auth (asking) and smtpadm.
 */
#include "registry.h"

#include <stdio.h>
#include <string.h>

#include "err.h"
#include "io.h"
#include "pattern.h"
#include "store.h"

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
	store_limits(r, s, 7, &a->limits);
	a->contained_us = store_u64(r, s, 11);
	store_text(r, s, 12, a->contained_reason, sizeof(a->contained_reason));
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

static int
add_sender(struct registry *r, const struct registry_account *a, const char *pattern)
{
	int err = store_bind(r, STATEMENT_SENDER_ADD, "us", a->id, pattern);

	if (err == ERR_OK && (err = store_step(r, STATEMENT_SENDER_ADD)) == ERR_EXISTS)
		store_fail(r, err, "%s has the sender %s already", a->name, pattern);
	return err == ERR_OK ? store_add_history(r, "sender.add", a, pattern) : err;
}

static int
check_name(struct registry *r, const char *name)
{
	if (pattern_is_word(name) || pattern_is_mailbox(name))
		return ERR_OK;
	return store_fail(r, ERR_SYNTAX, "an account's name is a mailbox address or a word of letters, digits and ._+-");
}

int
registry_add_bare_account(struct registry *r, const char *name, uint64_t *id)
{
	struct registry_account a;
	int err;

	if ((err = check_name(r, name)) != ERR_OK || (err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = store_bind(r, STATEMENT_ACCOUNT_ADD, "su", name, io_now_us())) != ERR_OK)
		goto out;
	if ((err = store_step(r, STATEMENT_ACCOUNT_ADD)) != ERR_OK) {
		if (err == ERR_EXISTS)
			store_fail(r, err, "the account %s is there already", name);
		goto out;
	}
	if ((err = registry_find_account_id(r, (uint64_t)sqlite3_last_insert_rowid(r->db), &a)) != ERR_OK ||
	    (err = store_add_history(r, "account.add", &a, "")) != ERR_OK)
		goto out;
	*id = a.id;
out:
	return store_end_change(r, err);
}

int
registry_add_account(struct registry *r, const char *name, const char *hash, uint64_t *id)
{
	bool is_part = r->in_transaction;
	uint64_t made;
	int err;

	if ((err = is_part ? store_begin_change(r) : registry_begin(r)) != ERR_OK)
		return err;
	if ((err = registry_add_bare_account(r, name, &made)) == ERR_OK &&
	    (err = registry_set_credential(r, made, "password", hash)) == ERR_OK && pattern_is_mailbox(name))
		err = registry_add_sender(r, made, name);
	if (err == ERR_OK && id != NULL)
		*id = made;
	if (is_part)
		return store_end_change(r, err);
	if (err == ERR_OK)
		return registry_commit(r);
	registry_rollback(r);
	return err;
}

int
registry_rename_account(struct registry *r, uint64_t id, const char *name)
{
	const enum statement s = STATEMENT_ACCOUNT_RENAME;
	struct registry_account a;
	int err;

	if ((err = check_name(r, name)) != ERR_OK || (err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, id, &a)) == ERR_OK &&
	    (err = store_bind(r, s, "usu", id, name, io_now_us())) == ERR_OK && (err = store_run_change(r, s)) == ERR_EXISTS)
		store_fail(r, err, "the account %s is there already", name);
	if (err == ERR_OK && (err = store_add_history(r, "account.rename", &a, name)) == ERR_OK && pattern_is_mailbox(name) &&
	    (err = registry_find_account_id(r, id, &a)) == ERR_OK && (err = add_sender(r, &a, name)) == ERR_EXISTS)
		err = ERR_OK;
	return store_end_change(r, err);
}

int
registry_set_limits(struct registry *r, uint64_t id, const struct registry_limits *l)
{
	const enum statement s = STATEMENT_ACCOUNT_SET_LIMITS;
	struct registry_account a;
	char detail[160];
	int err;

	snprintf(detail, sizeof(detail), "sessions=%llu recipients=%llu message_size=%llu messages_per_hour=%llu",
	    (unsigned long long)l->sessions, (unsigned long long)l->recipients, (unsigned long long)l->message_size,
	    (unsigned long long)l->messages_per_hour);
	if ((err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, id, &a)) == ERR_OK &&
	    (err = store_bind(r, s, "uuuuuu", id, l->sessions, l->recipients, l->message_size, l->messages_per_hour,
	    io_now_us())) == ERR_OK &&
	    (err = store_run_change(r, s)) == ERR_OK)
		err = store_add_history(r, "account.limit", &a, detail);
	return store_end_change(r, err);
}

int
registry_remove_account(struct registry *r, uint64_t id)
{
	struct registry_account a;
	int err;

	if ((err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, id, &a)) == ERR_OK &&
	    (err = store_bind(r, STATEMENT_ACCOUNT_REMOVE, "u", id)) == ERR_OK &&
	    (err = store_run_change(r, STATEMENT_ACCOUNT_REMOVE)) == ERR_OK)
		err = store_add_history(r, "account.remove", &a, "");
	return store_end_change(r, err);
}

int
registry_set_disabled(struct registry *r, uint64_t id, bool disabled)
{
	struct registry_account a;
	int err;

	if ((err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, id, &a)) == ERR_OK && a.disabled != disabled &&
	    (err = store_bind(r, STATEMENT_ACCOUNT_SET_DISABLED, "uuu", id, (uint64_t)disabled, io_now_us())) == ERR_OK &&
	    (err = store_run_change(r, STATEMENT_ACCOUNT_SET_DISABLED)) == ERR_OK)
		err = store_add_history(r, disabled ? "account.disable" : "account.enable", &a, "");
	return store_end_change(r, err);
}

int
registry_contain_account(struct registry *r, uint64_t id, const char *reason)
{
	const enum statement s = STATEMENT_ACCOUNT_CONTAIN;
	struct registry_account a;
	int err;

	if ((err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, id, &a)) == ERR_OK &&
	    (err = store_bind(r, s, "uus", id, io_now_us(), reason)) == ERR_OK && (err = store_run_change(r, s)) == ERR_OK)
		err = store_add_history(r, "account.contain", &a, reason);
	return store_end_change(r, err);
}

int
registry_restore_account(struct registry *r, uint64_t id)
{
	const enum statement s = STATEMENT_ACCOUNT_RESTORE;
	struct registry_account a;
	int err;

	if ((err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, id, &a)) == ERR_OK && (err = store_bind(r, s, "uu", id, io_now_us())) == ERR_OK &&
	    (err = store_run_change(r, s)) == ERR_OK)
		err = store_add_history(r, "account.restore", &a, a.contained_reason);
	return store_end_change(r, err);
}

int
registry_add_sender(struct registry *r, uint64_t account, const char *pattern)
{
	struct registry_account a;
	char written[REGISTRY_PATTERN_MAX];
	int err;

	if (pattern_parse(written, pattern) != ERR_OK)
		return store_fail(r, ERR_SYNTAX, "a sender is user@domain, *@domain, user+*@domain or <>");
	if ((err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, account, &a)) == ERR_OK)
		err = add_sender(r, &a, written);
	return store_end_change(r, err);
}

int
registry_remove_sender(struct registry *r, uint64_t account, const char *pattern)
{
	struct registry_account a;
	char written[REGISTRY_PATTERN_MAX];
	int err;

	if (pattern_parse(written, pattern) != ERR_OK)
		return store_fail(r, ERR_SYNTAX, "a sender is user@domain, *@domain, user+*@domain or <>");
	if ((err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, account, &a)) == ERR_OK &&
	    (err = store_bind(r, STATEMENT_SENDER_REMOVE, "us", account, written)) == ERR_OK &&
	    (err = store_run_change(r, STATEMENT_SENDER_REMOVE)) == ERR_OK)
		err = store_add_history(r, "sender.remove", &a, written);
	return store_end_change(r, err);
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
		err = store_ask(r, STATEMENT_SENDER_CHECK, store_bind(r, STATEMENT_SENDER_CHECK, "us", account, pattern));
	return err;
}
