/*
 * How a change of the registry begins, is noted in its history, and ends. Part of the registry library. Invariant: a change and
 * its line of history are one transaction: both are there or none.
 */
#include <string.h>

#include "err.h"
#include "io.h"
#include "registry.h"
#include "store.h"

int
store_begin_change(struct registry *r)
{
	enum statement s = r->in_transaction ? STATEMENT_SAVE : STATEMENT_BEGIN;
	int err = store_bind(r, s, "");

	return err == ERR_OK ? store_step(r, s) : err;
}

int
store_end_change(struct registry *r, int err)
{
	char reason[sizeof(r->reason)];

	if (err == ERR_OK)
		err = store_step(r, r->in_transaction ? STATEMENT_RELEASE : STATEMENT_COMMIT);
	if (err == ERR_OK)
		return ERR_OK;
	memcpy(reason, r->reason, sizeof(reason));
	if (!r->in_transaction) {
		registry_rollback(r);
	} else if (store_step(r, STATEMENT_UNDO) == ERR_OK) {
		store_step(r, STATEMENT_RELEASE);
	}
	memcpy(r->reason, reason, sizeof(reason));
	return err;
}

int
store_run_change(struct registry *r, enum statement s)
{
	int err = store_step(r, s);

	if (err == ERR_OK && sqlite3_changes(r->db) == 0)
		return store_fail(r, ERR_NOTFOUND, "there is no such entry");
	return err;
}

int
store_add_history(struct registry *r, const char *what, const struct registry_account *a, const char *detail)
{
	int err = store_bind(r, STATEMENT_HISTORY_ADD, "ususs", io_now_us(), what, a->id, a->name, detail);

	return err == ERR_OK ? store_step(r, STATEMENT_HISTORY_ADD) : err;
}
