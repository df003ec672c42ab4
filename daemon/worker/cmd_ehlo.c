/*
 * EHLO and HELO: begin the session anew and say what is offered (RFC 5321, 4.1.1.1). The extensions' lines follow from
 * the same facts as the gate. Run by workers.
 */
#include "command.h"

#include "addr.h"
#include "session.h"
#include "str.h"

/* Any printable token, what Windows sends too; a literal must be a good one. */
static bool
is_name(struct argument a)
{
	for (size_t i = 0; i < a.n; i++)
		if (a.p[i] <= ' ' || a.p[i] == 0x7f)
			return false;
	return a.p[0] != '[' ? str_is_utf8(a.p, a.n) : addr_is_domain(a.p, a.n, false);
}

static enum reply_id
greet(struct session *s, struct argument a)
{
	if (!is_name(a))
		return REPLY_BAD_ARGUMENT;
	session_reset(s);
	s->phase = PHASE_READY;
	session_put_detail(s, "%s", s->conf->hostname);
	return REPLY_HELLO;
}

enum reply_id
cmd_helo(struct session *s, struct argument a)
{
	return greet(s, a);
}

enum reply_id
cmd_ehlo(struct session *s, struct argument a)
{
	enum reply_id reply = greet(s, a);

	if (reply != REPLY_HELLO)
		return reply;
	session_put_detail(s, "\nPIPELINING\nSIZE %llu", (unsigned long long)s->conf->limits_message_size);
	if (session_needs_tls(s))
		session_put_detail(s, "\nSTARTTLS");
	else if (s->facts.listener != LISTENER_LOCAL)
		session_put_detail(s, "\nAUTH LOGIN PLAIN");
	else if (s->local_sender[0] != 0)
		session_put_detail(s, "\nXSENDER %s", s->local_sender);
	if (s->conf->nroutes != 0)
		session_put_detail(s, "\nETRN");
	session_put_detail(s, "\nENHANCEDSTATUSCODES\n8BITMIME\nCHUNKING\nSMTPUTF8\nDSN\nLIMITS RCPTMAX=%llu",
	    (unsigned long long)s->conf->limits_recipients);
	return REPLY_HELLO;
}
