/*
 * Envelopes on their way from auth to a message file. Pure; run by postern-spool's loop. Invariant: what a client chose (ENVID,
 * ORCPT) can't begin a line of its own, whoever passed it on.
 */
#include "envelope.h"

#include <string.h>

#include "err.h"
#include "format.h"

/* The start of the envelope and the message have room beside it. */
#define LINES_MAX (FORMAT_ENVELOPE_MAX - 4096)

void
envelope_drop(struct envelope *e)
{
	buf_free(&e->lines);
	buf_free(&e->addresses);
	*e = (struct envelope){ .is_pending = false };
}

void
envelope_begin(struct envelope *e, const struct ipc_envelope_sender *m)
{
	static const char *const rets[] = { NULL, "FULL", "HDRS" };
	const struct ipc_sender *s = &m->sender;

	envelope_drop(e);
	buf_init(&e->lines, LINES_MAX);
	buf_init(&e->addresses, LINES_MAX);
	e->is_pending = true;
	e->t = m->t;
	e->check_header = m->check_header;
	e->repair_lf = m->repair_lf;
	e->message_size = m->message_size;
	e->smtputf8 = s->smtputf8;
	memcpy(e->sender, s->address.text, s->address.len + 1);
	e->is_broken = !format_is_value(s->envid) ||
	    format_put_sender(&e->lines, s->address.text, rets[s->ret], s->envid, s->body == BODY_8BITMIME, s->smtputf8) != ERR_OK;
}

/* RFC 3461, 4.1. */
static const char *
notify_text(char to[32], uint8_t notify)
{
	static const struct {
		uint8_t		bit;
		const char	*word;
	} words[] = { { DSN_NOTIFY_SUCCESS, "SUCCESS" }, { DSN_NOTIFY_FAILURE, "FAILURE" }, { DSN_NOTIFY_DELAY, "DELAY" } };

	to[0] = 0;
	if ((notify & DSN_NOTIFY_NEVER) != 0)
		return "NEVER";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if ((notify & words[i].bit) == 0)
			continue;
		if (to[0] != 0)
			strncat(to, ",", 2);
		strncat(to, words[i].word, 8);
	}
	return to;
}

void
envelope_add(struct envelope *e, const struct ipc_recipient *r)
{
	char notify[32];

	if (e->nrecipients == ENVELOPE_RECIPIENTS_MAX || !format_is_value(r->orcpt) ||
	    format_put_recipient(&e->lines, r->address.text, notify_text(notify, r->notify), r->orcpt) != ERR_OK ||
	    buf_put(&e->addresses, r->address.text, r->address.len + 1) != ERR_OK)
		e->is_broken = true;
	else
		e->nrecipients++;
}
