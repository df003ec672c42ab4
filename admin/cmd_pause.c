/*
 * smtpadm reload, pause, resume and drain: what the running service is told to do. Runs with the admin's rights.
 */
#include "command.h"

#include <string.h>

#include "check.h"
#include "conf.h"
#include "control.h"
#include "err.h"
#include "out.h"
#include "process.h"
#include "str.h"

static int
report(const struct admin *a, const char *action, const char *reason)
{
	struct json j;
	pid_t pid;

	if (!out_is_json())
		return EX_OK;
	json_begin(&j);
	json_put_str(&j, "action", action);
	if (process_find_master(a, &pid))
		json_put_u64(&j, "pid", (uint64_t)pid);
	if (reason != NULL)
		json_put_str(&j, "reason", reason);
	json_put_bool(&j, "dry_run", a->dry_run);
	json_end(&j, stdout);
	return EX_OK;
}

/* Only whether it runs. */
static int
try_open(const struct admin *a)
{
	static struct control c;
	int code = control_open(&c, a);

	if (code == EX_OK)
		control_close(&c);
	return code;
}

static int
order(const struct admin *a, const struct wire_out *w, enum ipc_kind answer, struct ipc_control_done *d)
{
	int code;

	*d = (struct ipc_control_done){ .code = 0 };
	if (a->dry_run)
		return try_open(a);
	if ((code = control_order(a, w, answer, d)) != EX_OK)
		return code;
	if (d->code != EX_OK)
		return out_fail(d->code, d->code == EX_CONFIG ? "configuration" : "refused", "%s", d->reason);
	return EX_OK;
}

int
cmd_reload(struct admin *a)
{
	static struct conf c;
	struct ipc_control_done d;
	uint8_t data[16];
	struct wire_out w;
	int code;

	if ((code = admin_load_conf(a, &c)) != EX_OK || (code = check_instance(a, &c)) != EX_OK)
		return code;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_empty(&w, IPC_CONTROL_RELOAD);
	if ((code = order(a, &w, IPC_CONTROL_RELOAD_ANSWER, &d)) != EX_OK)
		return code;
	out_say("%s", a->dry_run ? "the configuration is good, and posternd would be told to reload it" :
	    "reloaded: the configuration is in force for new sessions");
	return report(a, "reloaded", NULL);
}

/* The reason of a pause that is on: it stays, unless another is given. reason holds IPC_TEXT_MAX. */
static int
find_reason(const struct admin *a, char *reason)
{
	static struct ipc_control_status s;
	static struct control c;
	struct ipc_message m;
	int code;

	if ((code = control_open(&c, a)) != EX_OK || (code = control_ask_empty(&c, IPC_CONTROL_STATUS)) != EX_OK ||
	    (code = control_hear(&c, IPC_CONTROL_STATUS_ANSWER, &m)) != EX_OK)
		return code;
	if (ipc_get_control_status(&m.body, &s) != ERR_OK)
		return control_fail(&c);
	control_close(&c);
	return s.paused && str_copy(reason, IPC_TEXT_MAX, s.reason, strlen(s.reason)) != ERR_OK ? EX_SOFTWARE : EX_OK;
}

int
cmd_pause_submission(struct admin *a)
{
	struct ipc_control_pause p = { .reason = "" };
	const char *reason = admin_value(a, OPT_REASON);
	struct ipc_control_done d;
	uint8_t data[IPC_TEXT_MAX + 16];
	struct wire_out w;
	int code;

	if (reason != NULL && str_copy(p.reason, sizeof(p.reason), reason, strlen(reason)) != ERR_OK) {
		out_fix("a shorter --reason");
		return out_fail(EX_USAGE, "usage", "--reason may have %d octets", IPC_TEXT_MAX - 1);
	}
	if (reason == NULL && (code = find_reason(a, p.reason)) != EX_OK)
		return code;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_control_pause(&w, &p);
	if ((code = order(a, &w, IPC_CONTROL_PAUSE_ANSWER, &d)) != EX_OK)
		return code;
	out_say("submission %s: new sessions are answered 421, running ones go on (%ssession list)",
	    a->dry_run ? "would be paused" : "is paused", out_program());
	return report(a, "paused", p.reason[0] != 0 ? p.reason : NULL);
}

static int
simple(struct admin *a, enum ipc_kind kind, const char *action, const char *done, const char *would)
{
	struct ipc_control_done d;
	uint8_t data[16];
	struct wire_out w;
	int code;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_empty(&w, kind);
	if ((code = order(a, &w, (enum ipc_kind)(kind + 1), &d)) != EX_OK)
		return code;
	out_say("%s", a->dry_run ? would : done);
	return report(a, action, NULL);
}

int
cmd_resume_submission(struct admin *a)
{
	return simple(a, IPC_CONTROL_RESUME, "resumed", "submission goes on", "submission would go on");
}

int
cmd_drain(struct admin *a)
{
	return simple(a, IPC_CONTROL_DRAIN, "draining", "no session is accepted any more; posternd ends with the last one",
	    "posternd would accept no session any more, and end with the last one");
}
