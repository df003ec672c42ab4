/*
 * smtpadm credential: the passwords of an account beside its main one, for single programs and devices. Runs with the admin's
 * rights and writes the registry in one transaction a command; with --dry-run it is rolled back. Passwords are hashed before it
 * begins, and one that was made is printed once.
 */
#include "command.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "err.h"
#include "io.h"
#include "out.h"
#include "people.h"
#include "scopes.h"
#include "secret.h"
#include "str.h"

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
	if (err == ERR_DENIED) {
		out_fix("smtpadm credential show %s --name %s", account, name);
		return out_fail(EX_DATAERR, "no_password", "the credential '%s' of '%s' is a local user's and has no password",
		    name, account);
	}
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

/* ERR_NOTFOUND */
static int
find(struct registry *r, uint64_t account, const char *name, struct registry_credential *one)
{
	static struct registry_credential c[REGISTRY_CREDENTIALS_MAX];
	size_t n = 0;
	int err = registry_list_credentials(r, account, c, REGISTRY_CREDENTIALS_MAX, &n);

	for (size_t i = 0; err == ERR_OK && i < n; i++) {
		if (str_is_equal_nocase(c[i].name, strlen(c[i].name), name, strlen(name))) {
			*one = c[i];
			return ERR_OK;
		}
	}
	return err == ERR_OK ? ERR_NOTFOUND : err;
}

/* Whether it can be done is looked at before a password is asked for, too. */
static int
check(const struct admin *a, const char *name, bool must_exist)
{
	struct registry_account account;
	struct registry_credential c;
	struct registry *r;
	int code, err;

	if ((code = people_open(a, false, &r)) != EX_OK)
		return code;
	if ((code = people_find(r, a->words[0], &account)) == EX_OK) {
		err = find(r, account.id, name, &c);
		if (must_exist && err == ERR_OK && c.kind == CREDENTIAL_LOCAL)
			err = ERR_DENIED;
		else if (!must_exist && (err == ERR_OK || err == ERR_NOTFOUND))
			err = err == ERR_OK ? ERR_EXISTS : ERR_OK;
		if (err != ERR_OK)
			code = fail(r, err, account.name, name);
	}
	registry_close(r);
	return code;
}

/* What a program of this system is known by: the user's number, since postern-auth has no list of users. */
static int
find_user(const char *name, uint64_t *uid)
{
	const struct passwd *user;

	errno = 0;
	if (strlen(name) < REGISTRY_USER_MAX && (user = getpwnam(name)) != NULL) {
		*uid = user->pw_uid;
		return EX_OK;
	}
	/* As the local socket names users: of a container, say, that this system has no name for. */
	if (str_parse_u64(name, strlen(name), UINT32_MAX - 1, uid) == ERR_OK)
		return EX_OK;
	out_fix("getent passwd");
	return out_fail(EX_NOUSER, "no_user", "there is no user '%s' in this system", name);
}

/* A program submits as one account. */
static int
check_user(struct registry *r, const char *user, uint64_t uid)
{
	struct registry_credential c;
	struct registry_account owner;
	int err = registry_find_local(r, uid, &owner, &c);

	if (err == ERR_NOTFOUND)
		return EX_OK;
	if (err != ERR_OK && err != ERR_DENIED)
		return people_fail(r, err, user);
	out_fix("smtpadm credential revoke %s --name %s, before", owner.name, c.name);
	return out_fail(EX_CANTCREAT, "exists", "the user '%s' has the credential '%s' of the account '%s' already", user,
	    c.name, owner.name);
}

static int
check_options(const struct admin *a, const char *name)
{
	bool is_local = admin_has(a, OPT_LOCAL_USER), is_canary = admin_has(a, OPT_CANARY);

	if (is_local && (is_canary || admin_has(a, OPT_NET) || admin_has(a, OPT_STDIN) || admin_has(a, OPT_HASH_STDIN) ||
	    admin_has(a, OPT_GENERATE))) {
		out_fix("smtpadm credential add %s --local-user USER", a->words[0]);
		return out_fail(EX_USAGE, "usage", "a local user's credential has neither password nor network");
	}
	if (is_canary && admin_has(a, OPT_DEVICE))
		return out_fail(EX_USAGE, "usage", "--canary and --device exclude each other");
	if (is_canary && strcmp(name, "password") == 0) {
		out_fix("--canary with another --name");
		return out_fail(EX_USAGE, "usage", "an account's main password can't be a canary");
	}
	return EX_OK;
}

/* The name that it has, or gets: of a local user's "local:USER" by itself. */
static int
get_name(const struct admin *a, char *made, size_t size, const char **name)
{
	const char *user = admin_value(a, OPT_LOCAL_USER);

	if (user == NULL || admin_has(a, OPT_NAME))
		return need_name(a, name);
	*name = made;
	return str_fmt(made, size, "local:%s", user) == ERR_OK ? EX_OK :
	    out_fail(EX_DATAERR, "bad_name", "the user's name is too long");
}

static int
add(const struct admin *a, struct registry *r, uint64_t account, const char *name, const char *hash, uint64_t uid,
    uint64_t expires_us)
{
	const char *user = admin_value(a, OPT_LOCAL_USER);
	int err;

	if (user != NULL)
		err = registry_add_local(r, account, name, user, uid, expires_us);
	else
		err = registry_add_credential(r, account, name, hash, expires_us);
	if (err == ERR_OK && admin_has(a, OPT_DEVICE))
		err = registry_set_device(r, account, name, true);
	if (err == ERR_OK && admin_has(a, OPT_CANARY))
		err = registry_set_canary(r, account, name, true);
	return err;
}

int
cmd_credential_add(struct admin *a)
{
	static const struct registry_limits none;
	struct registry_account account;
	struct registry *r = NULL;
	struct secret s = { .len = 0 };
	const char *name = NULL, *user = admin_value(a, OPT_LOCAL_USER);
	struct scopes scopes;
	char made[REGISTRY_NAME_MAX];
	uint64_t expires_us, uid = 0;
	int code, err;

	if ((code = get_name(a, made, sizeof(made), &name)) != EX_OK || (code = check_options(a, name)) != EX_OK ||
	    (code = read_expiry(a, &expires_us)) != EX_OK || (code = scopes_read(&scopes, a, &none)) != EX_OK ||
	    (user != NULL && (code = find_user(user, &uid)) != EX_OK) ||
	    (user == NULL && (code = check(a, name, false)) != EX_OK) ||
	    (user == NULL && (code = get_secret(a, a->words[0], &s)) != EX_OK) || (code = people_begin(a, &r)) != EX_OK)
		goto out;
	if ((code = people_find(r, a->words[0], &account)) == EX_OK &&
	    (user == NULL || (code = check_user(r, user, uid)) == EX_OK)) {
		if ((err = add(a, r, account.id, name, s.hash, uid, expires_us)) == ERR_OK)
			code = scopes_put(&scopes, r, &account, name);
		else
			code = fail(r, err, account.name, name);
	}
	if ((code = people_finish(a, r, code)) == EX_OK)
		report(a, account.name, name, "added", user == NULL ? &s : NULL);
out:
	registry_close(r);
	secret_wipe(&s);
	return code;
}

int
cmd_credential_rotate(struct admin *a)
{
	struct registry_account account;
	struct registry *r = NULL;
	struct secret s = { .len = 0 };
	const char *name;
	uint64_t expires_us;
	int code, err;

	if ((code = need_name(a, &name)) != EX_OK || (code = read_expiry(a, &expires_us)) != EX_OK ||
	    (code = check(a, name, true)) != EX_OK || (code = get_secret(a, a->words[0], &s)) != EX_OK ||
	    (code = people_begin(a, &r)) != EX_OK)
		goto out;
	if ((code = people_find(r, a->words[0], &account)) == EX_OK) {
		struct registry_credential c;

		if ((err = find(r, account.id, name, &c)) == ERR_OK && c.kind == CREDENTIAL_LOCAL)
			err = ERR_DENIED;
		if (err == ERR_OK && (err = registry_set_credential(r, account.id, name, s.hash)) == ERR_OK &&
		    admin_has(a, OPT_EXPIRES))
			err = registry_set_expiry(r, account.id, name, expires_us);
		if (err != ERR_OK)
			code = fail(r, err, account.name, name);
	}
	if ((code = people_finish(a, r, code)) == EX_OK)
		report(a, account.name, name, "rotated", &s);
out:
	registry_close(r);
	secret_wipe(&s);
	return code;
}

int
cmd_credential_change(struct admin *a)
{
	struct registry_account account;
	struct registry_credential c;
	struct registry *r = NULL;
	struct scopes scopes;
	const char *name;
	uint64_t expires_us;
	int code, err;

	if ((code = need_name(a, &name)) != EX_OK || (code = read_expiry(a, &expires_us)) != EX_OK)
		return code;
	if (!scopes_are_given(a) && !admin_has(a, OPT_EXPIRES)) {
		out_fix("smtpadm credential change %s --name %s --rcpt '*@example.org'", a->words[0], name);
		return out_fail(EX_USAGE, "usage", "what is to be changed? --sender, --rcpt, --net, --limit or --expires");
	}
	if ((code = people_begin(a, &r)) != EX_OK)
		return code;
	if ((code = people_find(r, a->words[0], &account)) == EX_OK) {
		if ((err = find(r, account.id, name, &c)) != ERR_OK) {
			code = fail(r, err, account.name, name);
		} else if (c.kind == CREDENTIAL_LOCAL && admin_has(a, OPT_NET)) {
			code = out_fail(EX_USAGE, "usage", "a local user's credential has neither password nor network");
		} else if ((code = scopes_read(&scopes, a, &c.limits)) == EX_OK) {
			code = scopes_put(&scopes, r, &account, name);
		}
		if (code == EX_OK && admin_has(a, OPT_EXPIRES) &&
		    (err = registry_set_expiry(r, account.id, name, expires_us)) != ERR_OK)
			code = fail(r, err, account.name, name);
	}
	if ((code = people_finish(a, r, code)) == EX_OK)
		report(a, account.name, name, "changed", NULL);
	registry_close(r);
	return code;
}

int
cmd_credential_revoke(struct admin *a)
{
	struct registry_account account;
	struct registry *r;
	const char *name;
	int code, err;

	if ((code = need_name(a, &name)) != EX_OK || (code = admin_confirm(a, "revokes", "credentials", &name, 1)) != EX_OK ||
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
