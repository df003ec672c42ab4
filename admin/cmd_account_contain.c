/*
 * smtpadm account contain and restore: one command for an account in wrong hands, and back. Runs with the admin's rights;
 * the registry is changed in one transaction, then sessions are ended and messages held. Invariant: what comes later never
 * undoes what came first: an account whose sessions could not be ended is contained all the same.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "control.h"
#include "err.h"
#include "out.h"
#include "people.h"
#include "queue_change.h"
#include "str.h"

static int
no_reason(const struct admin *a)
{
	out_fix("smtpadm account contain %s --reason 'its password was phished'", a->words[0]);
	return out_fail(EX_USAGE, "usage", "why? --reason TEXT is kept with the account");
}

static int
read_reason(const struct admin *a, const char **reason)
{
	*reason = admin_value(a, OPT_REASON);
	if (*reason == NULL)
		return EX_OK;
	if ((*reason)[0] == 0)
		return no_reason(a);
	if (strlen(*reason) >= REGISTRY_REASON_MAX || !str_is_utf8(*reason, strlen(*reason))) {
		out_fix("a shorter --reason");
		return out_fail(EX_DATAERR, "bad_reason", "the reason is longer than %d octets, or not UTF-8",
		    REGISTRY_REASON_MAX - 1);
	}
	return EX_OK;
}

/* Those of a service that does not run have ended. */
static int
end_sessions(const struct admin *a, const char *account, uint32_t *count)
{
	static struct control c;
	struct ipc_control_kill k = { .session = 0 };
	struct ipc_control_done d = { .code = 0 };
	uint8_t data[IPC_TEXT_MAX + 16];
	struct wire_out w;
	int code;

	*count = 0;
	if (control_connect(&c, a) != ERR_OK || str_copy(k.account, sizeof(k.account), account, strlen(account)) != ERR_OK)
		return EX_OK;
	control_close(&c);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_control_kill(&w, &k);
	if ((code = control_order(a, &w, IPC_CONTROL_KILL_ANSWER, &d)) == EX_OK)
		*count = d.count;
	return code;
}

static void
report(const struct admin *a, const char *account, const char *action)
{
	out_say("account %s: %s%s", account, action, a->dry_run ? " (dry run: nothing was changed)" : "");
}

/* Changes the messages of the account, whose name is a pattern there. */
static int
change_mail(const struct admin *a, enum queue_change change, const char *account, const char *text, const char *held_for,
    size_t *n)
{
	char glob[3 * REGISTRY_NAME_MAX];
	size_t used = 0;

	for (; *account != 0; account++)
		used += (size_t)snprintf(glob + used, sizeof(glob) - used, strchr("?*[", *account) != NULL ? "[%c]" : "%c", *account);
	return queue_change_account(a, change, text, glob, held_for, n);
}

/* One more object behind those of the messages. */
static void
report_json(const struct admin *a, const char *account, const char *action, uint32_t sessions, size_t messages)
{
	struct json j;

	if (!out_is_json())
		return;
	json_begin(&j);
	json_put_str(&j, "account", account);
	json_put_str(&j, "action", action);
	json_put_u64(&j, "sessions", sessions);
	json_put_u64(&j, "messages", messages);
	json_put_bool(&j, "dry_run", a->dry_run);
	json_end(&j, stdout);
}

/* One that is contained keeps its reason and its time, unless another reason is given. */
static int
contain(const struct admin *a, struct registry *r, const struct registry_account *account, const char *reason)
{
	int err;

	if (reason == NULL && account->contained_us == 0)
		return no_reason(a);
	if (reason == NULL) {
		out_say("account %s is contained already: %s", account->name, account->contained_reason);
		return EX_OK;
	}
	if ((err = registry_contain_account(r, account->id, reason)) != ERR_OK)
		return people_fail(r, err, account->name);
	return EX_OK;
}

int
cmd_account_contain(struct admin *a)
{
	struct registry_account account;
	const char *reason;
	struct registry *r;
	uint32_t sessions = 0;
	size_t messages = 0;
	int code, code_of_mail;

	if ((code = read_reason(a, &reason)) != EX_OK || (code = people_begin(a, &r)) != EX_OK)
		return code;
	if ((code = people_find(r, a->words[0], &account)) == EX_OK)
		code = contain(a, r, &account, reason);
	code = people_finish(a, r, code);
	registry_close(r);
	if (code != EX_OK)
		return code;
	report(a, account.name, "contained");
	if (!a->dry_run)
		code = end_sessions(a, account.name, &sessions);
	if (sessions != 0)
		out_say("%u session%s told to end", (unsigned)sessions, sessions == 1 ? "" : "s");
	/* Nothing comes in behind it: what a session asks from now on is refused. What somebody has held before is left alone. */
	code_of_mail = change_mail(a, QUEUE_HOLD, account.name, QUEUE_HELD_FOR_CONTAIN, "", &messages);
	report_json(a, account.name, "contained", sessions, messages);
	return code != EX_OK ? code : code_of_mail;
}

int
cmd_account_restore(struct admin *a)
{
	const char *mail = admin_value(a, OPT_MAIL);
	bool drop = mail != NULL && strcmp(mail, "drop") == 0;
	struct registry_account account;
	struct registry *r;
	size_t messages = 0;
	int code, err;

	if (mail != NULL && !drop && strcmp(mail, "release") != 0) {
		out_fix("smtpadm account restore %s --mail release, or --mail drop", a->words[0]);
		return out_fail(EX_USAGE, "usage", "--mail is release or drop, not '%s'", mail);
	}
	if (drop && (code = admin_confirm(a, "restores, and removes its held messages for good, account", "accounts", a->words,
	    1)) != EX_OK)
		return code;
	if ((code = people_begin(a, &r)) != EX_OK)
		return code;
	if ((code = people_find(r, a->words[0], &account)) == EX_OK) {
		if (account.contained_us == 0) {
			out_fix("smtpadm account show %s", account.name);
			code = out_fail(EX_DATAERR, "not_contained", "account '%s' is not contained", account.name);
		} else if ((err = registry_restore_account(r, account.id)) != ERR_OK) {
			code = people_fail(r, err, account.name);
		}
	}
	code = people_finish(a, r, code);
	registry_close(r);
	if (code != EX_OK)
		return code;
	report(a, account.name, "restored");
	if (mail != NULL)
		code = change_mail(a, drop ? QUEUE_REMOVE : QUEUE_RELEASE, account.name, "", QUEUE_HELD_FOR_CONTAIN, &messages);
	else
		out_say("what is held of it stays held: %squeue list --account %s --state held", out_program(), account.name);
	report_json(a, account.name, "restored", 0, messages);
	return code;
}
