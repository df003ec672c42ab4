#ifndef AUTH_REGISTRY_H
#define AUTH_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "instance.h"
#include "netaddr.h"

/*
 * The registry of people: accounts, their credentials, and the senders that they may use; networks that are refused. One small
 * interface, with SQLite behind it (the only file that includes sqlite3.h). Used by smtpadm for everything; by postern-auth for
 * asking, and for noting uses and better hashes.
 * Every function: ERR_OK, or ERR_BUSY (locked by another for longer than the busy time-out, 5 s), ERR_NOTFOUND, ERR_EXISTS,
 * ERR_CORRUPT, ERR_VERSION, ERR_FULL, ERR_DENIED, ERR_NOMEM, ERR_SYSTEM; registry_reason() then has words for a person.
 */
struct registry;

#define REGISTRY_VERSION 4		/* of the schema */
#define REGISTRY_NAME_MAX 256		/* an account's or credential's name, with NUL */
#define REGISTRY_HASH_MAX 512		/* a crypt(5) string, with NUL */
#define REGISTRY_PATTERN_MAX 512	/* a sender pattern, with NUL */
#define REGISTRY_CREDENTIALS_MAX 16	/* of one account: a login tries them all */
#define REGISTRY_SCOPES_MAX 64		/* of one kind, of one credential */
#define REGISTRY_USER_MAX 64		/* a user's name in this system, with NUL */
#define REGISTRY_REASON_MAX 256		/* why an account is contained, with NUL */
#define REGISTRY_BANS_MAX 1000

/* An account's own limits; 0: what the configuration says. A credential's, which has no sessions of its own; 0: the account's. */
struct registry_limits {
	uint64_t	sessions, recipients, message_size;
	uint64_t	messages_per_hour;	/* 0: any number */
};

struct registry_account {
	uint64_t	id;
	char		name[REGISTRY_NAME_MAX];	/* as registered; compared without ASCII case */
	bool		disabled;
	uint64_t	created_us, changed_us;		/* microseconds since 1970 */
	uint64_t	senders, credentials;		/* how many it has */
	struct registry_limits limits;
	uint64_t	contained_us;			/* since when; 0: it is not contained */
	char		contained_reason[REGISTRY_REASON_MAX];
};

/* A local one has no password: it belongs to programs of a user of this system. */
enum credential_kind { CREDENTIAL_MAIN, CREDENTIAL_APP, CREDENTIAL_LOCAL };

/* What a credential may be narrowed to: senders of its account, recipients, networks of its clients. None of a kind: all. */
enum scope_kind { SCOPE_SENDER, SCOPE_RECIPIENT, SCOPE_NETWORK };
#define SCOPE_KINDS 3

struct registry_credential {
	uint64_t	id, account;
	char		name[REGISTRY_NAME_MAX];	/* "password" is the main one */
	char		hash[REGISTRY_HASH_MAX];
	uint64_t	changed_us;
	enum credential_kind kind;
	bool		device;				/* of an old device: bare LF in its messages becomes CRLF */
	uint64_t	expires_us;			/* 0: never */
	uint64_t	used_us;			/* last login, to the hour; 0: none yet */
	char		used_network[NETADDR_TEXT];	/* where it came from, "192.0.2.0/24" */
	bool		canary;				/* nobody should know it: a login with it is an alarm */
	char		local_user[REGISTRY_USER_MAX];	/* CREDENTIAL_LOCAL: the user's name and number; else "" and 0 */
	uint64_t	local_uid;
	struct registry_limits limits;
	bool		scoped[SCOPE_KINDS];
};

/* What a running session is asked about at each command. */
struct registry_login {
	char		account_name[REGISTRY_NAME_MAX];	/* as it is now */
	struct registry_limits limits, credential_limits;
	bool		scoped[SCOPE_KINDS];
};

struct registry_sender {
	uint64_t	account;
	char		account_name[REGISTRY_NAME_MAX];
	char		pattern[REGISTRY_PATTERN_MAX];	/* "user@domain", "*@domain", "user+*@domain"; "<>": the empty sender */
};

struct registry_ban {
	struct netmask	network;
	bool		allow;				/* never refused or throttled, instead of always refused */
	uint64_t	created_us, until_us;		/* until 0: for ever */
	char		reason[256];
};

struct registry_domain {
	char		name[REGISTRY_NAME_MAX];	/* lower case */
	uint64_t	created_us;
};

/*
 * Creates folder and database as their owner-to-be (ids->auth_uid; mode 0700 and 0600), with the newest schema. ERR_EXISTS when
 * the database is there (then nothing is changed).
 */
int	registry_create(const struct instance *in, const struct instance_ids *ids);

/*
 * Opens it as its owner (root becomes that user for the time of opening, inside the registry's folder, following no
 * link) and reads enough for SQLite to have all its files open: afterwards the process may give up all rights to
 * files. An older schema is migrated. ERR_VERSION for a newer one.
 */
int	registry_open(struct registry **r, const struct instance *in, const struct instance_ids *ids, bool writable);
void	registry_close(struct registry *r);

/* How long a call waits for another program's lock, instead of 5 s. */
void	registry_set_timeout(struct registry *r, unsigned ms);

/* Why the last call failed, a phrase without secrets. r may be NULL (a failed open). */
const char *registry_reason(const struct registry *r);

/* A transaction around several changes; each change below is one by itself otherwise. */
int	registry_begin(struct registry *r);
int	registry_commit(struct registry *r);
void	registry_rollback(struct registry *r);

int	registry_find_account(struct registry *r, const char *name, struct registry_account *a);
int	registry_find_account_id(struct registry *r, uint64_t id, struct registry_account *a);
/* Calls each() in the order of the names until it returns non-zero, which is then returned. */
int	registry_walk_accounts(struct registry *r, int (*each)(const struct registry_account *a, void *arg), void *arg);
/* ERR_EXISTS. The name must be a mailbox address or a plain word ([A-Za-z0-9._+-]); ERR_SYNTAX. A mailbox is registered as its sender, too. */
int	registry_add_account(struct registry *r, const char *name, const char *hash, uint64_t *id);
/* The same without credential and sender. */
int	registry_add_bare_account(struct registry *r, const char *name, uint64_t *id);
/* Credentials and senders stay; a mailbox is registered as its sender, too. */
int	registry_rename_account(struct registry *r, uint64_t id, const char *name);
int	registry_set_limits(struct registry *r, uint64_t id, const struct registry_limits *limits);
int	registry_remove_account(struct registry *r, uint64_t id);
int	registry_set_disabled(struct registry *r, uint64_t id, bool disabled);
/* Disables it, with a time and a reason that stay with it; and the opposite. */
int	registry_contain_account(struct registry *r, uint64_t id, const char *reason);
int	registry_restore_account(struct registry *r, uint64_t id);

/* The credentials of an account, at most max; how many through n. */
int	registry_list_credentials(struct registry *r, uint64_t account, struct registry_credential *c, size_t max, size_t *n);
/* Adds or replaces the credential of that name. "password" is the main one, all others are app passwords. ERR_TOOBIG: there are too many. */
int	registry_set_credential(struct registry *r, uint64_t account, const char *name, const char *hash);
/* Marks a credential as an old device's, or not. ERR_NOTFOUND. */
int	registry_set_device(struct registry *r, uint64_t account, const char *name, bool device);
int	registry_remove_credential(struct registry *r, uint64_t account, const char *name);
/* ERR_EXISTS */
int	registry_add_credential(struct registry *r, uint64_t account, const char *name, const char *hash, uint64_t expires_us);
int	registry_set_expiry(struct registry *r, uint64_t account, const char *name, uint64_t expires_us);
/* Another hash of the same password, if the credential is still as it was read; sessions do not notice. ERR_NOTFOUND. */
int	registry_rehash_credential(struct registry *r, const struct registry_credential *c, const char *hash);
int	registry_note_use(struct registry *r, uint64_t credential, uint64_t time_us, const char *network);
/* ERR_OK while this credential is there unchanged, has not expired, and its account is enabled; ERR_DENIED otherwise. */
int	registry_check_login(struct registry *r, uint64_t account, uint64_t credential, uint64_t changed_us,
	    struct registry_login *login);

/* local.c: a credential for the programs of a user of this system. ERR_EXISTS also when the user has one, of whatever account. */
int	registry_add_local(struct registry *r, uint64_t account, const char *name, const char *user, uint64_t uid, uint64_t expires_us);
/*
 * The account and credential that the programs of this user submit with, as good as a login: what registry_check_login() needs is in
 * them. ERR_NOTFOUND: the user has none. ERR_DENIED: it has expired, or the account is disabled; both are filled in then, too.
 */
int	registry_find_local(struct registry *r, uint64_t uid, struct registry_account *a, struct registry_credential *c);

/* scope.c: marks a credential that nobody should know; its limits. ERR_NOTFOUND. */
int	registry_set_canary(struct registry *r, uint64_t account, const char *name, bool canary);
int	registry_set_credential_limits(struct registry *r, uint64_t account, const char *name, const struct registry_limits *limits);
/* Narrows a credential to one more pattern (as of senders) or network. ERR_SYNTAX, ERR_EXISTS, ERR_TOOBIG, ERR_NOTFOUND. */
int	registry_add_scope(struct registry *r, uint64_t account, const char *name, enum scope_kind kind, const char *pattern);
/* Takes all of a kind away. */
int	registry_clear_scope(struct registry *r, uint64_t account, const char *name, enum scope_kind kind);
int	registry_walk_scope(struct registry *r, uint64_t credential, enum scope_kind kind, int (*each)(const char *pattern, void *arg),
	    void *arg);
/* Whether a credential that is narrowed in this kind may use the address, or be used from there: ERR_OK, or ERR_DENIED. */
int	registry_check_scope(struct registry *r, uint64_t credential, enum scope_kind kind, const struct addr *address);
int	registry_check_network(struct registry *r, uint64_t credential, const struct netaddr *peer);

/* ERR_SYNTAX for a pattern that is none, ERR_EXISTS, ERR_NOTFOUND. */
int	registry_add_sender(struct registry *r, uint64_t account, const char *pattern);
int	registry_remove_sender(struct registry *r, uint64_t account, const char *pattern);
/* Senders of one account, or of all (account 0), in the order of account name and pattern. */
int	registry_walk_senders(struct registry *r, uint64_t account, int (*each)(const struct registry_sender *s, void *arg), void *arg);
/* Whether the account may send as this address (the null address: only by pattern "<>"): ERR_OK, or ERR_DENIED. */
int	registry_check_sender(struct registry *r, uint64_t account, const struct addr *address);

/* Adds or replaces the entry of that network. ERR_TOOBIG when there are too many. */
int	registry_set_ban(struct registry *r, const struct registry_ban *b);
int	registry_remove_ban(struct registry *r, const struct netmask *network);
/* Those that are in force, in the order in which they were made. */
int	registry_walk_bans(struct registry *r, int (*each)(const struct registry_ban *b, void *arg), void *arg);

/* domain.c: ERR_EXISTS; ERR_NOTFOUND; in the order of their names. */
int	registry_add_domain(struct registry *r, const char *name);
int	registry_remove_domain(struct registry *r, const char *name);
int	registry_walk_domains(struct registry *r, int (*each)(const struct registry_domain *d, void *arg), void *arg);

/* A number that differs from the last one when another program has changed the registry in between. */
int	registry_data_version(struct registry *r, uint64_t *version);

#endif
