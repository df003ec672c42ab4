/*
 * The closed list of SQL statements. Pure text; part of the registry library, in postern-auth and
 * smtpadm. Invariant: values reach SQL only as bound parameters, in the order in which they are
 * numbered here.
 */
#include "statements.h"

#define LIMITS "account.max_sessions, account.max_recipients, account.max_message_size, account.max_messages_per_hour"
#define CREDENTIAL_LIMITS "0, credential.max_recipients, credential.max_message_size, credential.max_messages_per_hour"
#define ACCOUNT_COLUMNS "SELECT id, name, disabled, created_us, changed_us, " \
	"(SELECT count(*) FROM sender WHERE sender.account = account.id), " \
	"(SELECT count(*) FROM credential WHERE credential.account = account.id), " LIMITS ", " \
	"contained_us, contained_reason FROM account "
#define SENDER_COLUMNS "SELECT sender.account, account.name, sender.pattern " \
	"FROM sender JOIN account ON account.id = sender.account "

#define CREDENTIAL_INSERT "INSERT INTO credential (account, name, hash, changed_us, kind, expires_us) " \
	"VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
#define SCOPED(kind) "EXISTS (SELECT 1 FROM scope WHERE scope.credential = credential.id AND scope.kind = " kind ")"
#define SCOPES SCOPED("0") ", " SCOPED("1") ", " SCOPED("2")	/* in the order of enum scope_kind */
#define CREDENTIAL_COLUMNS "SELECT id, account, name, hash, changed_us, kind, expires_us, device, used_us, used_network, " \
	"canary, local_user, local_uid, " CREDENTIAL_LIMITS ", " SCOPES " FROM credential "

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
	    "max_message_size = ?4, max_messages_per_hour = ?5, changed_us = ?6 WHERE id = ?1",
	[STATEMENT_ACCOUNT_CONTAIN] = "UPDATE account SET disabled = 1, contained_us = ?2, contained_reason = ?3, "
	    "changed_us = ?2 WHERE id = ?1",
	[STATEMENT_ACCOUNT_RESTORE] = "UPDATE account SET disabled = 0, contained_us = 0, contained_reason = '', "
	    "changed_us = ?2 WHERE id = ?1",
	[STATEMENT_CREDENTIALS] = CREDENTIAL_COLUMNS "WHERE account = ?1 ORDER BY id LIMIT ?2",
	/* A replaced credential never keeps its time of change, whatever the clock says: sessions know it by that. */
	[STATEMENT_CREDENTIAL_SET] = CREDENTIAL_INSERT
	    "ON CONFLICT (account, name) DO UPDATE SET hash = excluded.hash, "
	    "changed_us = max(excluded.changed_us, credential.changed_us + 1) WHERE credential.kind <> 2",
	[STATEMENT_CREDENTIAL_REMOVE] = "DELETE FROM credential WHERE account = ?1 AND name = ?2",
	[STATEMENT_CREDENTIAL_CHECK] = "SELECT account.name, " LIMITS ", " CREDENTIAL_LIMITS ", " SCOPES
	    " FROM credential JOIN account ON account.id = credential.account WHERE credential.id = ?2 AND credential.account = ?1 "
	    "AND credential.changed_us = ?3 AND credential.expires_us NOT BETWEEN 1 AND ?4 AND credential.canary = 0 AND account.disabled = 0",
	[STATEMENT_CREDENTIAL_ADD] = CREDENTIAL_INSERT,
	[STATEMENT_CREDENTIAL_EXPIRE] = "UPDATE credential SET expires_us = ?3 WHERE account = ?1 AND name = ?2",
	[STATEMENT_CREDENTIAL_DEVICE] = "UPDATE credential SET device = ?3 WHERE account = ?1 AND name = ?2",
	[STATEMENT_CREDENTIAL_REHASH] = "UPDATE credential SET hash = ?4 WHERE id = ?1 AND changed_us = ?2 AND hash = ?3",
	/* Only forwards: what was noted twice at the same time counts once. */
	[STATEMENT_CREDENTIAL_USED] = "UPDATE credential SET used_us = ?2, used_network = ?3 WHERE id = ?1 AND used_us < ?2",
	[STATEMENT_CREDENTIAL_LOCAL_ADD] = "INSERT INTO credential (account, name, hash, changed_us, kind, expires_us, local_user, "
	    "local_uid) VALUES (?1, ?2, '!', ?3, 2, ?4, ?5, ?6)",
	[STATEMENT_CREDENTIAL_BY_UID] = CREDENTIAL_COLUMNS "WHERE kind = 2 AND local_uid = ?1",
	[STATEMENT_CREDENTIAL_CANARY] = "UPDATE credential SET canary = ?3 WHERE account = ?1 AND name = ?2",
	[STATEMENT_CREDENTIAL_SET_LIMITS] = "UPDATE credential SET max_recipients = ?3, max_message_size = ?4, "
	    "max_messages_per_hour = ?5 WHERE account = ?1 AND name = ?2",
	[STATEMENT_SCOPE_ADD] = "INSERT INTO scope (credential, kind, pattern) "
	    "SELECT id, ?3, ?4 FROM credential WHERE account = ?1 AND name = ?2",
	[STATEMENT_SCOPE_CLEAR] = "DELETE FROM scope WHERE kind = ?3 AND credential IN "
	    "(SELECT id FROM credential WHERE account = ?1 AND name = ?2)",
	[STATEMENT_SCOPES] = "SELECT pattern FROM scope WHERE credential = ?1 AND kind = ?2 ORDER BY pattern",
	[STATEMENT_SCOPE_COUNT] = "SELECT count(*) FROM scope JOIN credential ON credential.id = scope.credential "
	    "WHERE account = ?1 AND name = ?2 AND scope.kind = ?3",
	[STATEMENT_SCOPE_CHECK] = "SELECT 1 FROM scope WHERE credential = ?1 AND kind = ?2 AND pattern = ?3",
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
	[STATEMENT_DOMAIN_ADD] = "INSERT INTO domain (name, created_us) VALUES (?1, ?2)",
	[STATEMENT_DOMAIN_REMOVE] = "DELETE FROM domain WHERE name = ?1",
	[STATEMENT_DOMAINS] = "SELECT name, created_us FROM domain ORDER BY name",
	[STATEMENT_HISTORY_ADD] = "INSERT INTO history (time_us, what, account, account_name, detail) "
	    "VALUES (?1, ?2, ?3, ?4, ?5)",
};

const char *
statement_text(enum statement s)
{
	return texts[s];
}
