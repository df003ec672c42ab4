/*
 * What the trace says of a message before it is delivered: the session that brought it, and how its submission ended. Run by
 * postern-spool's loop. Invariant: the first line of a message's life comes before its client has been answered.
 */
#include "trace_message.h"

#include <string.h>

#include "message.h"
#include "session.h"
#include "spooler.h"
#include "str.h"

void
trace_note_session(struct session *s)
{
	static const char *const mechanisms[] = { "plain", "login", "local" };
	char peer[NETADDR_TEXT];

	if (s->is_traced)
		return;
	s->is_traced = true;
	trace_event_at(s->sp, s->began_us, NULL, s->id, "session", "peer", netaddr_put(peer, &s->peer), "listener",
	    conf_listener_kind(s->listener), "tls", s->tls ? "yes" : "no", NULL);
	trace_event_at(s->sp, s->login_us, NULL, s->id, "login", "account", s->account, "credential", s->credential, "mechanism",
	    mechanisms[s->mechanism], NULL);
}

static void
note_recipients(const struct message *m)
{
	const char *p = (const char *)m->addresses.data, *end = p + m->addresses.len;

	for (; p < end; p += strlen(p) + 1)
		trace_event(m->sp, m->id, m->session_id, "recipient", "to", p, NULL);
}

/* The pairs that every end of a submission has begin with the account, which the reader looks for there. */
static void
note_end(const struct message *m, const char *event, const char *reason)
{
	const char *message_id = m->assembly.message_id;
	char size[21], recipients[21];

	trace_event(m->sp, m->id, m->session_id, event, "account", m->account, "credential", m->credential, "sender", m->sender,
	    "size", str_put_u64(size, m->assembly.taken), "recipients", str_put_u64(recipients, m->nrecipients),
	    "message_id", message_id[0] != 0 ? message_id : NULL, "reason", reason, NULL);
	note_recipients(m);
}

void
trace_note_accepted(const struct message *m)
{
	note_end(m, "accepted", NULL);
}

void
trace_note_refused(const struct message *m, const char *reason)
{
	note_end(m, "refused", reason);
}

void
trace_note_broken_off(const struct message *m)
{
	static const char *const reasons[] = { [ABORT_OCTETS] = "bad_octets", [ABORT_TOO_BIG] = "too_big",
	    [ABORT_ATTACHMENT] = "attachment_too_big", [ABORT_MALFORMED] = "bad_mime", [ABORT_LINE] = "line_too_long",
	    [ABORT_TROUBLE] = "error" };

	if (m->why == ABORT_LEFT)
		note_end(m, "broken_off", NULL);
	else
		note_end(m, "refused", reasons[m->why]);
}
