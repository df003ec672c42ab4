/*
 * smtpadm status: the running daemon, by its pid file, /proc and, for those who may ask it, its control socket. Runs with the admin's
 * rights.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "control.h"
#include "err.h"
#include "io.h"
#include "netaddr.h"
#include "out.h"
#include "people.h"
#include "process.h"
#include "queue.h"
#include "route_keys.h"
#include "show.h"
#include "spool.h"
#include "spool_control.h"

struct figures {
	bool	running;
	pid_t	pid;
	size_t	accounts, disabled, queued, deferred, held, failed;
	bool	is_live;			/* the daemon itself has said: */
	struct ipc_control_status live;
	bool	has_delivery;			/* and postern-spool: */
	struct ipc_delivery_state delivery;
};

/* What only the daemon knows; it tells root and the instance's owner. */
static void
ask(const struct admin *a, struct figures *f)
{
	const struct ipc_delivery_order order = { .order = DELIVERY_TELL };
	static struct control c;
	struct ipc_message m;
	int fd;

	if (control_connect(&c, a) != ERR_OK || control_ask_empty(&c, IPC_CONTROL_STATUS) != EX_OK ||
	    control_hear(&c, IPC_CONTROL_STATUS_ANSWER, &m) != EX_OK)
		return;
	f->is_live = ipc_get_control_status(&m.body, &f->live) == ERR_OK;
	control_close(&c);
	if (spool_control_open(a, &fd) == ERR_OK)
		f->has_delivery = spool_control_order(fd, &order, &f->delivery) == ERR_OK;
	io_close(&fd);
}

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
	f->deferred += e->folder == SPOOL_CUR;
	f->held += e->folder == SPOOL_HOLD;
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
	if (f->running)
		ask(a, f);
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
report_live_json(struct json *j, const struct ipc_control_status *s)
{
	json_put_u64(j, "uptime", s->uptime_ms / 1000);
	json_put_u64(j, "config_age", s->loaded_ms / 1000);
	json_put_u64(j, "sessions", s->sessions);
	json_put_u64(j, "sessions_max", s->max);
	json_put_u64(j, "refusing", s->refusing);
	json_put_u64(j, "workers_idle", s->idle);
	json_put_bool(j, "accepting", s->accepting);
	json_put_bool(j, "paused", s->paused);
	json_put_str(j, "paused_reason", s->paused ? s->reason : NULL);
	json_put_bool(j, "draining", s->draining);
	json_open(j, "services", '[');
	for (size_t i = 0; i < s->nservices; i++) {
		json_open(j, NULL, '{');
		json_put_str(j, "name", s->services[i].name);
		if (s->services[i].pid != 0)
			json_put_u64(j, "pid", s->services[i].pid);
		else
			json_put_str(j, "pid", NULL);
		json_put_bool(j, "ready", s->services[i].ready);
		json_put_u64(j, "restarts", s->services[i].restarts);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
report_live(const struct ipc_control_status *s)
{
	char age[40];

	out_print("uptime      %s\n", show_age(age, io_now_us() - s->uptime_ms * 1000));
	out_print("sessions    %u of %llu, %u spare workers%s\n", (unsigned)s->sessions, (unsigned long long)s->max,
	    (unsigned)s->idle, s->accepting ? "" : "; new clients wait");
	for (size_t i = 0; i < s->nservices; i++)
		out_print("service     %s, %s %u, started again %llu times\n", s->services[i].name,
		    s->services[i].ready ? "ready, pid" : "NOT READY, pid", (unsigned)s->services[i].pid,
		    (unsigned long long)s->services[i].restarts);
	if (s->paused)
		out_print("submission  PAUSED%s%s (%sresume submission)\n", s->reason[0] != 0 ? ": " : "", s->reason,
		    out_program());
	if (s->draining)
		out_print("submission  DRAINING: ends with the last session\n");
}

static void
report_delivery_json(struct json *j, const struct ipc_delivery_state *d)
{
	json_open(j, "delivery", '{');
	json_put_bool(j, "paused", d->is_paused);
	json_put_str(j, "paused_reason", d->is_paused ? d->reason : NULL);
	json_put_u64(j, "scheduled", d->scheduled);
	json_put_u64(j, "underway", d->underway);
	json_close(j, '}');
}

static void
report_delivery(const struct ipc_delivery_state *d)
{
	char age[40];

	if (d->is_paused)
		out_print("delivery    PAUSED for %s%s%s (%sresume delivery)\n", show_age(age, io_now_us() - d->paused_ms * 1000),
		    d->reason[0] != 0 ? ": " : "", d->reason, out_program());
	else
		out_print("delivery    %llu scheduled, %llu under way\n", (unsigned long long)d->scheduled, (unsigned long long)d->underway);
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
	json_put_bool(&j, "local_submit", c->local_submit != 0);
	json_put_u64(&j, "accounts", f->accounts);
	json_put_u64(&j, "disabled", f->disabled);
	json_open(&j, "routes", '[');
	for (size_t i = 0; i < c->nroutes; i++)
		json_put_str(&j, NULL, c->routes[i].name);
	json_close(&j, ']');
	json_put_u64(&j, "queued", f->queued);
	json_put_u64(&j, "deferred", f->deferred);
	json_put_u64(&j, "held", f->held);
	json_put_u64(&j, "failed", f->failed);
	if (f->is_live)
		report_live_json(&j, &f->live);
	if (f->has_delivery)
		report_delivery_json(&j, &f->delivery);
	json_end(&j, stdout);
}

int
cmd_status(struct admin *a)
{
	static struct conf c;
	char text[NETADDR_TEXT], url[ROUTE_VALUE];
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
		out_print("posternd    not running (posternd%s starts it)\n", out_root());
	if (f.is_live)
		report_live(&f.live);
	if (f.has_delivery)
		report_delivery(&f.delivery);
	out_print("hostname    %s\n", c.hostname);
	for (size_t i = 0; i < c.nlisteners; i++)
		out_print("listener    %s %s\n", netaddr_put(text, &c.listeners[i].address),
		    conf_listener_kind(c.listeners[i].kind));
	if (c.local_submit != 0)
		out_print("listener    %s/%s local\n", a->in.run_dir, INSTANCE_SUBMIT_FILE);
	if (c.nroutes == 0)
		out_print("route       none: accepted mail waits (%sroute add)\n", out_program());
	for (size_t i = 0; i < c.nroutes; i++)
		out_print("route       %s %s\n", c.routes[i].name, route_put_url(url, &c.routes[i]));
	out_print("accounts    %zu (%zu disabled)\n", f.accounts, f.disabled);
	out_print("queue       %zu", f.queued);
	if (f.deferred != 0 || f.held != 0)
		out_print(" (%zu deferred, %zu held)", f.deferred, f.held);
	out_print("\n");
	if (f.failed != 0)
		out_print("failed      %zu (%squeue list --state failed)\n", f.failed, out_program());
	return f.running ? EX_OK : EX_NO;
}
