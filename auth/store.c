/*
 * The registry's database once it is open: statements, transactions, and what SQLite's errors mean.
 * Part of the registry library. Invariant: a statement that was stepped to its end or failed is reset,
 * so that no read stays open.
 */
#include "store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "registry.h"

int
store_fail(struct registry *r, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->reason, sizeof(r->reason), fmt, ap);
	va_end(ap);
	return err;
}

static int
fail_open(struct registry *r)
{
	switch (errno = sqlite3_system_errno(r->db)) {
	case ENOENT:
		return store_fail(r, ERR_NOTFOUND, "there is no registry at %s: run smtpadm setup", r->file);
	case EACCES:
	case EPERM:
		return store_fail(r, ERR_DENIED, "the registry %s is not yours to open: run this as root or as its owner", r->file);
	case ENOSPC:
	case EDQUOT:
		return store_fail(r, ERR_FULL, "the disk is full: the registry %s can't be opened", r->file);
	default:
		return store_fail(r, ERR_SYSTEM, "the registry %s can't be opened: %s", r->file,
		    errno != 0 ? strerror(errno) : sqlite3_errmsg(r->db));
	}
}

int
store_fail_sqlite(struct registry *r, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return ERR_OK;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return store_fail(r, ERR_BUSY, "the registry %s is locked by another program: try again", r->file);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
		return store_fail(r, ERR_CORRUPT, "the registry %s is damaged (%s): put back a backup", r->file,
		    sqlite3_errstr(rc));
	case SQLITE_FULL:
		return store_fail(r, ERR_FULL, "the disk is full: the registry %s is unchanged", r->file);
	case SQLITE_NOMEM:
		return store_fail(r, ERR_NOMEM, "out of memory");
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return store_fail(r, ERR_DENIED, "the registry %s can't be written: run this as root or as its owner", r->file);
	case SQLITE_CONSTRAINT:
		if (rc == SQLITE_CONSTRAINT_FOREIGNKEY)
			return store_fail(r, ERR_NOTFOUND, "there is no such account");
		return store_fail(r, ERR_EXISTS, "it is there already");
	case SQLITE_CANTOPEN:
		if (rc == SQLITE_CANTOPEN_SYMLINK)
			return store_fail(r, ERR_DENIED, "the registry %s is a link: put the file itself there", r->file);
		return fail_open(r);
	default:
		errno = sqlite3_system_errno(r->db);
		if (errno == ENOSPC || errno == EDQUOT)
			return store_fail(r, ERR_FULL, "the disk is full: the registry %s is unchanged", r->file);
		return store_fail(r, ERR_SYSTEM, "the registry %s: %s", r->file, sqlite3_errstr(rc));
	}
}

int
store_bind(struct registry *r, enum statement s, const char *format, ...)
{
	sqlite3_stmt *statement = r->statements[s];
	int rc = SQLITE_OK;
	va_list ap;

	sqlite3_reset(statement);
	va_start(ap, format);
	for (int i = 1; *format != 0 && rc == SQLITE_OK; format++, i++) {
		if (*format == 'u')
			rc = sqlite3_bind_int64(statement, i, (sqlite3_int64)va_arg(ap, uint64_t));
		else
			rc = sqlite3_bind_text(statement, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
	}
	va_end(ap);
	return store_fail_sqlite(r, rc);
}

int
store_step(struct registry *r, enum statement s)
{
	int rc = sqlite3_step(r->statements[s]), err;

	if (rc == SQLITE_ROW)
		return 1;
	err = rc == SQLITE_DONE ? ERR_OK : store_fail_sqlite(r, sqlite3_extended_errcode(r->db));
	store_end(r, s);
	return err;
}

int
store_ask(struct registry *r, enum statement s, int err)
{
	if (err != ERR_OK || (err = store_step(r, s)) < 0)
		return err;
	if (err == 0)
		return store_fail(r, ERR_DENIED, "not allowed");
	store_end(r, s);
	return ERR_OK;
}

void
store_end(struct registry *r, enum statement s)
{
	sqlite3_reset(r->statements[s]);
	sqlite3_clear_bindings(r->statements[s]);
}

uint64_t
store_u64(struct registry *r, enum statement s, int column)
{
	return (uint64_t)sqlite3_column_int64(r->statements[s], column);
}

void
store_text(struct registry *r, enum statement s, int column, char *to, size_t size)
{
	const unsigned char *text = sqlite3_column_text(r->statements[s], column);

	snprintf(to, size, "%s", text != NULL ? (const char *)text : "");
}

void
store_limits(struct registry *r, enum statement s, int column, struct registry_limits *l)
{
	l->sessions = store_u64(r, s, column);
	l->recipients = store_u64(r, s, column + 1);
	l->message_size = store_u64(r, s, column + 2);
	l->messages_per_hour = store_u64(r, s, column + 3);
}

void
registry_set_timeout(struct registry *r, unsigned ms)
{
	sqlite3_busy_timeout(r->db, (int)ms);
}

int
registry_begin(struct registry *r)
{
	int err;

	if ((err = store_bind(r, STATEMENT_BEGIN, "")) == ERR_OK && (err = store_step(r, STATEMENT_BEGIN)) == ERR_OK)
		r->in_transaction = true;
	return err;
}

int
registry_commit(struct registry *r)
{
	int err;

	if ((err = store_bind(r, STATEMENT_COMMIT, "")) == ERR_OK)
		err = store_step(r, STATEMENT_COMMIT);
	if (err == ERR_OK)
		r->in_transaction = false;
	else
		registry_rollback(r);
	return err;
}

void
registry_rollback(struct registry *r)
{
	/* Some errors (a full disk) have rolled back already. The reason of the failure before stays. */
	if (sqlite3_get_autocommit(r->db) == 0)
		sqlite3_step(r->statements[STATEMENT_ROLLBACK]);
	sqlite3_reset(r->statements[STATEMENT_ROLLBACK]);
	r->in_transaction = false;
}
