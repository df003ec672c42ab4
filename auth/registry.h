#ifndef AUTH_REGISTRY_H
#define AUTH_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "instance.h"
#include "netaddr.h"

/*
 * The registry of people: accounts, their credentials, and the senders that they may use; networks that are refused. One small interface, with SQLite behind
 * it (the only file that includes sqlite3.h). Used by postern-auth for reading and by smtpadm for everything.
 * Every function: ERR_OK, or ERR_BUSY (locked by another for longer than the busy time-out, 5 s), ERR_NOTFOUND, ERR_EXISTS,
 * ERR_CORRUPT, ERR_VERSION, ERR_FULL, ERR_DENIED, ERR_NOMEM, ERR_SYSTEM; registry_reason() then has words for a person.
 */
struct registry;

#define REGISTRY_VERSION 2		/* of the schema */
#define REGISTRY_NAME_MAX 256		/* an account's or credential's name, with NUL */
#define REGISTRY_HASH_MAX 512		/* a crypt(5) string, with NUL */
#define REGISTRY_PATTERN_MAX 512	/* a sender pattern, with NUL */
#define REGISTRY_CREDENTIALS_MAX 16	/* of one account: a login tries them all */
#define REGISTRY_BANS_MAX 1000

/* An account's own limits; 0: what the configuration says. */
struct registry_limits {
	uint64_t	sessions, recipients, message_size;
};

struct registry_account {
	uint64_t	id;
	char		name[REGISTRY_NAME_MAX];	/* as registered; compared without ASCII case */
	bool		disabled;
	uint64_t	created_us, changed_us;		/* microseconds since 1970 */
	uint64_t	senders, credentials;		/* how many it has */
	struct registry_limits limits;
};

enum credential_kind { CREDENTIAL_MAIN, CREDENTIAL_APP };

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
	    struct registry_limits *limits);
/* The same, for those who need no limits. */
int	registry_check_credential(struct registry *r, uint64_t account, uint64_t credential, uint64_t changed_us);

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

/* A number that differs from the last one when another program has changed the registry in between. */
int	registry_data_version(struct registry *r, uint64_t *version);

#endif
