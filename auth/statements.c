/*
 * The closed list of SQL statements. Pure text; part of the registry library, in postern-auth and
 * smtpadm. Invariant: values reach SQL only as bound parameters, in the order in which they are
 * numbered here.
 */
#include "statements.h"

#define LIMITS "max_sessions, max_recipients, max_message_size"
#define ACCOUNT_COLUMNS "SELECT id, name, disabled, created_us, changed_us, " \
	"(SELECT count(*) FROM sender WHERE sender.account = account.id), " \
	"(SELECT count(*) FROM credential WHERE credential.account = account.id), " LIMITS " FROM account "
#define SENDER_COLUMNS "SELECT sender.account, account.name, sender.pattern " \
	"FROM sender JOIN account ON account.id = sender.account "

#define CREDENTIAL_INSERT "INSERT INTO credential (account, name, hash, changed_us, kind, expires_us) " \
	"VALUES (?1, ?2, ?3, ?4, ?5, ?6) "

static const char *const texts[STATEMENT_COUNT] = {
	[STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
	[STATEMENT_COMMIT] = "COMMIT",
	[STATEMENT_ROLLBACK] = "ROLLBACK",
	[STATEMENT_SAVE] = "SAVEPOINT change",
	[STATEMENT_RELEASE] = "RELEASE change",
	[STATEMENT_UNDO] = "ROLLBACK TO change",
	[STATEMENT_ACCOUNT_BY_NAME] = ACCOUNT_COLUMNS "WHERE name = ?1",
	[STATEMENT_ACCOUNT_BY_ID] = ACCOUNT_COLUMNS "WHERE id = ?1",
	[STATEMENT_ACCOUNTS] = ACCOUNT_COLUMNS "ORDER BY name",
	[STATEMENT_ACCOUNT_ADD] = "INSERT INTO account (name, disabled, created_us, changed_us) VALUES (?1, 0, ?2, ?2)",
	[STATEMENT_ACCOUNT_REMOVE] = "DELETE FROM account WHERE id = ?1",
	[STATEMENT_ACCOUNT_SET_DISABLED] = "UPDATE account SET disabled = ?2, changed_us = ?3 WHERE id = ?1",
	[STATEMENT_ACCOUNT_RENAME] = "UPDATE account SET name = ?2, changed_us = ?3 WHERE id = ?1",
	[STATEMENT_ACCOUNT_SET_LIMITS] = "UPDATE account SET max_sessions = ?2, max_recipients = ?3, "
	    "max_message_size = ?4, changed_us = ?5 WHERE id = ?1",
	[STATEMENT_CREDENTIALS] = "SELECT id, account, name, hash, changed_us, kind, expires_us, device, used_us, used_network "
	    "FROM credential "
	    "WHERE account = ?1 ORDER BY id LIMIT ?2",
	/* A replaced credential never keeps its time of change, whatever the clock says: sessions know it by that. */
	[STATEMENT_CREDENTIAL_SET] = CREDENTIAL_INSERT
	    "ON CONFLICT (account, name) DO UPDATE SET hash = excluded.hash, "
	    "changed_us = max(excluded.changed_us, credential.changed_us + 1)",
	[STATEMENT_CREDENTIAL_REMOVE] = "DELETE FROM credential WHERE account = ?1 AND name = ?2",
	[STATEMENT_CREDENTIAL_CHECK] = "SELECT " LIMITS " FROM credential "
	    "JOIN account ON account.id = credential.account WHERE credential.id = ?2 AND credential.account = ?1 "
	    "AND credential.changed_us = ?3 AND credential.expires_us NOT BETWEEN 1 AND ?4 AND account.disabled = 0",
	[STATEMENT_CREDENTIAL_ADD] = CREDENTIAL_INSERT,
	[STATEMENT_CREDENTIAL_EXPIRE] = "UPDATE credential SET expires_us = ?3 WHERE account = ?1 AND name = ?2",
	[STATEMENT_CREDENTIAL_DEVICE] = "UPDATE credential SET device = ?3 WHERE account = ?1 AND name = ?2",
	[STATEMENT_CREDENTIAL_REHASH] = "UPDATE credential SET hash = ?4 WHERE id = ?1 AND changed_us = ?2 AND hash = ?3",
	/* Only forwards: what was noted twice at the same time counts once. */
	[STATEMENT_CREDENTIAL_USED] = "UPDATE credential SET used_us = ?2, used_network = ?3 WHERE id = ?1 AND used_us < ?2",
	[STATEMENT_BANS] = "SELECT network, allow, created_us, until_us, reason FROM ban "
	    "WHERE until_us NOT BETWEEN 1 AND ?1 ORDER BY created_us, network",
	[STATEMENT_BANS_COUNT] = "SELECT count(*) FROM ban",
	[STATEMENT_BANS_EXPIRE] = "DELETE FROM ban WHERE until_us BETWEEN 1 AND ?1",
	[STATEMENT_BAN_SET] = "INSERT OR REPLACE INTO ban (network, allow, created_us, until_us, reason) "
	    "VALUES (?1, ?2, ?3, ?4, ?5)",
	[STATEMENT_BAN_REMOVE] = "DELETE FROM ban WHERE network = ?1",
	[STATEMENT_DATA_VERSION] = "PRAGMA data_version",
	[STATEMENT_SENDERS] = SENDER_COLUMNS "ORDER BY account.name, sender.pattern",
	[STATEMENT_SENDERS_OF] = SENDER_COLUMNS "WHERE sender.account = ?1 ORDER BY sender.pattern",
	[STATEMENT_SENDER_ADD] = "INSERT INTO sender (account, pattern) VALUES (?1, ?2)",
	[STATEMENT_SENDER_REMOVE] = "DELETE FROM sender WHERE account = ?1 AND pattern = ?2",
	[STATEMENT_SENDER_CHECK] = "SELECT 1 FROM sender WHERE account = ?1 AND pattern = ?2",
	[STATEMENT_HISTORY_ADD] = "INSERT INTO history (time_us, what, account, account_name, detail) "
	    "VALUES (?1, ?2, ?3, ?4, ?5)",
};

const char *
statement_text(enum statement s)
{
	return texts[s];
}
