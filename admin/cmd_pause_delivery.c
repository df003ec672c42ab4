/*
 * smtpadm pause delivery and resume delivery: whether postern-spool gives anything to relay. Runs with the admin's rights; asks the
 * running postern-spool, which forgets it when it ends.
 */
#include "command.h"

#include <string.h>

#include "err.h"
#include "io.h"
#include "out.h"
#include "spool_control.h"
#include "str.h"

static int
order(const struct admin *a, struct ipc_delivery_order *o, bool keeps_reason, struct ipc_delivery_state *state)
{
	const struct ipc_delivery_order tell = { .order = DELIVERY_TELL };
	int fd, err = spool_control_open(a, &fd);

	/* The reason of a pause that is on stays, unless another is given. */
	if (keeps_reason && err == ERR_OK && (err = spool_control_order(fd, &tell, state)) == ERR_OK && state->is_paused)
		memcpy(o->reason, state->reason, sizeof(o->reason));
	if (a->dry_run)
		o->order = DELIVERY_TELL;
	if (err == ERR_OK)
		err = spool_control_order(fd, o, state);
	io_close(&fd);
	if (err == ERR_OK)
		return EX_OK;
	if (err == ERR_NOTFOUND || err == ERR_CLOSED) {
		out_fix("posternd%s starts it", out_root());
		return out_fail(EX_UNAVAILABLE, "not_running", "postern-spool does not run, so nothing is delivered anyway");
	}
	if (err == ERR_DENIED)
		out_fix("the same command as root, or as the owner of the spool");
	return out_fail(admin_code(err), admin_name(err), "postern-spool can't be asked: %s", err_text(err));
}

static int
report(const struct admin *a, const char *action, const struct ipc_delivery_state *state, const char *reason)
{
	struct json j;

	if (!out_is_json())
		return EX_OK;
	json_begin(&j);
	json_put_str(&j, "action", action);
	if (reason != NULL)
		json_put_str(&j, "reason", reason);
	json_put_u64(&j, "scheduled", state->scheduled);
	json_put_u64(&j, "underway", state->underway);
	json_put_bool(&j, "dry_run", a->dry_run);
	json_end(&j, stdout);
	return EX_OK;
}

int
cmd_pause_delivery(struct admin *a)
{
	struct ipc_delivery_order o = { .order = DELIVERY_PAUSE };
	const char *reason = admin_value(a, OPT_REASON);
	struct ipc_delivery_state state;
	int code;

	if (reason != NULL && str_copy(o.reason, sizeof(o.reason), reason, strlen(reason)) != ERR_OK) {
		out_fix("a shorter --reason");
		return out_fail(EX_USAGE, "usage", "--reason may have %d octets", IPC_TEXT_MAX - 1);
	}
	if ((code = order(a, &o, reason == NULL, &state)) != EX_OK)
		return code;
	out_say("delivery %s: mail is taken and waits; %llu under way %s finished", a->dry_run ? "would be paused" : "is paused",
	    (unsigned long long)state.underway, state.underway == 1 ? "is" : "are");
	return report(a, "paused", &state, o.reason[0] != 0 ? o.reason : NULL);
}

int
cmd_resume_delivery(struct admin *a)
{
	struct ipc_delivery_order o = { .order = DELIVERY_RESUME };
	struct ipc_delivery_state state;
	int code;

	if ((code = order(a, &o, false, &state)) != EX_OK)
		return code;
	out_say("delivery %s: %llu message%s wait%s", a->dry_run ? "would go on" : "goes on", (unsigned long long)state.scheduled,
	    state.scheduled == 1 ? "" : "s", state.scheduled == 1 ? "s" : "");
	return report(a, "resumed", &state, NULL);
}
