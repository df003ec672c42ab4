/*
 * Credentials: the main password of an account and its app passwords. Part of the registry library, in postern-auth and smtpadm.
 * Invariant: a credential that is set anew never has its old time of change, and one that is only hashed anew keeps it: by that
 * time a running session knows whether its login still holds.
 */
#include <string.h>

#include "err.h"
#include "io.h"
#include "password.h"
#include "pattern.h"
#include "registry.h"
#include "store.h"

#define MAIN_NAME "password"

static int
check_form(struct registry *r, const char *name, const char *hash)
{
	if (!pattern_is_word(name))
		return store_fail(r, ERR_SYNTAX, "a credential's name is a word of letters, digits and ._+-");
	if (strlen(hash) < REGISTRY_HASH_MAX && password_is_hash(hash))
		return ERR_OK;
	return store_fail(r, ERR_SYNTAX,
	    "this is no password hash of crypt(5) by yescrypt, sha512crypt, sha256crypt or bcrypt");
}

int
store_check_count(struct registry *r, uint64_t account)
{
	struct registry_account a;
	int err = registry_find_account_id(r, account, &a);

	if (err == ERR_OK && a.credentials > REGISTRY_CREDENTIALS_MAX)
		return store_fail(r, ERR_TOOBIG, "an account has at most %d credentials: revoke one", REGISTRY_CREDENTIALS_MAX);
	return err;
}

/* Runs one of the two statements that make a credential, with its history, inside a change. */
static int
put_credential(struct registry *r, enum statement s, uint64_t account, const char *name, const char *hash,
    uint64_t expires_us)
{
	uint64_t kind = strcmp(name, MAIN_NAME) == 0 ? CREDENTIAL_MAIN : CREDENTIAL_APP;
	struct registry_account a;
	int err = registry_find_account_id(r, account, &a);

	if (err == ERR_OK && (err = store_bind(r, s, "ussuuu", account, name, hash, io_now_us(), kind, expires_us)) == ERR_OK &&
	    (err = store_run_change(r, s)) == ERR_EXISTS)
		store_fail(r, err, "%s has the credential %s already", a.name, name);
	/* Only one of a local user is neither made nor replaced. */
	else if (err == ERR_NOTFOUND && a.id != 0)
		store_fail(r, err = ERR_DENIED, "%s is a local user's and has no password", name);
	if (err == ERR_OK && (err = store_check_count(r, account)) == ERR_OK)
		err = store_add_history(r, "credential.set", &a, name);
	return err;
}

int
registry_set_credential(struct registry *r, uint64_t account, const char *name, const char *hash)
{
	int err;

	if ((err = check_form(r, name, hash)) != ERR_OK || (err = store_begin_change(r)) != ERR_OK)
		return err;
	return store_end_change(r, put_credential(r, STATEMENT_CREDENTIAL_SET, account, name, hash, 0));
}

int
registry_add_credential(struct registry *r, uint64_t account, const char *name, const char *hash, uint64_t expires_us)
{
	int err;

	if ((err = check_form(r, name, hash)) != ERR_OK || (err = store_begin_change(r)) != ERR_OK)
		return err;
	return store_end_change(r, put_credential(r, STATEMENT_CREDENTIAL_ADD, account, name, hash, expires_us));
}

int
store_change_credential(struct registry *r, enum statement s, uint64_t account, const char *name, int bound, const char *what)
{
	struct registry_account a;
	int err = bound;

	if (err == ERR_OK && (err = store_run_change(r, s)) == ERR_OK &&
	    (err = registry_find_account_id(r, account, &a)) == ERR_OK)
		err = store_add_history(r, what, &a, name);
	return store_end_change(r, err);
}

int
registry_set_expiry(struct registry *r, uint64_t account, const char *name, uint64_t expires_us)
{
	const enum statement s = STATEMENT_CREDENTIAL_EXPIRE;
	int err = store_begin_change(r);

	if (err != ERR_OK)
		return err;
	return store_change_credential(r, s, account, name, store_bind(r, s, "usu", account, name, expires_us), "credential.expire");
}

int
registry_set_device(struct registry *r, uint64_t account, const char *name, bool device)
{
	const enum statement s = STATEMENT_CREDENTIAL_DEVICE;
	int err = store_begin_change(r);

	if (err != ERR_OK)
		return err;
	return store_change_credential(r, s, account, name, store_bind(r, s, "usu", account, name, (uint64_t)device), "credential.device");
}

int
registry_remove_credential(struct registry *r, uint64_t account, const char *name)
{
	const enum statement s = STATEMENT_CREDENTIAL_REMOVE;
	int err = store_begin_change(r);

	if (err != ERR_OK)
		return err;
	return store_change_credential(r, s, account, name, store_bind(r, s, "us", account, name), "credential.remove");
}

int
registry_rehash_credential(struct registry *r, const struct registry_credential *c, const char *hash)
{
	const enum statement s = STATEMENT_CREDENTIAL_REHASH;
	int err;

	if ((err = check_form(r, c->name, hash)) != ERR_OK || (err = store_begin_change(r)) != ERR_OK)
		return err;
	return store_change_credential(r, s, c->account, c->name, store_bind(r, s, "uuss", c->id, c->changed_us, c->hash, hash),
	    "credential.rehash");
}

int
registry_note_use(struct registry *r, uint64_t credential, uint64_t time_us, const char *network)
{
	const enum statement s = STATEMENT_CREDENTIAL_USED;
	int err = store_bind(r, s, "uus", credential, time_us, network);

	return err == ERR_OK ? store_step(r, s) : err;
}

void
store_credential(struct registry *r, enum statement s, struct registry_credential *c)
{
	c->id = store_u64(r, s, 0);
	c->account = store_u64(r, s, 1);
	store_text(r, s, 2, c->name, sizeof(c->name));
	store_text(r, s, 3, c->hash, sizeof(c->hash));
	c->changed_us = store_u64(r, s, 4);
	c->kind = (enum credential_kind)store_u64(r, s, 5);
	c->expires_us = store_u64(r, s, 6);
	c->device = store_u64(r, s, 7) != 0;
	c->used_us = store_u64(r, s, 8);
	store_text(r, s, 9, c->used_network, sizeof(c->used_network));
	c->canary = store_u64(r, s, 10) != 0;
	store_text(r, s, 11, c->local_user, sizeof(c->local_user));
	c->local_uid = store_u64(r, s, 12);
	store_limits(r, s, 13, &c->limits);
	for (int i = 0; i < SCOPE_KINDS; i++)
		c->scoped[i] = store_u64(r, s, 17 + i) != 0;
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
		store_credential(r, s, &c[(*n)++]);
	}
	return result;
}

int
registry_check_login(struct registry *r, uint64_t account, uint64_t credential, uint64_t changed_us,
    struct registry_login *login)
{
	const enum statement s = STATEMENT_CREDENTIAL_CHECK;
	int err = store_bind(r, s, "uuuu", account, credential, changed_us, io_now_us());

	if (err != ERR_OK || (err = store_step(r, s)) < 0)
		return err;
	if (err == 0)
		return store_fail(r, ERR_DENIED, "not allowed");
	store_text(r, s, 0, login->account_name, sizeof(login->account_name));
	store_limits(r, s, 1, &login->limits);
	store_limits(r, s, 5, &login->credential_limits);
	for (int i = 0; i < SCOPE_KINDS; i++)
		login->scoped[i] = store_u64(r, s, 9 + i) != 0;
	store_end(r, s);
	return ERR_OK;
}
