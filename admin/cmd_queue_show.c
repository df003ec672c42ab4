/*
 * smtpadm queue show and cat: one message. Runs as the owner of the spool and only reads.
 */
#include "command.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "out.h"
#include "queue.h"
#include "queue_change.h"
#include "show.h"
#include "str.h"

static int
find(struct admin *a, struct spool_entry *e, struct queue_message *m)
{
	const char *id = a->words[0];
	struct spool_dirs d;
	int code, err;

	if ((code = queue_open(a, &d)) != EX_OK)
		return code;
	if ((err = spool_find(&d, id, e)) == ERR_OK) {
		queue_read(&d, e, m);
	} else if (err == ERR_NOTFOUND) {
		out_fix("smtpadm trace %s, if it has left; smtpadm queue list --all", id);
		code = out_fail(EX_NOUSER, "no_message", "there is no message '%s' in the queue", id);
	} else {
		code = out_fail(admin_code(err), admin_name(err), "message '%s': %s", id, err_text(err));
	}
	spool_close(&d);
	return code;
}

/* A failed recipient counts as reported where nobody was to be told. */
static const char *
put_status(const struct queue_message *m, size_t i)
{
	static const char *const words[] = { "waiting", "delivered", "failed", "failed, and reported", "removed" };
	const char *notify = m->envelope.recipients[i].notify;
	enum recipient_status status = m->state.recipients[i].status;

	if (status == RECIPIENT_REPORTED && m->envelope.sender[0] == 0)
		return "failed; it has no sender to tell";
	if (status == RECIPIENT_REPORTED && notify != NULL && strcasecmp(notify, "NEVER") == 0)
		return "failed; the sender wants no report";
	return words[status];
}

/* What has become of one recipient so far. */
static void
show_result(const struct admin *a, const struct queue_message *m, size_t i)
{
	const struct state_recipient *r = &m->state.recipients[i];
	const char *route = queue_route(m, i);
	char time[40], code[8] = "";

	if (r->time_us == 0) {
		if (route[0] != 0)
			out_print("            %s, by route %s\n", put_status(m, i), route);
		return;
	}
	if (r->code != 0)
		snprintf(code, sizeof(code), "%u ", (unsigned)r->code);
	out_print("            %s, by route %s, last tried %s%s%s%s%s\n", put_status(m, i), route[0] != 0 ? route : "(none)",
	    show_time(time, a->time, r->time_us), r->host != NULL ? " at " : "", r->host != NULL ? r->host : "",
	    r->tls != NULL ? ", " : "", r->tls != NULL ? r->tls : "");
	if (r->reply != NULL)
		out_print("            %s: %s%s\n", ipc_delivery_stage(r->stage), code, r->reply);
}

static void
show_state(const struct admin *a, const struct queue_message *m)
{
	const struct state *s = &m->state;
	bool is_scheduled = m->folder == SPOOL_NEW || m->folder == SPOOL_CUR;
	char text[40];

	if (m->folder == SPOOL_HOLD && s->hold != NULL && strcmp(s->hold, QUEUE_HELD_FOR_CONTAIN) == 0)
		out_print("held        %s: %saccount restore %s --mail release\n            (this one alone: %squeue release %s)\n", s->hold,
		    out_program(), m->envelope.account, out_program(), m->envelope.id);
	else if (s->hold != NULL && m->folder == SPOOL_HOLD)
		out_print("held        %s (%squeue release %s)\n", s->hold, out_program(), m->envelope.id);
	if (s->route != NULL)
		out_print("rerouted    %s\n", s->route);
	if (is_scheduled && (s->tries != 0 || s->next_us != 0))
		out_print("tries       %u, the next %s\n", (unsigned)s->tries,
		    s->next_us > io_now_us() ? show_time(text, a->time, s->next_us) : "at once");
	else if (s->tries != 0)
		out_print("tries       %u\n", (unsigned)s->tries);
	if (s->expires_us != 0)
		out_print("given up    %s\n", show_time(text, a->time, s->expires_us));
	if (s->warned_us != 0)
		out_print("warned      %s\n", show_time(text, a->time, s->warned_us));
}

static void
show(const struct admin *a, const struct queue_message *m, const char *whole)
{
	const struct spool_envelope *e = &m->envelope;
	char text[40], age[40], session[21];

	out_print("id          %s\nstate       %s\nfile        %s/%s (%s)\n", e->id, queue_state(m),
	    spool_folder_name(m->folder), m->file, whole);
	out_print("arrival     %s (%s ago)\nsize        %llu\n", show_time(text, a->time, e->arrival_us),
	    show_age(age, e->arrival_us), (unsigned long long)e->message_size);
	show_state(a, m);
	out_print("account     %s%s%s\nsession     %s\nsender      %s\n", e->account, e->credential != NULL ? ", with " : "",
	    e->credential != NULL ? e->credential : "", e->session != 0 ? str_put_hex64(session, e->session) : "(none)", e->sender[0] != 0 ? e->sender : "<>");
	for (size_t i = 0; i < e->nrecipients; i++) {
		const struct spool_recipient *r = &e->recipients[i];

		out_print("recipient   %s%s%s%s%s\n", r->address, r->notify != NULL ? " NOTIFY=" : "",
		    r->notify != NULL ? r->notify : "", r->orcpt != NULL ? " ORCPT=" : "",
		    r->orcpt != NULL ? r->orcpt : "");
		show_result(a, m, i);
	}
	if (e->envid != NULL)
		out_print("envid       %s\n", e->envid);
	if (e->ret != NULL)
		out_print("ret         %s\n", e->ret);
	if (e->body_8bit || e->smtputf8)
		out_print("needs       %s%s\n", e->body_8bit ? "8BITMIME " : "", e->smtputf8 ? "SMTPUTF8" : "");
}

int
cmd_queue_show(struct admin *a)
{
	struct spool_entry e = { .fd = -1 };
	struct queue_message m;
	int code, err;

	if ((code = find(a, &e, &m)) != EX_OK)
		return code;
	err = m.err == ERR_OK ? spool_verify(e.fd) : m.err;
	if (out_is_json())
		queue_put_json(&m);
	else if (m.err == ERR_OK)
		show(a, &m, err == ERR_OK ? "whole" : "corrupt");
	if (err != ERR_OK)
		code = out_fail(EX_DATAERR, "corrupt", "the message file %s/%s: %s", spool_folder_name(m.folder),
		    m.file, err_text(err));
	queue_free(&m);
	io_close(&e.fd);
	return code;
}

/* Which octets of a message file are wanted. */
struct span {
	bool	envelope, headers, body;
	bool	in_body;	/* the empty line has passed */
	bool	line_start;
};

/* Sorts a piece of the message into header and body: the empty line goes with the header. */
static void
put_message(struct span *s, const char *p, size_t n)
{
	while (n != 0) {
		const char *newline;
		size_t used = n;

		if (!s->in_body && (newline = memchr(p, '\n', n)) != NULL)
			used = (size_t)(newline - p) + 1;
		if (s->in_body ? s->body : s->headers)
			out_octets(p, used);
		if (!s->in_body && p[used - 1] == '\n') {
			s->in_body = s->line_start && (used == 1 || (used == 2 && p[0] == '\r'));
			s->line_start = true;
		} else if (!s->in_body) {
			s->line_start = s->line_start && used == 1 && p[0] == '\r';
		}
		p += used;
		n -= used;
	}
}

static int
put_file(int fd, uint64_t message_offset, struct span *s)
{
	char chunk[65536];
	uint64_t at = 0;
	ssize_t n;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return ERR_SYSTEM;
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		size_t head;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_SYSTEM;
		head = at >= message_offset		   ? 0
		       : message_offset - at < (uint64_t)n ? (size_t)(message_offset - at)
							   : (size_t)n;
		if (s->envelope)
			out_octets(chunk, head);
		put_message(s, chunk + head, (size_t)n - head);
		at += (uint64_t)n;
		if (ferror(stdout))
			break;
	}
	return ERR_OK;
}

int
cmd_queue_cat(struct admin *a)
{
	bool all = !admin_has(a, OPT_ENVELOPE) && !admin_has(a, OPT_HEADERS) && !admin_has(a, OPT_BODY);
	struct span s = { .envelope = all || admin_has(a, OPT_ENVELOPE), .headers = all || admin_has(a, OPT_HEADERS),
	    .body = all || admin_has(a, OPT_BODY), .line_start = true };
	struct spool_entry e = { .fd = -1 };
	struct queue_message m;
	int code, err;

	if ((code = find(a, &e, &m)) != EX_OK)
		return code;
	/* Of a corrupt file nobody knows where the parts are: it is shown whole. */
	if (m.err != ERR_OK && !all)
		err = m.err;
	else
		err = put_file(e.fd, m.envelope.message_offset, &s);
	if (err != ERR_OK)
		code = out_fail(admin_code(err), admin_name(err), "message '%s': %s", a->words[0], err_text(err));
	queue_free(&m);
	io_close(&e.fd);
	return code;
}
