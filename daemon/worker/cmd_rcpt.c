/*
 * RCPT: one recipient; auth judges it. Run by workers.
 */
#include "command.h"

#include "cmd_path.h"
#include "err.h"
#include "request.h"
#include "session.h"

enum reply_id
cmd_rcpt(struct session *s, struct argument a)
{
	struct ipc_recipient_answer answer;
	struct ipc_recipient m;
	enum path_error error;

	if ((error = path_parse_rcpt(a.p, a.n, s->conf->hostname, s->smtputf8, &m)) != PATH_OK)
		return cmd_path_reply(error);
	if (request_recipient(s, &m, &answer) != ERR_OK)
		return cmd_auth_lost(s);
	switch (answer.verdict) {
	case RECIPIENT_OK:
		s->t = answer.t;
		s->phase = PHASE_RCPT;
		return REPLY_RECIPIENT_OK;
	case RECIPIENT_TOO_MANY:
		return REPLY_TOO_MANY_RECIPIENTS;
	case RECIPIENT_DENIED:
		return REPLY_MAILBOX_UNAVAILABLE;
	case RECIPIENT_LOGIN_VOID:
		return REPLY_LOGIN_VOID;
	case RECIPIENT_UNAVAILABLE:
		return REPLY_LOCAL_ERROR;
	}
	return REPLY_LOCAL_ERROR;
}
