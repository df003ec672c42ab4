/*
 * STARTTLS (RFC 3207): the handshake, then the session starts anew. What the client sent behind the command, in the
 * clear, is thrown away before the first octet of TLS. Run by workers.
 */
#include "command.h"

#include "err.h"
#include "session.h"

enum reply_id
cmd_starttls(struct session *s, struct argument a)
{
	(void)a;
	if (s->facts.listener != LISTENER_SUBMISSION || session_has_tls(s))
		return REPLY_NOT_IMPLEMENTED;
	if (s->keys_fd < 0 || s->tls == NULL)
		return REPLY_TLS_UNAVAILABLE;
	if (session_say(s, REPLY_TLS_READY) != ERR_OK)
		return REPLY_NONE;
	conn_discard(s->conn);
	session_start_tls(s);
	s->phase = PHASE_START;
	return REPLY_NONE;
}
