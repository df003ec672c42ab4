/*
 * The service of the system's places, started by smtpadm setup through systemd, or told to take what is new. Runs as root. Invariant:
 * an instance with --root is never started, and no wait is without an end.
 */
#include "setup.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "err.h"
#include "helper.h"
#include "netaddr.h"
#include "out.h"
#include "process.h"

#define SYSTEMCTL "/usr/bin/systemctl"
#define START_S 90	/* a big spool takes its time to be looked through */
#define ASK_S 20

bool
setup_may_start(const struct setup *s)
{
	pid_t pid;

	if (s->a->in.root[0] != 0 || geteuid() != 0 || s->a->dry_run || admin_has(s->a, OPT_NO_START))
		return false;
	return process_find_master(s->a, &pid) || access("/run/systemd/system", F_OK) == 0;
}

static void
reload(struct setup *s)
{
	struct ipc_control_done d;
	uint8_t data[16];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_empty(&w, IPC_CONTROL_RELOAD);
	s->failed = control_order(s->a, &w, IPC_CONTROL_RELOAD_ANSWER, &d);
	if (s->failed == EX_OK && d.code != EX_OK) {
		s->failed = d.code;
		snprintf(s->why, sizeof(s->why), "posternd serves as before: %.500s", d.reason);
	}
	s->service = s->failed == EX_OK ? SERVICE_RELOADED : SERVICE_FAILED;
}

/* Who lets systemd open the ports has it start posternd when somebody comes, and not at the boot: that stays so. */
static bool
has_socket_unit(void)
{
	static const char *const argv[] = { "systemctl", "--quiet", "is-enabled", "postern.socket", NULL };
	struct buf out, err;
	int status = 1, result;

	buf_init(&out, HELPER_OUTPUT_MAX);
	buf_init(&err, HELPER_OUTPUT_MAX);
	result = helper_run(SYSTEMCTL, argv, ASK_S, &out, &err, &status);
	buf_free(&out);
	buf_free(&err);
	return result == ERR_OK && status == 0;
}

static void
note_failure(struct setup *s, int result, int status, const char *said)
{
	s->failed = EX_UNAVAILABLE;
	if (result == ERR_OK) {
		snprintf(s->why, sizeof(s->why), "the service did not start; all else is done (systemctl: %d%s%.*s)", status,
		    said[0] != 0 ? ", " : "", (int)strcspn(said, "\n") > 400 ? 400 : (int)strcspn(said, "\n"), said);
	} else if (result == ERR_TIMEOUT) {
		snprintf(s->why, sizeof(s->why), "the service has not come up within %d seconds; all else is done", START_S);
	} else {
		s->failed = EX_OSERR;
		snprintf(s->why, sizeof(s->why), "the service was not started, all else is done: %s can't be run: %s", SYSTEMCTL,
		    err_text(result));
	}
}

void
setup_start(struct setup *s)
{
	static const char *const enable[] = { "systemctl", "--quiet", "--no-ask-password", "enable", "--now", "postern.service", NULL };
	static const char *const start[] = { "systemctl", "--quiet", "--no-ask-password", "start", "postern.service", NULL };
	struct buf out, err;
	int result, status = 0;
	pid_t pid;

	if (process_find_master(s->a, &pid)) {
		reload(s);
		return;
	}
	buf_init(&out, HELPER_OUTPUT_MAX);
	buf_init(&err, HELPER_OUTPUT_MAX);
	result = helper_run(SYSTEMCTL, has_socket_unit() ? start : enable, START_S, &out, &err, &status);
	s->service = result == ERR_OK && status == 0 ? SERVICE_STARTED : SERVICE_FAILED;
	if (s->service == SERVICE_FAILED)
		note_failure(s, result, status, err.len != 0 ? (const char *)err.data : "");
	buf_free(&out);
	buf_free(&err);
}

int
setup_judge(const struct setup *s)
{
	char text[NETADDR_TEXT];

	if (s->service == SERVICE_FAILED && s->why[0] != 0) {
		out_fix("%s", s->failed == EX_CONFIG ? "smtpadm reload, once that is mended" : "journalctl -u postern");
		return out_fail(s->failed, s->failed == EX_CONFIG ? "configuration" : "not_started", "%s", s->why);
	}
	if (s->service == SERVICE_FAILED)
		return s->failed;
	for (size_t i = 0; i < s->conf.nlisteners; i++) {
		const struct conf_listener *l = &s->conf.listeners[i];

		if (s->probes[i].result != PROBE_FAULTY)
			continue;
		out_fix("journalctl -u postern");
		return out_fail(EX_UNAVAILABLE, "probe_failed", "listener %s at %s does not serve as it should: %s", l->name,
		    netaddr_put(text, &l->address), s->probes[i].said);
	}
	return EX_OK;
}
