/*
 * smtpadm status and reload: the running daemon, by its pid file and /proc. Runs with the admin's rights.
 */
#include "command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "conf.h"
#include "err.h"
#include "netaddr.h"
#include "out.h"
#include "people.h"
#include "process.h"
#include "queue.h"
#include "spool.h"

struct figures {
	bool	running;
	pid_t	pid;
	size_t	accounts, disabled, queued, failed;
};

static int
count_account(const struct registry_account *account, void *arg)
{
	struct figures *f = arg;

	f->accounts++;
	f->disabled += account->disabled;
	return 0;
}

static int
count_message(const struct spool_entry *e, void *arg)
{
	struct figures *f = arg;

	if (e->folder == SPOOL_FAILED)
		f->failed++;
	else
		f->queued++;
	return 0;
}

static int
gather(struct admin *a, struct figures *f)
{
	struct registry *r;
	struct spool_dirs d;
	int code, err;

	*f = (struct figures){ .running = false };
	f->running = process_find_master(a, &f->pid);
	if ((code = people_open(a, false, &r)) != EX_OK)
		return code;
	if ((err = registry_walk_accounts(r, count_account, f)) != ERR_OK)
		code = people_fail(r, err, "accounts");
	registry_close(r);
	/* The spool comes last: root is its owner from here on. */
	if (code != EX_OK || (code = queue_open(a, &d)) != EX_OK)
		return code;
	if ((err = spool_walk(&d, count_message, f)) != ERR_OK)
		code = out_fail(admin_code(err), admin_name(err), "the spool can't be read: %s", err_text(err));
	spool_close(&d);
	return code;
}

static void
report_json(const struct figures *f, const struct conf *c)
{
	char text[NETADDR_TEXT];
	struct json j;

	json_begin(&j);
	json_put_bool(&j, "running", f->running);
	if (f->running)
		json_put_u64(&j, "pid", (uint64_t)f->pid);
	else
		json_put_str(&j, "pid", NULL);
	json_put_str(&j, "hostname", c->hostname);
	json_open(&j, "listeners", '[');
	for (size_t i = 0; i < c->nlisteners; i++) {
		json_open(&j, NULL, '{');
		json_put_str(&j, "name", c->listeners[i].name);
		json_put_str(&j, "kind", conf_listener_kind(c->listeners[i].kind));
		json_put_str(&j, "address", netaddr_put(text, &c->listeners[i].address));
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_put_u64(&j, "accounts", f->accounts);
	json_put_u64(&j, "disabled", f->disabled);
	json_put_u64(&j, "queued", f->queued);
	json_put_u64(&j, "failed", f->failed);
	json_end(&j, stdout);
}

int
cmd_status(struct admin *a)
{
	static struct conf c;
	char text[NETADDR_TEXT];
	struct figures f;
	int code;

	if ((code = admin_load_conf(a, &c)) != EX_OK || (code = gather(a, &f)) != EX_OK)
		return code;
	if (out_is_json()) {
		report_json(&f, &c);
		return f.running ? EX_OK : EX_NO;
	}
	if (f.running)
		out_print("posternd    running, pid %d\n", (int)f.pid);
	else
		out_print("posternd    not running (posternd%s%s starts it)\n", a->in.root[0] != 0 ? " --root " : "",
		    a->in.root);
	out_print("hostname    %s\n", c.hostname);
	for (size_t i = 0; i < c.nlisteners; i++)
		out_print("listener    %s %s\n", netaddr_put(text, &c.listeners[i].address),
		    conf_listener_kind(c.listeners[i].kind));
	out_print("accounts    %zu (%zu disabled)\n", f.accounts, f.disabled);
	out_print("queue       %zu\n", f.queued);
	if (f.failed != 0)
		out_print("failed      %zu (%squeue list --state failed)\n", f.failed, out_program());
	return f.running ? EX_OK : EX_NO;
}

int
cmd_reload(struct admin *a)
{
	static struct conf c;
	struct json j;
	pid_t pid;
	int code;

	if ((code = admin_load_conf(a, &c)) != EX_OK || (code = check_instance(a, &c)) != EX_OK)
		return code;
	if (!process_find_master(a, &pid)) {
		out_fix("posternd%s%s", a->in.root[0] != 0 ? " --root " : "", a->in.root);
		return out_fail(EX_UNAVAILABLE, "not_running", "posternd does not run, so there is nothing to reload");
	}
	if (!a->dry_run && kill(pid, SIGHUP) != 0)
		return out_fail(errno == EPERM ? EX_NOPERM : EX_OSERR, errno == EPERM ? "not_allowed" : "system",
		    "posternd (pid %d): %s", (int)pid, err_text(ERR_SYSTEM));
	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "action", "reloaded");
		json_put_u64(&j, "pid", (uint64_t)pid);
		json_put_bool(&j, "dry_run", a->dry_run);
		json_end(&j, stdout);
	}
	out_say("posternd (pid %d) %s; its log says what came of it", (int)pid, a->dry_run ? "would be told to reload" :
	    "was told to reload");
	return EX_OK;
}
