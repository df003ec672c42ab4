/*
 * smtpadm metrics: the service's counters in the text format of Prometheus (version 0.0.4), or as JSON. Runs with the admin's rights;
 * the numbers come from the master, those of the queue from the spool.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "control.h"
#include "err.h"
#include "io.h"
#include "out.h"
#include "queue.h"
#include "spool_control.h"

/* A number each, in any order, but those of one name together. Without a help it belongs to the name above. */
static const struct {
	enum metric	 what;
	const char	*name, *type, *help, *label, *value;
} rows[] = {
	{ METRIC_STARTED, "start_time_seconds", "gauge", "When posternd started, since 1970.", NULL, NULL },
	{ METRIC_SESSIONS_SUBMISSION, "sessions_total", "counter", "Sessions served, by kind of listener.", "listener", "submission" },
	{ METRIC_SESSIONS_SUBMISSIONS, "sessions_total", NULL, NULL, "listener", "submissions" },
	{ METRIC_SESSIONS_PLAIN, "sessions_total", NULL, NULL, "listener", "plain" },
	{ METRIC_SESSIONS_LOCAL, "sessions_total", NULL, NULL, "listener", "local" },
	{ METRIC_SESSIONS_CURRENT, "sessions_current", "gauge", "Sessions now.", NULL, NULL },
	{ METRIC_SESSIONS_MAX, "sessions_max", "gauge", "The most there may be (workers.max).", NULL, NULL },
	{ METRIC_WORKERS_IDLE, "workers_idle", "gauge", "Workers that wait for a session.", NULL, NULL },
	{ METRIC_REFUSED_TOO_MANY, "sessions_refused_total", "counter", "Clients that were refused at the greeting, or closed without one.",
	    "reason", "too_many" },
	{ METRIC_REFUSED_OVERLOADED, "sessions_refused_total", NULL, NULL, "reason", "overloaded" },
	{ METRIC_REFUSED_CLOSED, "sessions_refused_total", NULL, NULL, "reason", "closed" },
	{ METRIC_REFUSED_BANNED, "sessions_refused_total", NULL, NULL, "reason", "banned" },
	{ METRIC_REFUSED_PAUSED, "sessions_refused_total", NULL, NULL, "reason", "paused" },
	{ METRIC_REFUSED_FLOOD, "sessions_refused_total", NULL, NULL, "reason", "flood" },
	{ METRIC_ENDED_QUIT, "sessions_ended_total", "counter", "Sessions that have ended, by reason.", "reason", "quit" },
	{ METRIC_ENDED_DISCONNECTED, "sessions_ended_total", NULL, NULL, "reason", "disconnected" },
	{ METRIC_ENDED_TIMEOUT, "sessions_ended_total", NULL, NULL, "reason", "timeout" },
	{ METRIC_ENDED_ERRORS, "sessions_ended_total", NULL, NULL, "reason", "too_many_errors" },
	{ METRIC_ENDED_TLS_FAILED, "sessions_ended_total", NULL, NULL, "reason", "tls_failed" },
	{ METRIC_ENDED_REFUSED, "sessions_ended_total", NULL, NULL, "reason", "refused" },
	{ METRIC_ENDED_SHUTDOWN, "sessions_ended_total", NULL, NULL, "reason", "shutdown" },
	{ METRIC_ENDED_SERVICE_LOST, "sessions_ended_total", NULL, NULL, "reason", "service_lost" },
	{ METRIC_ENDED_NOT_SMTP, "sessions_ended_total", NULL, NULL, "reason", "not_smtp" },
	{ METRIC_ENDED_UNKNOWN, "sessions_ended_total", NULL, NULL, "reason", "unknown" },
	{ METRIC_WORKER_CRASHES, "worker_crashes_total", "counter", "Workers that a fault has ended: look at the alarm in the log.", NULL, NULL },
	{ METRIC_RESTARTS_AUTH, "service_restarts_total", "counter", "Services that were started again.", "service", "auth" },
	{ METRIC_RESTARTS_KEYS, "service_restarts_total", NULL, NULL, "service", "keys" },
	{ METRIC_RESTARTS_SPOOL, "service_restarts_total", NULL, NULL, "service", "spool" },
	{ METRIC_RESTARTS_RELAY, "service_restarts_total", NULL, NULL, "service", "relay" },
	{ METRIC_RELOADS_OK, "reloads_total", "counter", "Reloads of configuration or certificates.", "result", "ok" },
	{ METRIC_RELOADS_REJECTED, "reloads_total", NULL, NULL, "result", "rejected" },
	{ METRIC_PAUSED, "paused", "gauge", "1 while submission is paused.", NULL, NULL },
	{ METRIC_LOGINS_OK, "logins_total", "counter", "Logins, by result; invalid: wrong password or no such account.", "result", "ok" },
	{ METRIC_LOGINS_INVALID, "logins_total", NULL, NULL, "result", "invalid" },
	{ METRIC_LOGINS_UNAVAILABLE, "logins_total", NULL, NULL, "result", "unavailable" },
	{ METRIC_LOGINS_TOO_MANY, "logins_total", NULL, NULL, "result", "too_many" },
	{ METRIC_LOGINS_THROTTLED, "logins_total", NULL, NULL, "result", "throttled" },
	{ METRIC_MESSAGES_STORED, "messages_stored_total", "counter", "Messages on stable storage.", NULL, NULL },
	{ METRIC_REFUSED_NO_STORAGE, "messages_refused_total", "counter", "Messages refused at their end, by reason.", "reason", "no_storage" },
	{ METRIC_REFUSED_TOO_BIG, "messages_refused_total", NULL, NULL, "reason", "too_big" },
	{ METRIC_REFUSED_OCTETS, "messages_refused_total", NULL, NULL, "reason", "bad_octets" },
	{ METRIC_REFUSED_MALFORMED, "messages_refused_total", NULL, NULL, "reason", "malformed" },
	{ METRIC_REFUSED_SENDER, "messages_refused_total", NULL, NULL, "reason", "sender_not_allowed" },
	{ METRIC_REFUSED_RECIPIENTS, "messages_refused_total", NULL, NULL, "reason", "no_recipients" },
	{ METRIC_REFUSED_TWO_FROM, "messages_refused_total", NULL, NULL, "reason", "two_from_fields" },
	{ METRIC_REFUSED_BAD_FROM, "messages_refused_total", NULL, NULL, "reason", "bad_from_field" },
	{ METRIC_REFUSED_LOOP, "messages_refused_total", NULL, NULL, "reason", "loop" },
	{ METRIC_REFUSED_LOGIN_VOID, "messages_refused_total", NULL, NULL, "reason", "login_void" },
	{ METRIC_REFUSED_ERROR, "messages_refused_total", NULL, NULL, "reason", "error" },
	{ METRIC_DELIVERIES_DELIVERED, "deliveries_total", "counter", "Attempts to deliver, a recipient each, by result; bounced: given up.",
	    "result", "delivered" },
	{ METRIC_DELIVERIES_DEFERRED, "deliveries_total", NULL, NULL, "result", "deferred" },
	{ METRIC_DELIVERIES_FAILED, "deliveries_total", NULL, NULL, "result", "bounced" },
	{ METRIC_DELIVERIES_EXPIRED, "deliveries_total", NULL, NULL, "result", "expired" },
	{ METRIC_OCTETS_STORED, "octets_stored_total", "counter", "Octets of stored messages, as they came.", NULL, NULL },
};

struct queue_count {
	uint64_t	active, deferred, held, failed;
};

/* Without a look into it: what was tried and still waits stands in cur/. */
static int
count_message(const struct spool_entry *e, void *arg)
{
	struct queue_count *q = arg;

	if (e->folder == SPOOL_FAILED)
		q->failed++;
	else if (e->folder == SPOOL_HOLD)
		q->held++;
	else if (e->folder == SPOOL_CUR)
		q->deferred++;
	else
		q->active++;
	return 0;
}

static int
count_queue(const struct admin *a, struct queue_count *q)
{
	struct spool_dirs d;
	int code, err;

	*q = (struct queue_count){ .active = 0 };
	if ((code = queue_open(a, &d)) != EX_OK)
		return code;
	if ((err = spool_walk(&d, count_message, q)) != ERR_OK)
		code = out_fail(admin_code(err), admin_name(err), "the spool can't be read: %s", err_text(err));
	spool_close(&d);
	return code;
}

static int
ask(const struct admin *a, struct ipc_counters *all)
{
	static struct control c;
	struct ipc_message m;
	int code;

	if ((code = control_open(&c, a)) != EX_OK || (code = control_ask_empty(&c, IPC_CONTROL_METRICS)) != EX_OK ||
	    (code = control_hear(&c, IPC_CONTROL_METRICS_ANSWER, &m)) != EX_OK)
		return code;
	if (ipc_get_counters(&m.body, all) != ERR_OK || all->first != 0 || all->n != METRIC_COUNT)
		return control_fail(&c);
	control_close(&c);
	return EX_OK;
}

/* Those that relay has now, and what is scheduled; a spool that can't be asked has none. */
static void
ask_delivery(const struct admin *a, struct ipc_delivery_state *d)
{
	const struct ipc_delivery_order order = { .order = DELIVERY_TELL };
	int fd;

	if (spool_control_open(a, &fd) != ERR_OK || spool_control_order(fd, &order, d) != ERR_OK)
		*d = (struct ipc_delivery_state){ .is_paused = false };
	io_close(&fd);
}

static void
put_head(const char *name, const char *type, const char *help)
{
	if (!out_is_json() && help != NULL)
		out_print("# HELP postern_%s %s\n# TYPE postern_%s %s\n", name, help, name, type);
}

static void
put(const char *name, const char *label, const char *value, const char *number)
{
	char full[80];
	struct json j;

	if (!out_is_json()) {
		if (label != NULL)
			out_print("postern_%s{%s=\"%s\"} %s\n", name, label, value, number);
		else
			out_print("postern_%s %s\n", name, number);
		return;
	}
	snprintf(full, sizeof(full), "postern_%s", name);
	json_begin(&j);
	json_put_str(&j, "name", full);
	json_open(&j, "labels", '{');
	if (label != NULL)
		json_put_str(&j, label, value);
	json_close(&j, '}');
	json_put_str(&j, "value", number);
	json_end(&j, stdout);
}

static void
put_u64(const char *name, const char *label, const char *value, uint64_t n)
{
	char number[24];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)n);
	put(name, label, value, number);
}

static void
put_commit_times(const struct ipc_counters *all)
{
	static const unsigned bounds[METRIC_BUCKETS - 1] = METRIC_BUCKET_MS;
	uint64_t count = 0, ms = all->values[METRIC_COMMIT_SUM_MS];
	char text[40];

	put_head("commit_seconds", "histogram", "From the end of a message to its place on stable storage.");
	for (size_t i = 0; i < METRIC_BUCKETS; i++) {
		count += all->values[METRIC_COMMIT_BUCKET + i];
		if (i < METRIC_BUCKETS - 1)
			snprintf(text, sizeof(text), "%g", bounds[i] / 1000.0);
		else
			snprintf(text, sizeof(text), "+Inf");
		put_u64("commit_seconds_bucket", "le", text, count);
	}
	snprintf(text, sizeof(text), "%llu.%03u", (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
	put("commit_seconds_sum", NULL, NULL, text);
	put_u64("commit_seconds_count", NULL, NULL, count);
}

int
cmd_metrics(struct admin *a)
{
	static struct ipc_counters all;
	static struct ipc_delivery_state delivery;
	struct queue_count q;
	int code;

	/* Whole or not at all: a collector must not read a part. The queue comes last, since root becomes its owner. */
	if ((code = ask(a, &all)) != EX_OK)
		return code;
	ask_delivery(a, &delivery);
	if ((code = count_queue(a, &q)) != EX_OK)
		return code;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_head(rows[i].name, rows[i].type, rows[i].help);
		put_u64(rows[i].name, rows[i].label, rows[i].value, all.values[rows[i].what]);
	}
	put_commit_times(&all);
	put_head("queue_messages", "gauge", "Messages in the queue, by state.");
	put_u64("queue_messages", "state", "active", q.active);
	put_u64("queue_messages", "state", "deferred", q.deferred);
	put_u64("queue_messages", "state", "held", q.held);
	put_u64("queue_messages", "state", "failed", q.failed);
	put_head("deliveries_current", "gauge", "Deliveries under way.");
	put_u64("deliveries_current", NULL, NULL, delivery.underway);
	put_head("delivery_paused", "gauge", "1 while delivery is paused.");
	put_u64("delivery_paused", NULL, NULL, delivery.is_paused);
	return EX_OK;
}
