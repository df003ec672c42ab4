/*
 * The registry of version 3: a file of version 2 brought up to date, credentials that are narrowed, those of local users, canaries,
 * and accounts that are contained.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "registry_fixture.h"

#include "err.h"
#include "io.h"
#include "password.h"

/* As version 2 made it. */
static const char version_2[] =
    "PRAGMA journal_mode = WAL;"
    "CREATE TABLE account ( id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL COLLATE NOCASE UNIQUE,"
    " disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)), created_us INTEGER NOT NULL, changed_us INTEGER NOT NULL,"
    " max_sessions INTEGER NOT NULL DEFAULT 0, max_recipients INTEGER NOT NULL DEFAULT 0,"
    " max_message_size INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE credential ( id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE, name TEXT NOT NULL COLLATE NOCASE,"
    " hash TEXT NOT NULL, changed_us INTEGER NOT NULL, kind INTEGER NOT NULL DEFAULT 0 CHECK (kind IN (0, 1)),"
    " expires_us INTEGER NOT NULL DEFAULT 0, device INTEGER NOT NULL DEFAULT 0 CHECK (device IN (0, 1)),"
    " used_us INTEGER NOT NULL DEFAULT 0, used_network TEXT NOT NULL DEFAULT '', UNIQUE (account, name)) STRICT;"
    "CREATE TABLE sender ( account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,"
    " pattern TEXT NOT NULL COLLATE NOCASE, PRIMARY KEY (account, pattern)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE history ( id INTEGER PRIMARY KEY AUTOINCREMENT, time_us INTEGER NOT NULL, what TEXT NOT NULL,"
    " account INTEGER NOT NULL, account_name TEXT NOT NULL, detail TEXT NOT NULL) STRICT;"
    "CREATE TABLE ban ( network TEXT NOT NULL PRIMARY KEY, allow INTEGER NOT NULL CHECK (allow IN (0, 1)),"
    " created_us INTEGER NOT NULL, until_us INTEGER NOT NULL, reason TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "PRAGMA application_id = 1349481332; PRAGMA user_version = 2;"
    "INSERT INTO account VALUES (5, 'alice@example.org', 0, 1000, 2000, 3, 0, 0);"
    "INSERT INTO credential VALUES (7, 5, 'password', '" HASH "', 3000, 0, 0, 0, 17, '192.0.2.0/24');"
    "INSERT INTO credential VALUES (8, 5, 'scanner', '" HASH_2 "', 4000, 1, 5000, 1, 0, '');"
    "INSERT INTO credential VALUES (19, 5, 'gone', '" HASH_2 "', 4000, 1, 0, 0, 0, '');"
    "DELETE FROM credential WHERE id = 19;";

static void
test_version_2(void **state)
{
	struct registry_credential c[4];
	struct registry_login login;
	struct registry_account a;
	struct registry *r;
	size_t n;

	make_registry(*state, version_2);
	r = open_registry(*state);
	assert_int_equal(ask_sql(*state, "PRAGMA user_version"), REGISTRY_VERSION);
	assert_int_equal(registry_find_account(r, "alice@example.org", &a), ERR_OK);
	assert_true(a.id == 5 && a.credentials == 2 && a.limits.sessions == 3 && a.limits.messages_per_hour == 0 && a.contained_us == 0);
	assert_int_equal(registry_list_credentials(r, 5, c, COUNT(c), &n), ERR_OK);
	assert_int_equal(n, 2);
	assert_true(c[0].id == 7 && c[0].kind == CREDENTIAL_MAIN && c[0].used_us == 17 && c[0].changed_us == 3000 && !c[0].canary);
	assert_string_equal(c[0].used_network, "192.0.2.0/24");
	assert_true(c[1].id == 8 && c[1].kind == CREDENTIAL_APP && c[1].device && c[1].expires_us == 5000);
	assert_false(c[1].scoped[SCOPE_SENDER] || c[1].scoped[SCOPE_RECIPIENT] || c[1].scoped[SCOPE_NETWORK]);
	assert_int_equal(registry_check_login(r, 5, 7, 3000, &login), ERR_OK);
	/* No number is used twice, not even that of a credential that was removed before. */
	assert_int_equal(registry_add_credential(r, 5, "new", HASH, 0), ERR_OK);
	assert_int_equal(registry_list_credentials(r, 5, c, COUNT(c), &n), ERR_OK);
	assert_true(n == 3 && c[2].id == 20);
	/* Its account still owns it. */
	assert_int_equal(registry_remove_account(r, 5), ERR_OK);
	registry_close(r);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM credential"), 0);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
}

static int
join(const char *pattern, void *arg)
{
	snprintf((char *)arg + strlen(arg), 200 - strlen(arg), "%s ", pattern);
	return 0;
}

static struct registry_credential
credential_of(struct registry *r, uint64_t account, const char *name)
{
	struct registry_credential c[REGISTRY_CREDENTIALS_MAX];
	size_t n;

	assert_int_equal(registry_list_credentials(r, account, c, COUNT(c), &n), ERR_OK);
	for (size_t i = 0; i < n; i++)
		if (strcmp(c[i].name, name) == 0)
			return c[i];
	fail_msg("there is no credential %s", name);
	return c[0];
}

static void
test_patterns(void **state)
{
	static const struct {
		enum scope_kind	 kind;
		const char	*pattern;
		int		 result;
	} patterns[] = {
		{ SCOPE_RECIPIENT, "*@Example.org", ERR_OK }, { SCOPE_RECIPIENT, "*@example.ORG", ERR_EXISTS },
		{ SCOPE_RECIPIENT, "bob@example.net", ERR_OK }, { SCOPE_RECIPIENT, "tag+*@example.net", ERR_OK },
		{ SCOPE_RECIPIENT, "<>", ERR_SYNTAX }, { SCOPE_RECIPIENT, "*", ERR_SYNTAX }, { SCOPE_RECIPIENT, "", ERR_SYNTAX },
		{ SCOPE_RECIPIENT, "192.0.2.0/24", ERR_SYNTAX }, { SCOPE_SENDER, "<>", ERR_OK }, { SCOPE_SENDER, "a@x", ERR_OK },
		{ SCOPE_NETWORK, "192.0.2.0/24", ERR_OK }, { SCOPE_NETWORK, "2001:db8::/32", ERR_OK },
		{ SCOPE_NETWORK, "192.0.2.1/24", ERR_SYNTAX }, { SCOPE_NETWORK, "a@x", ERR_SYNTAX }, { SCOPE_NETWORK, "", ERR_SYNTAX },
	};
	static const struct {
		const char	*address;
		bool		 allowed;
	} recipients[] = {
		{ "any@example.org", true }, { "ANY@EXAMPLE.ORG", true }, { "any@sub.example.org", false }, { "bob@example.net", true },
		{ "bobby@example.net", false }, { "tag+1@example.net", true }, { "tag@example.net", false },
	};
	static const struct {
		struct netaddr	address;
		bool		allowed;
	} peers[] = {
		{ { .family = 4, .octets = { 192, 0, 2, 255 }, .port = 9 }, true }, { { .family = 4, .octets = { 192, 0, 3, 0 } }, false },
		{ { .family = 6, .octets = { 0x20, 1, 0xd, 0xb8, 7 } }, true }, { { .family = 6, .octets = { 0x20, 1, 0xd, 0xb9 } }, false },
		{ { .family = 0 }, false },
	};
	struct registry *r = open_registry(*state);
	struct registry_credential c;
	char text[200] = "";
	struct addr a;
	uint64_t id;

	assert_int_equal(registry_add_account(r, "a@x", HASH, &id), ERR_OK);
	assert_int_equal(registry_add_credential(r, id, "app", HASH, 0), ERR_OK);
	for (size_t i = 0; i < COUNT(patterns); i++)
		check_row(i, registry_add_scope(r, id, "APP", patterns[i].kind, patterns[i].pattern) == patterns[i].result);
	assert_int_equal(registry_add_scope(r, id, "none", SCOPE_SENDER, "a@x"), ERR_NOTFOUND);
	assert_int_equal(registry_add_scope(r, 4711, "app", SCOPE_SENDER, "a@x"), ERR_NOTFOUND);
	c = credential_of(r, id, "app");
	assert_true(c.scoped[SCOPE_SENDER] && c.scoped[SCOPE_RECIPIENT] && c.scoped[SCOPE_NETWORK]);
	for (size_t i = 0; i < COUNT(recipients); i++) {
		assert_int_equal(addr_parse(&a, recipients[i].address, strlen(recipients[i].address), true), ERR_OK);
		check_row(i, (registry_check_scope(r, c.id, SCOPE_RECIPIENT, &a) == ERR_OK) == recipients[i].allowed);
		check_row(i, registry_check_scope(r, c.id, SCOPE_SENDER, &a) == ERR_DENIED);
	}
	addr_set_null(&a);
	assert_int_equal(registry_check_scope(r, c.id, SCOPE_SENDER, &a), ERR_OK);
	for (size_t i = 0; i < COUNT(peers); i++)
		check_row(i, (registry_check_network(r, c.id, &peers[i].address) == ERR_OK) == peers[i].allowed);
	assert_int_equal(registry_walk_scope(r, c.id, SCOPE_NETWORK, join, text), 0);
	assert_string_equal(text, "192.0.2.0/24 2001:db8::/32 ");
	/* A new password keeps them; clearing takes one kind; the end of the credential all. */
	assert_int_equal(registry_set_credential(r, id, "app", HASH_2), ERR_OK);
	assert_int_equal(registry_clear_scope(r, id, "app", SCOPE_RECIPIENT), ERR_OK);
	c = credential_of(r, id, "app");
	assert_true(c.scoped[SCOPE_SENDER] && !c.scoped[SCOPE_RECIPIENT] && c.scoped[SCOPE_NETWORK]);
	assert_int_equal(registry_remove_credential(r, id, "app"), ERR_OK);
	registry_close(r);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM scope"), 0);
}

static void
test_how_many(void **state)
{
	struct registry *r = open_registry(*state);
	char pattern[32];
	uint64_t id;

	assert_int_equal(registry_add_account(r, "a@x", HASH, &id), ERR_OK);
	assert_int_equal(registry_begin(r), ERR_OK);
	for (int i = 0; i <= REGISTRY_SCOPES_MAX; i++) {
		snprintf(pattern, sizeof(pattern), "u%d@example.org", i);
		assert_int_equal(registry_add_scope(r, id, "password", SCOPE_RECIPIENT, pattern), i < REGISTRY_SCOPES_MAX ? ERR_OK : ERR_TOOBIG);
	}
	assert_int_equal(registry_add_scope(r, id, "password", SCOPE_SENDER, "a@x"), ERR_OK);
	assert_int_equal(registry_commit(r), ERR_OK);
	registry_close(r);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM scope"), REGISTRY_SCOPES_MAX + 1);
}

static void
test_login_facts(void **state)
{
	const struct registry_limits own = { .sessions = 9, .recipients = 5, .message_size = 600000, .messages_per_hour = 7 };
	struct registry *r = open_registry(*state);
	struct registry_credential c;
	struct registry_login login;
	uint64_t id;

	assert_int_equal(registry_add_account(r, "a@x", HASH, &id), ERR_OK);
	assert_int_equal(registry_add_credential(r, id, "app", HASH, 0), ERR_OK);
	assert_int_equal(registry_set_credential_limits(r, id, "app", &own), ERR_OK);
	assert_int_equal(registry_set_credential_limits(r, id, "none", &own), ERR_NOTFOUND);
	assert_int_equal(registry_add_scope(r, id, "app", SCOPE_RECIPIENT, "*@y"), ERR_OK);
	c = credential_of(r, id, "app");
	assert_true(c.limits.sessions == 0 && c.limits.recipients == 5 && c.limits.message_size == 600000 && c.limits.messages_per_hour == 7);
	assert_int_equal(registry_check_login(r, id, c.id, c.changed_us, &login), ERR_OK);
	assert_string_equal(login.account_name, "a@x");
	assert_true(login.limits.recipients == 0 && login.credential_limits.recipients == 5 && login.credential_limits.messages_per_hour == 7);
	assert_true(!login.scoped[SCOPE_SENDER] && login.scoped[SCOPE_RECIPIENT] && !login.scoped[SCOPE_NETWORK]);
	/* A running session learns a new name, and that its credential has become a canary. */
	assert_int_equal(registry_rename_account(r, id, "b@x"), ERR_OK);
	assert_int_equal(registry_check_login(r, id, c.id, c.changed_us, &login), ERR_OK);
	assert_string_equal(login.account_name, "b@x");
	assert_int_equal(registry_set_canary(r, id, "app", true), ERR_OK);
	assert_int_equal(registry_check_login(r, id, c.id, c.changed_us, &login), ERR_DENIED);
	assert_true(credential_of(r, id, "app").canary);
	assert_int_equal(registry_set_canary(r, id, "none", true), ERR_NOTFOUND);
	registry_close(r);
}

static void
test_local(void **state)
{
	struct registry *r = open_registry(*state);
	struct registry_credential c;
	struct registry_account a;
	uint64_t alice, bob;

	assert_int_equal(registry_add_account(r, "alice@x", HASH, &alice), ERR_OK);
	assert_int_equal(registry_add_account(r, "bob@x", HASH, &bob), ERR_OK);
	assert_int_equal(registry_find_local(r, 33, &a, &c), ERR_NOTFOUND);
	assert_int_equal(registry_add_local(r, alice, "local:www-data", "www-data", 33, 0), ERR_OK);
	assert_int_equal(registry_add_local(r, alice, "cron", "root", 0, 0), ERR_OK);
	assert_int_equal(registry_find_local(r, 33, &a, &c), ERR_OK);
	assert_true(a.id == alice && c.account == alice && c.kind == CREDENTIAL_LOCAL && c.local_uid == 33);
	assert_string_equal(a.name, "alice@x");
	assert_string_equal(c.name, "local:www-data");
	assert_string_equal(c.local_user, "www-data");
	assert_int_equal(check_login(r, alice, c.id, c.changed_us), ERR_OK);
	/* User 0 is a user, and no number stands for "none". */
	assert_int_equal(registry_find_local(r, 0, &a, &c), ERR_OK);
	assert_string_equal(c.name, "cron");
	assert_int_equal(registry_find_local(r, UINT32_MAX, &a, &c), ERR_NOTFOUND);
	/* One of all accounts together; a name once an account; no name that another kind has. */
	assert_int_equal(registry_add_local(r, bob, "mine", "www-data", 33, 0), ERR_EXISTS);
	assert_non_null(strstr(registry_reason(r), "alice@x"));
	assert_int_equal(registry_add_local(r, alice, "cron", "daemon", 1, 0), ERR_EXISTS);
	assert_non_null(strstr(registry_reason(r), "alice@x has the credential cron"));
	assert_int_equal(registry_add_local(r, bob, "password", "daemon", 1, 0), ERR_SYNTAX);
	assert_int_equal(registry_add_local(r, bob, "a b", "daemon", 1, 0), ERR_SYNTAX);
	assert_int_equal(registry_add_local(r, bob, "local:", "daemon", 1, 0), ERR_SYNTAX);
	assert_int_equal(registry_add_local(r, bob, "x", "", 1, 0), ERR_SYNTAX);
	assert_int_equal(registry_add_local(r, 4711, "x", "daemon", 1, 0), ERR_NOTFOUND);
	/* No password is it, and none is put into it. */
	assert_int_equal(registry_set_credential(r, alice, "cron", HASH), ERR_DENIED);
	assert_int_equal(registry_find_local(r, 0, &a, &c), ERR_OK);
	assert_false(password_is_hash(c.hash));
	assert_false(password_matches("", 0, c.hash) || password_matches("!", 1, c.hash) || password_matches("x", 1, c.hash));
	/* Disabled, expired, gone. */
	assert_int_equal(registry_set_disabled(r, alice, true), ERR_OK);
	assert_int_equal(registry_find_local(r, 33, &a, &c), ERR_DENIED);
	assert_true(a.id == alice && c.local_uid == 33);
	assert_int_equal(registry_set_disabled(r, alice, false), ERR_OK);
	assert_int_equal(registry_set_expiry(r, alice, "local:www-data", io_now_us() - 1), ERR_OK);
	assert_int_equal(registry_find_local(r, 33, &a, &c), ERR_DENIED);
	assert_int_equal(registry_remove_credential(r, alice, "local:www-data"), ERR_OK);
	assert_int_equal(registry_find_local(r, 33, &a, &c), ERR_NOTFOUND);
	assert_int_equal(registry_add_local(r, bob, "mine", "www-data", 33, 0), ERR_OK);
	assert_int_equal(registry_remove_account(r, bob), ERR_OK);
	assert_int_equal(registry_find_local(r, 33, &a, &c), ERR_NOTFOUND);
	registry_close(r);
}

static void
test_contain(void **state)
{
	struct registry *r = open_registry(*state);
	struct registry_credential c;
	struct registry_account a;
	uint64_t id;

	assert_int_equal(registry_add_account(r, "a@x", HASH, &id), ERR_OK);
	c = credential_of(r, id, "password");
	assert_int_equal(registry_contain_account(r, id, "its password was phished"), ERR_OK);
	assert_int_equal(registry_find_account(r, "a@x", &a), ERR_OK);
	assert_true(a.disabled && a.contained_us != 0 && a.contained_us == a.changed_us);
	assert_string_equal(a.contained_reason, "its password was phished");
	assert_int_equal(check_login(r, id, c.id, c.changed_us), ERR_DENIED);
	assert_int_equal(registry_restore_account(r, id), ERR_OK);
	assert_int_equal(registry_find_account(r, "a@x", &a), ERR_OK);
	assert_true(!a.disabled && a.contained_us == 0 && a.contained_reason[0] == 0);
	assert_int_equal(check_login(r, id, c.id, c.changed_us), ERR_OK);
	assert_int_equal(registry_contain_account(r, 4711, "x"), ERR_NOTFOUND);
	assert_int_equal(registry_restore_account(r, 4711), ERR_NOTFOUND);
	registry_close(r);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM history WHERE what IN ('account.contain', 'account.restore') AND "
	    "account_name = 'a@x' AND detail = 'its password was phished'"), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_version_2, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_patterns, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_how_many, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_login_facts, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_local, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_contain, registry_set_up, registry_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
