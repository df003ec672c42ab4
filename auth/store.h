#ifndef AUTH_STORE_H
#define AUTH_STORE_H

#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "statements.h"

struct registry_account;
struct registry_credential;
struct registry_limits;

/* An open registry, for the files of the registry library only. */
struct registry {
	sqlite3		*db;
	sqlite3_stmt	*statements[STATEMENT_COUNT];
	bool		 in_transaction;	/* between registry_begin() and its end */
	bool		 writable;
	char		 file[PATH_MAX];
	char		 reason[PATH_MAX + 512];
};

/* Resets a statement and binds its parameters by format: 'u' a uint64_t, 's' a text. */
int	store_bind(struct registry *r, enum statement s, const char *format, ...);

/* One step: 1 with a row, 0 at the end (then it is reset), or an error (reset too). */
int	store_step(struct registry *r, enum statement s);

/* Whether the statement, bound with result err, has a row: ERR_OK or ERR_DENIED. */
int	store_ask(struct registry *r, enum statement s, int err);

/* Leaves off before the end. */
void	store_end(struct registry *r, enum statement s);

/* Columns of the row; a text longer than size is cut off. */
uint64_t store_u64(struct registry *r, enum statement s, int column);
void	store_text(struct registry *r, enum statement s, int column, char *to, size_t size);

/* Four columns from this one on. */
void	store_limits(struct registry *r, enum statement s, int column, struct registry_limits *l);

/* change.c: opens a change, a transaction or a part of the caller's; ends it, well or undone, and returns err or what went wrong. */
int	store_begin_change(struct registry *r);
int	store_end_change(struct registry *r, int err);
/* Runs a statement that must touch a row. */
int	store_run_change(struct registry *r, enum statement s);
int	store_add_history(struct registry *r, const char *what, const struct registry_account *a, const char *detail);

/* credential.c: the credential in the row of a statement. */
void	store_credential(struct registry *r, enum statement s, struct registry_credential *c);
/* credential.c: runs a change, begun and bound with result `bound`, of one credential that is there; notes and ends it. */
int	store_change_credential(struct registry *r, enum statement s, uint64_t account, const char *name, int bound, const char *what);
/* credential.c: inside a change: ERR_TOOBIG when the account has more credentials than a login tries. */
int	store_check_count(struct registry *r, uint64_t account);

/* Notes why a call failed and returns err. */
int	store_fail(struct registry *r, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same from an SQLite result; ERR_OK for a good one. */
int	store_fail_sqlite(struct registry *r, int rc);

#endif
