/*
 * Credentials of users of this system, whose programs submit without a password: who asks is known by the number of the user. Part
 * of the registry library, in postern-auth (asking) and smtpadm. Invariant: a user has one of all accounts together, and no
 * password ever matches it.
 */
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "io.h"
#include "pattern.h"
#include "registry.h"
#include "store.h"

#define PREFIX "local:"

/* A word, or the name that it gets by itself. */
static bool
is_name(const char *name)
{
	size_t n = strncmp(name, PREFIX, strlen(PREFIX)) == 0 ? strlen(PREFIX) : 0;

	return pattern_is_word(name + n) && strlen(name) < REGISTRY_NAME_MAX;
}

/* Why the new one would not be the only one: the user has one, or the account has one of that name. */
static int
fail_existing(struct registry *r, const struct registry_account *account, const char *name, const char *user,
    uint64_t uid)
{
	struct registry_credential c;
	struct registry_account owner;
	int err = registry_find_local(r, uid, &owner, &c);

	if (err == ERR_OK || err == ERR_DENIED)
		return store_fail(r, ERR_EXISTS, "the user %s has the credential %s of the account %s already", user, c.name,
		    owner.name);
	if (err == ERR_NOTFOUND)
		return store_fail(r, ERR_EXISTS, "%s has the credential %s already", account->name, name);
	return err;
}

int
registry_add_local(struct registry *r, uint64_t account, const char *name, const char *user, uint64_t uid,
    uint64_t expires_us)
{
	const enum statement s = STATEMENT_CREDENTIAL_LOCAL_ADD;
	struct registry_account a;
	int err;

	if (!is_name(name) || strcmp(name, "password") == 0)
		return store_fail(r, ERR_SYNTAX,
		    "a local credential's name is a word of letters, digits and ._+-, and not password");
	if (user[0] == 0 || strlen(user) >= REGISTRY_USER_MAX)
		return store_fail(r, ERR_SYNTAX, "a user's name has 1 to %d octets", REGISTRY_USER_MAX - 1);
	if ((err = store_begin_change(r)) != ERR_OK)
		return err;
	if ((err = registry_find_account_id(r, account, &a)) == ERR_OK &&
	    (err = store_bind(r, s, "usuusu", account, name, io_now_us(), expires_us, user, uid)) == ERR_OK &&
	    (err = store_step(r, s)) == ERR_EXISTS)
		err = fail_existing(r, &a, name, user, uid);
	if (err == ERR_OK && (err = store_check_count(r, account)) == ERR_OK)
		err = store_add_history(r, "credential.set", &a, name);
	return store_end_change(r, err);
}

int
registry_find_local(struct registry *r, uint64_t uid, struct registry_account *a, struct registry_credential *c)
{
	const enum statement s = STATEMENT_CREDENTIAL_BY_UID;
	int err = store_bind(r, s, "u", uid);

	*a = (struct registry_account){ .id = 0 };
	*c = (struct registry_credential){ .id = 0 };
	if (err != ERR_OK || (err = store_step(r, s)) < 0)
		return err;
	if (err == 0)
		return store_fail(r, ERR_NOTFOUND, "no account has a credential for the user %llu",
		    (unsigned long long)uid);
	store_credential(r, s, c);
	store_end(r, s);
	if ((err = registry_find_account_id(r, c->account, a)) != ERR_OK)
		return err;
	if (a->disabled)
		return store_fail(r, ERR_DENIED, "the account %s is disabled", a->name);
	if (c->expires_us != 0 && c->expires_us <= io_now_us())
		return store_fail(r, ERR_DENIED, "the credential %s of %s has expired", c->name, a->name);
	return ERR_OK;
}
