/*
 * The registry of version 2: a file of version 1 brought up to date, credentials that expire and are hashed anew, limits, names,
 * and networks that are refused.
 */
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#include "conf.h"
#include "err.h"
#include "io.h"
#include "registry.h"

#define HASH "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"
#define HASH_2 "$6$saltsalu$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"

/* As version 1 made it, octet for octet. */
static const char version_1[] =
    "PRAGMA journal_mode = WAL;"
    "CREATE TABLE account ( id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL COLLATE NOCASE UNIQUE,"
    " disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)), created_us INTEGER NOT NULL, changed_us INTEGER NOT NULL) STRICT;"
    "CREATE TABLE credential ( id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE, name TEXT NOT NULL COLLATE NOCASE,"
    " hash TEXT NOT NULL, changed_us INTEGER NOT NULL, UNIQUE (account, name)) STRICT;"
    "CREATE TABLE sender ( account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,"
    " pattern TEXT NOT NULL COLLATE NOCASE, PRIMARY KEY (account, pattern)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE history ( id INTEGER PRIMARY KEY AUTOINCREMENT, time_us INTEGER NOT NULL, what TEXT NOT NULL,"
    " account INTEGER NOT NULL, account_name TEXT NOT NULL, detail TEXT NOT NULL) STRICT;"
    "PRAGMA application_id = 1349481332; PRAGMA user_version = 1;"
    "INSERT INTO account VALUES (5, 'alice@example.org', 0, 1000, 2000);"
    "INSERT INTO credential VALUES (7, 5, 'password', '" HASH "', 3000);"
    "INSERT INTO credential VALUES (8, 5, 'phone', '" HASH_2 "', 4000);"
    "INSERT INTO sender VALUES (5, 'alice@example.org'), (5, '*@example.net');";

static struct {
	char			folder[64];
	struct instance		in;
	struct instance_ids	ids;
} place;

static int
set_up(void **state)
{
	struct conf_error error;
	struct conf c;

	(void)state;
	snprintf(place.folder, sizeof(place.folder), "/tmp/postern-registry.XXXXXX");
	if (mkdtemp(place.folder) == NULL || instance_open(&place.in, place.folder) != ERR_OK ||
	    conf_parse(&c, "", 0, &error) != ERR_OK)
		return -1;
	instance_ids(&place.in, &c, &place.ids);
	return registry_create(&place.in, &place.ids);
}

static int
tear_down(void **state)
{
	static const char *const names[] = { "registry/registry.db", "registry/registry.db-wal", "registry/registry.db-shm",
	    "registry", "" };
	char path[512];
	int failed = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", place.folder, names[i]);
		failed += remove(path) != 0;
	}
	return failed;
}

static struct registry *
open_registry(bool writable)
{
	struct registry *r;

	if (registry_open(&r, &place.in, &place.ids, writable) != ERR_OK)
		fail_msg("%s", registry_reason(NULL));
	return r;
}

static void
make_version_1(void)
{
	static const char *const names[] = { "", "-wal", "-shm" };
	char path[PATH_MAX + 8];
	sqlite3 *db;

	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s%s", place.in.registry_file, names[i]);
		unlink(path);
	}
	assert_int_equal(sqlite3_open(place.in.registry_file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, version_1, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(chmod(place.in.registry_file, 0600), 0);
	assert_int_equal(chown(place.in.registry_file, place.ids.auth_uid, place.ids.auth_gid), 0);
}

static void
test_version_1(void **state)
{
	struct registry_credential c[4];
	struct registry_account a;
	struct registry_login login;
	struct registry *r;
	struct addr address;
	size_t n;

	(void)state;
	for (int writable = 0; writable < 2; writable++) {
		make_version_1();
		r = open_registry(writable != 0);
		assert_int_equal(registry_find_account(r, "alice@example.org", &a), ERR_OK);
		assert_true(a.id == 5 && a.senders == 2 && a.credentials == 2 && a.limits.sessions == 0);
		assert_int_equal(registry_list_credentials(r, 5, c, COUNT(c), &n), ERR_OK);
		assert_int_equal(n, 2);
		assert_true(c[0].id == 7 && c[0].kind == CREDENTIAL_MAIN && c[0].changed_us == 3000 && c[0].expires_us == 0);
		assert_true(c[1].id == 8 && c[1].kind == CREDENTIAL_APP && c[1].used_us == 0 && c[1].used_network[0] == 0);
		assert_string_equal(c[1].hash, HASH_2);
		assert_int_equal(registry_check_login(r, 5, 8, 4000, &login), ERR_OK);
		assert_int_equal(addr_parse(&address, "x@example.net", 13, false), ERR_OK);
		assert_int_equal(registry_check_sender(r, 5, &address), ERR_OK);
		assert_int_equal(registry_add_account(r, "b@x", HASH, NULL), writable ? ERR_OK : ERR_DENIED);
		registry_close(r);
		registry_close(open_registry(true));
	}
}

static void
test_credentials(void **state)
{
	struct registry *r = open_registry(true);
	struct registry_credential c[REGISTRY_CREDENTIALS_MAX];
	struct registry_login login;
	uint64_t id, now = io_now_us();
	size_t n;

	(void)state;
	assert_int_equal(registry_add_account(r, "a@x", HASH, &id), ERR_OK);
	assert_int_equal(registry_add_credential(r, id, "phone", HASH, now + 3600000000), ERR_OK);
	assert_int_equal(registry_add_credential(r, id, "PHONE", HASH, 0), ERR_EXISTS);
	assert_int_equal(registry_add_credential(r, id, "old", HASH, now - 1), ERR_OK);
	assert_int_equal(registry_list_credentials(r, id, c, COUNT(c), &n), ERR_OK);
	assert_int_equal(n, 3);
	assert_int_equal(registry_check_login(r, id, c[1].id, c[1].changed_us, &login), ERR_OK);
	assert_int_equal(registry_check_login(r, id, c[2].id, c[2].changed_us, &login), ERR_DENIED);
	assert_int_equal(registry_set_expiry(r, id, "old", 0), ERR_OK);
	assert_int_equal(registry_check_login(r, id, c[2].id, c[2].changed_us, &login), ERR_OK);
	assert_int_equal(registry_set_expiry(r, id, "nothing", 0), ERR_NOTFOUND);
	/* A better hash: once, only of what was read, and nobody's login ends by it. */
	assert_int_equal(registry_rehash_credential(r, &c[0], HASH_2), ERR_OK);
	assert_int_equal(registry_rehash_credential(r, &c[0], HASH_2), ERR_NOTFOUND);
	assert_int_equal(registry_rehash_credential(r, &c[1], "nonsense"), ERR_SYNTAX);
	assert_int_equal(registry_check_login(r, id, c[0].id, c[0].changed_us, &login), ERR_OK);
	assert_int_equal(registry_note_use(r, c[0].id, now, "192.0.2.0/24"), ERR_OK);
	assert_int_equal(registry_note_use(r, c[0].id, now - 1, "198.51.100.0/24"), ERR_OK);	/* older: nothing */
	assert_int_equal(registry_note_use(r, 4711, now, "198.51.100.0/24"), ERR_OK);
	assert_int_equal(registry_list_credentials(r, id, c, COUNT(c), &n), ERR_OK);
	assert_string_equal(c[0].hash, HASH_2);
	assert_true(c[0].used_us == now && strcmp(c[0].used_network, "192.0.2.0/24") == 0);
	/* At most as many as a login tries, whichever way they come. */
	for (size_t i = n; i < REGISTRY_CREDENTIALS_MAX; i++) {
		char name[8];

		snprintf(name, sizeof(name), "n%zu", i);
		assert_int_equal(registry_add_credential(r, id, name, HASH, 0), ERR_OK);
	}
	assert_int_equal(registry_add_credential(r, id, "more", HASH, 0), ERR_TOOBIG);
	assert_int_equal(registry_set_credential(r, id, "more", HASH), ERR_TOOBIG);
	assert_int_equal(registry_set_credential(r, id, "phone", HASH_2), ERR_OK);
	registry_close(r);
}

static void
test_names_and_limits(void **state)
{
	const struct registry_limits wanted = { 1, 2, 3, 4 };
	struct registry *r = open_registry(true);
	struct registry_login login;
	struct registry_credential c;
	struct registry_account a;
	uint64_t id, other;
	size_t n;

	(void)state;
	assert_int_equal(registry_add_account(r, "a@x", HASH, &id), ERR_OK);
	assert_int_equal(registry_add_account(r, "b@x", HASH, &other), ERR_OK);
	assert_int_equal(registry_rename_account(r, id, "B@x"), ERR_EXISTS);
	assert_int_equal(registry_rename_account(r, id, "b c"), ERR_SYNTAX);
	assert_int_equal(registry_rename_account(r, id, "c@x"), ERR_OK);
	assert_int_equal(registry_rename_account(r, id, "C@x"), ERR_OK);	/* its own sender is there already */
	assert_int_equal(registry_rename_account(r, 4711, "d@x"), ERR_NOTFOUND);
	assert_int_equal(registry_find_account(r, "a@x", &a), ERR_NOTFOUND);
	assert_int_equal(registry_find_account(r, "c@x", &a), ERR_OK);
	assert_true(a.id == id && a.senders == 2 && strcmp(a.name, "C@x") == 0);
	assert_int_equal(registry_set_limits(r, id, &wanted), ERR_OK);
	assert_int_equal(registry_set_limits(r, 4711, &wanted), ERR_NOTFOUND);
	assert_int_equal(registry_list_credentials(r, id, &c, 1, &n), ERR_OK);
	assert_int_equal(registry_check_login(r, id, c.id, c.changed_us, &login), ERR_OK);
	assert_memory_equal(&login.limits, &wanted, sizeof(wanted));
	assert_string_equal(login.account_name, "C@x");
	registry_close(r);
}

static char listed[256];

static int
list(const struct registry_ban *b, void *arg)
{
	char text[NETADDR_TEXT];

	(void)arg;
	netmask_put(text, &b->network);
	strncat(listed, text, sizeof(listed) - strlen(listed) - 1);
	strncat(listed, b->allow ? "+ " : "- ", sizeof(listed) - strlen(listed) - 1);
	return 0;
}

static void
set_ban(struct registry *r, const char *network, bool allow, uint64_t until_us, int result)
{
	struct registry_ban b = { .allow = allow, .until_us = until_us, .reason = "because" };

	assert_int_equal(netmask_parse(&b.network, network), ERR_OK);
	assert_int_equal(registry_set_ban(r, &b), result);
}

static void
test_bans(void **state)
{
	struct registry *r = open_registry(true), *reader = open_registry(false);
	uint64_t before, after, now = io_now_us();
	struct netmask network;

	(void)state;
	assert_int_equal(registry_data_version(reader, &before), ERR_OK);
	set_ban(r, "192.0.2.0/24", false, 0, ERR_OK);
	set_ban(r, "192.0.2.7", true, now + 60000000, ERR_OK);
	set_ban(r, "2001:db8::/32", false, now - 1, ERR_OK);
	assert_int_equal(registry_data_version(reader, &after), ERR_OK);
	assert_int_not_equal(before, after);
	assert_int_equal(registry_data_version(reader, &before), ERR_OK);
	assert_int_equal(before, after);
	listed[0] = 0;
	assert_int_equal(registry_walk_bans(reader, list, NULL), ERR_OK);
	assert_string_equal(listed, "192.0.2.0/24- 192.0.2.7/32+ ");
	set_ban(r, "192.0.2.7/32", false, 0, ERR_OK);
	assert_int_equal(netmask_parse(&network, "192.0.2.0/24"), ERR_OK);
	assert_int_equal(registry_remove_ban(r, &network), ERR_OK);
	assert_int_equal(registry_remove_ban(r, &network), ERR_NOTFOUND);
	listed[0] = 0;
	assert_int_equal(registry_walk_bans(reader, list, NULL), ERR_OK);
	assert_string_equal(listed, "192.0.2.7/32- ");
	assert_int_equal(registry_begin(r), ERR_OK);
	for (int i = 1; i <= REGISTRY_BANS_MAX; i++) {
		char text[32];

		snprintf(text, sizeof(text), "10.%d.%d.0/24", i / 250, i % 250);
		set_ban(r, text, false, 0, i < REGISTRY_BANS_MAX ? ERR_OK : ERR_TOOBIG);
	}
	assert_int_equal(registry_commit(r), ERR_OK);
	registry_close(reader);
	registry_close(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_version_1, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_credentials, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names_and_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bans, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
