/*
 * smtpadm why: where one message is and why, and what would help, in sentences. Runs as the owner of the spool and only reads.
 */
#include "command.h"

#include <string.h>

#include "err.h"
#include "io.h"
#include "out.h"
#include "queue.h"
#include "queue_change.h"
#include "show.h"
#include "spool_control.h"
#include "trace_read.h"
#include "trace_words.h"

static int
say(const char *id, const char *state, const char *text, const char *fix)
{
	struct json j;

	if (!out_is_json()) {
		out_print("%s\n", text);
		if (fix[0] != 0)
			out_print("%s\n", fix);
		return EX_OK;
	}
	json_begin(&j);
	json_put_str(&j, "queue_id", id);
	json_put_str(&j, "state", state);
	json_put_str(&j, "why", text);
	json_put_str(&j, "fix", fix[0] != 0 ? fix : NULL);
	json_end(&j, stdout);
	return EX_OK;
}

/* What helps against the last obstacle. */
static void
put_fix(char *to, size_t size, const struct queue_message *m, const struct state_recipient *r)
{
	const char *program = out_program(), *id = m->envelope.id;

	switch (r->stage) {
	case DELIVERY_ROUTE:
		snprintf(to, size, "A route is missing: %sroute add NAME URL, or %squeue reroute %s --to-route NAME", program, program, id);
		break;
	case DELIVERY_RESOLVE:
		snprintf(to, size, "If the name is right, look at the resolver; then %squeue retry %s", program, id);
		break;
	case DELIVERY_CONNECT:
	case DELIVERY_GREETING:
	case DELIVERY_HELLO:
		snprintf(to, size, "Is the next hop up, and port and firewall right? Then %squeue retry %s", program, id);
		break;
	case DELIVERY_TLS:
		snprintf(to, size, "Look at the next hop's certificate, or at tls and ca of its route; then %squeue retry %s", program, id);
		break;
	case DELIVERY_LOGIN:
		snprintf(to, size, "Look at user and secret of its route; then %squeue retry %s", program, id);
		break;
	default:
		snprintf(to, size, "The next hop says so; %squeue retry %s asks again, %squeue bounce %s returns it", program, id, program, id);
	}
}

static int
explain_waiting(const struct admin *a, const struct queue_message *m, const struct ipc_delivery_state *live)
{
	const struct state_recipient *r = NULL;
	char text[1200], fix[400] = "", when[40], code[8] = "";

	for (size_t i = 0; i < m->state.nrecipients && r == NULL; i++)
		if (queue_reason_of(m, i) != NULL)
			r = &m->state.recipients[i];
	if (live->is_paused) {
		snprintf(text, sizeof(text), "It waits because delivery is paused%s%s.", live->reason[0] != 0 ? ": " : "", live->reason);
		snprintf(fix, sizeof(fix), "%sresume delivery", out_program());
	} else if (r != NULL) {
		if (r->code != 0)
			snprintf(code, sizeof(code), "%u ", (unsigned)r->code);
		snprintf(text, sizeof(text), "It waits for try %u, %s%s, because%s%s at %s: %s%s", (unsigned)m->state.tries + 1,
		    m->state.next_us > io_now_us() ? "due " : "due now", m->state.next_us > io_now_us() ?
		    show_time(when, a->time, m->state.next_us) : "", r->host != NULL ? " of " : " it failed",
		    r->host != NULL ? r->host : "", ipc_delivery_stage(r->stage), code, r->reply);
		put_fix(fix, sizeof(fix), m, r);
	} else if (queue_route(m, 0)[0] == 0) {
		snprintf(text, sizeof(text), "It waits because no route leads to %s.", m->envelope.recipients[0].address);
		snprintf(fix, sizeof(fix), "%sroute add NAME URL", out_program());
	} else {
		snprintf(text, sizeof(text), "It waits for its turn on route %s: nothing was tried yet.", queue_route(m, 0));
	}
	return say(m->envelope.id, queue_state(m), text, fix);
}

static int
explain(const struct admin *a, const struct queue_message *m, const struct ipc_delivery_state *live)
{
	char text[900], fix[700];

	if (m->err != ERR_OK) {
		snprintf(text, sizeof(text), "Its file in %s/ is corrupt: %s.", spool_folder_name(m->folder), err_text(m->err));
		return say(m->envelope.id, queue_state(m), text, "");
	}
	if (m->folder == SPOOL_HOLD || m->folder == SPOOL_FAILED) {
		const char *reason = queue_reason(m);

		snprintf(text, sizeof(text), "It is %s: %s.", m->folder == SPOOL_HOLD ? "held" : "set aside, since its report can go to nobody",
		    reason != NULL ? reason : "no reason was noted");
		if (m->folder == SPOOL_HOLD && reason != NULL && strcmp(reason, QUEUE_HELD_FOR_CONTAIN) == 0)
			snprintf(fix, sizeof(fix), "%saccount restore %s --mail release, or for this one alone: %squeue release %s",
			    out_program(), m->envelope.account, out_program(), m->envelope.id);
		else
			snprintf(fix, sizeof(fix), "%squeue release %s", out_program(), m->envelope.id);
		return say(m->envelope.id, queue_state(m), text, fix);
	}
	return explain_waiting(a, m, live);
}

/* One that is not in the queue: the last things that the trace knows of it. */
static int
explain_gone(const struct admin *a, const struct spool_dirs *d, const char *id)
{
	static struct trace_line l;
	struct trace_query q = { .id = id };
	struct trace_found found;
	char text[2500] = "", words[1200];
	int err = trace_find(d, &q, &found);

	for (size_t i = 0; err == ERR_OK && found.n != 0 && i < found.lives[0].n; i++) {
		const struct trace_span *line = &found.lives[0].lines[i];

		if (trace_get_line(line->p, line->n, &l) != ERR_OK || strcmp(l.event, "done") == 0 || strcmp(l.event, "recipient") == 0)
			continue;
		snprintf(text, sizeof(text), "It is not in the queue any more. Last: %s", trace_words(words, sizeof(words), &l, a->time));
	}
	trace_found_free(&found);
	if (text[0] == 0) {
		out_fix("smtpadm trace --account ACCOUNT");
		return out_fail(EX_NOUSER, "no_message", "neither the queue nor the trace knows a message '%s'", id);
	}
	snprintf(words, sizeof(words), "%strace %s", out_program(), id);
	return say(id, "gone", text, words);
}

int
cmd_why(struct admin *a)
{
	const struct ipc_delivery_order order = { .order = DELIVERY_TELL };
	static struct ipc_delivery_state live;
	struct spool_entry e = { .fd = -1 };
	struct queue_message m;
	struct spool_dirs d;
	int code, err, fd;

	/* Before the rights change; who may not ask learns what the files say. */
	if (spool_control_open(a, &fd) == ERR_OK && spool_control_order(fd, &order, &live) != ERR_OK)
		live = (struct ipc_delivery_state){ .is_paused = false };
	io_close(&fd);
	if ((code = queue_open(a, &d)) != EX_OK)
		return code;
	if ((err = spool_find(&d, a->words[0], &e)) == ERR_OK) {
		queue_read(&d, &e, &m);
		code = explain(a, &m, &live);
		queue_free(&m);
		io_close(&e.fd);
	} else if (err == ERR_NOTFOUND) {
		code = explain_gone(a, &d, a->words[0]);
	} else {
		code = out_fail(admin_code(err), admin_name(err), "message '%s': %s", a->words[0], err_text(err));
	}
	spool_close(&d);
	return code;
}
