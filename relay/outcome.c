/*
 * What became of recipients, in the words of the contract. Run by session processes. Invariant: all text is printable ASCII.
 */
#include <stdarg.h>
#include <stdio.h>

#include "err.h"
#include "session.h"
#include "str.h"

void
outcome_set(struct ipc_outcome_of *o, enum delivery_verdict verdict, enum delivery_stage stage, const char *enhanced,
    const char *fmt, ...)
{
	va_list ap;

	*o = (struct ipc_outcome_of){ .verdict = verdict, .stage = stage };
	str_fmt(o->enhanced, sizeof(o->enhanced), "%s", enhanced);
	va_start(ap, fmt);
	vsnprintf(o->reply, sizeof(o->reply), fmt, ap);
	va_end(ap);
	for (char *p = o->reply; *p != 0; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

void
outcome_from_reply(struct session *s, struct ipc_outcome_of *o, enum delivery_stage stage)
{
	const struct remote_reply *r = &s->reply;

	*o = (struct ipc_outcome_of){ .stage = stage, .code = r->code };
	o->verdict = r->code >= 500 ? DELIVERY_FAILED : r->code >= 300 ? DELIVERY_DEFERRED : DELIVERY_DELIVERED;
	str_fmt(o->enhanced, sizeof(o->enhanced), "%s", r->enhanced[0] != 0 ? r->enhanced : remote_reply_enhanced(r->code, stage));
	str_fmt(o->reply, sizeof(o->reply), "%s", r->text);
	if (r->code == 421)
		s->is_over = true;
}

/* The remote's part of the sentence: what it was asked when it failed. */
static const char *
asked(enum delivery_stage stage)
{
	static const char *const words[] = {
		[DELIVERY_ROUTE] = "it was asked", [DELIVERY_RESOLVE] = "it was asked", [DELIVERY_CONNECT] = "the connection was made",
		[DELIVERY_GREETING] = "the connection was made", [DELIVERY_HELLO] = "EHLO", [DELIVERY_TLS] = "STARTTLS",
		[DELIVERY_LOGIN] = "AUTH", [DELIVERY_MAIL] = "MAIL", [DELIVERY_RCPT] = "RCPT", [DELIVERY_DATA] = "DATA",
		[DELIVERY_END] = "the end of the message",
	};

	return words[stage];
}

void
outcome_from_error(struct session *s, struct ipc_outcome_of *o, enum delivery_stage stage, int err)
{
	const char *host = s->facts->host;

	s->is_over = true;
	s->is_lost = err != ERR_BUSY;
	switch (err) {
	case ERR_BUSY:
		outcome_set(o, DELIVERY_RETURNED, stage, "4.3.2", "the delivery was stopped before the message was sent");
		break;
	case ERR_TIMEOUT:
		outcome_set(o, DELIVERY_DEFERRED, stage, "4.4.2", "%s did not answer in time after %s", host, asked(stage));
		break;
	case ERR_CLOSED:
		outcome_set(o, DELIVERY_DEFERRED, stage, "4.4.2", "%s closed the connection after %s", host, asked(stage));
		break;
	case ERR_SYNTAX:
		outcome_set(o, DELIVERY_DEFERRED, stage, "4.5.0", "%s said something that is no reply after %s: %.300s", host,
		    asked(stage), s->reply.text);
		break;
	case ERR_TOOBIG:
		outcome_set(o, DELIVERY_DEFERRED, stage, "4.5.0", "%s gave a reply without end after %s", host, asked(stage));
		break;
	case ERR_CORRUPT:
		outcome_set(o, DELIVERY_DEFERRED, stage, "4.3.0", "the message could not be read from the spool");
		break;
	default:
		outcome_set(o, DELIVERY_DEFERRED, stage, "4.4.2", "the connection with %s failed after %s: %s", host, asked(stage),
		    err_text(err));
		break;
	}
}
