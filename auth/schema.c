/*
 * The registry's schema as a table of migrations. Pure text; part of the registry library. Invariant:
 * a row that was released is never changed; the newest version is REGISTRY_VERSION.
 */
#include "schema.h"

#include <stddef.h>

#include "registry.h"

/*
 * STRICT: a column holds its type and nothing else. AUTOINCREMENT: a number is never used twice, so that a session
 * can't take a new account or credential for its old one. NOCASE is ASCII case only.
 */
static const char *const migrations[REGISTRY_VERSION] = {
	[0] = "CREATE TABLE account ("
	    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
	    " name TEXT NOT NULL COLLATE NOCASE UNIQUE,"
	    " disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),"
	    " created_us INTEGER NOT NULL,"
	    " changed_us INTEGER NOT NULL) STRICT;"
	    "CREATE TABLE credential ("
	    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
	    " account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,"
	    " name TEXT NOT NULL COLLATE NOCASE,"
	    " hash TEXT NOT NULL,"
	    " changed_us INTEGER NOT NULL,"
	    " UNIQUE (account, name)) STRICT;"
	    "CREATE TABLE sender ("
	    " account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,"
	    " pattern TEXT NOT NULL COLLATE NOCASE,"
	    " PRIMARY KEY (account, pattern)) STRICT, WITHOUT ROWID;"
	    "CREATE TABLE history ("
	    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
	    " time_us INTEGER NOT NULL,"
	    " what TEXT NOT NULL,"
	    " account INTEGER NOT NULL,"		/* no reference: it outlives the account */
	    " account_name TEXT NOT NULL,"
	    " detail TEXT NOT NULL) STRICT;"
	    "PRAGMA application_id = 1349481332;"	/* SCHEMA_APPLICATION_ID */
	    "PRAGMA user_version = 1;",
	/* A limit of 0 is the configuration's; a time of 0 is never, or for ever. */
	[1] = "ALTER TABLE account ADD COLUMN max_sessions INTEGER NOT NULL DEFAULT 0;"
	    "ALTER TABLE account ADD COLUMN max_recipients INTEGER NOT NULL DEFAULT 0;"
	    "ALTER TABLE account ADD COLUMN max_message_size INTEGER NOT NULL DEFAULT 0;"
	    "ALTER TABLE credential ADD COLUMN kind INTEGER NOT NULL DEFAULT 0 CHECK (kind IN (0, 1));"	/* main, app */
	    "ALTER TABLE credential ADD COLUMN expires_us INTEGER NOT NULL DEFAULT 0;"
	    "ALTER TABLE credential ADD COLUMN device INTEGER NOT NULL DEFAULT 0 CHECK (device IN (0, 1));"
	    "ALTER TABLE credential ADD COLUMN used_us INTEGER NOT NULL DEFAULT 0;"
	    "ALTER TABLE credential ADD COLUMN used_network TEXT NOT NULL DEFAULT '';"
	    "UPDATE credential SET kind = 1 WHERE name <> 'password';"
	    "CREATE TABLE ban ("
	    " network TEXT NOT NULL PRIMARY KEY,"		/* 192.0.2.0/24 */
	    " allow INTEGER NOT NULL CHECK (allow IN (0, 1)),"
	    " created_us INTEGER NOT NULL,"
	    " until_us INTEGER NOT NULL,"
	    " reason TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	    "PRAGMA user_version = 2;",
	/*
	 * Credentials of local users, canaries, scopes; accounts that are contained. The table of credentials is made anew, since
	 * its kinds are more; the sequence of its numbers goes on. A scope's kind is an enum scope_kind.
	 */
	[2] = "ALTER TABLE account ADD COLUMN max_messages_per_hour INTEGER NOT NULL DEFAULT 0;"
	    "ALTER TABLE account ADD COLUMN contained_us INTEGER NOT NULL DEFAULT 0;"	/* 0: it is not */
	    "ALTER TABLE account ADD COLUMN contained_reason TEXT NOT NULL DEFAULT '';"
	    "CREATE TABLE new_credential ("
	    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
	    " account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,"
	    " name TEXT NOT NULL COLLATE NOCASE,"
	    " hash TEXT NOT NULL,"
	    " changed_us INTEGER NOT NULL,"
	    " kind INTEGER NOT NULL DEFAULT 0 CHECK (kind IN (0, 1, 2)),"		/* main, app, local */
	    " expires_us INTEGER NOT NULL DEFAULT 0,"
	    " device INTEGER NOT NULL DEFAULT 0 CHECK (device IN (0, 1)),"
	    " used_us INTEGER NOT NULL DEFAULT 0,"
	    " used_network TEXT NOT NULL DEFAULT '',"
	    " canary INTEGER NOT NULL DEFAULT 0 CHECK (canary IN (0, 1)),"
	    " local_user TEXT NOT NULL DEFAULT '',"
	    " local_uid INTEGER NOT NULL DEFAULT 0,"
	    " max_recipients INTEGER NOT NULL DEFAULT 0,"
	    " max_message_size INTEGER NOT NULL DEFAULT 0,"
	    " max_messages_per_hour INTEGER NOT NULL DEFAULT 0,"
	    " UNIQUE (account, name)) STRICT;"
	    "INSERT INTO new_credential (id, account, name, hash, changed_us, kind, expires_us, device, used_us, used_network)"
	    " SELECT id, account, name, hash, changed_us, kind, expires_us, device, used_us, used_network FROM credential;"
	    "DELETE FROM sqlite_sequence WHERE name = 'new_credential';"
	    "INSERT INTO sqlite_sequence (name, seq) SELECT 'new_credential', seq FROM sqlite_sequence WHERE name = 'credential';"
	    "DROP TABLE credential;"
	    "ALTER TABLE new_credential RENAME TO credential;"
	    "CREATE UNIQUE INDEX credential_local ON credential (local_uid) WHERE kind = 2;"
	    "CREATE TABLE scope ("
	    " credential INTEGER NOT NULL REFERENCES credential (id) ON DELETE CASCADE,"
	    " kind INTEGER NOT NULL CHECK (kind IN (0, 1, 2)),"			/* sender, recipient, network */
	    " pattern TEXT NOT NULL COLLATE NOCASE,"
	    " PRIMARY KEY (credential, kind, pattern)) STRICT, WITHOUT ROWID;"
	    "PRAGMA user_version = 3;",
	/* What mail is sent from; nothing is judged by it. */
	[3] = "CREATE TABLE domain ("
	    " name TEXT NOT NULL COLLATE NOCASE PRIMARY KEY,"
	    " created_us INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	    "PRAGMA user_version = 4;",
};

const char schema_connection[] =
    "PRAGMA foreign_keys = ON;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA cell_size_check = ON;"
    "PRAGMA mmap_size = 0;";

const char schema_empty[] = "PRAGMA journal_mode = WAL;";

const char *
schema_migration(int from)
{
	return from >= 0 && from < REGISTRY_VERSION ? migrations[from] : NULL;
}
