/*
 * MAIL: begins a transaction; auth judges the sender. Run by workers.
 */
#include "command.h"

#include "cmd_path.h"
#include "err.h"
#include "request.h"
#include "session.h"

/* The account's or its credential's, and never more than the configuration's. */
static uint64_t
limit_of(const struct session *s, const struct ipc_sender_answer *answer)
{
	uint64_t most = s->conf->limits_message_size;

	return answer->message_size != 0 && answer->message_size < most ? answer->message_size : most;
}

enum reply_id
cmd_mail(struct session *s, struct argument a)
{
	struct ipc_sender_answer answer;
	struct ipc_sender m;
	enum path_error error;

	if ((error = path_parse_mail(a.p, a.n, &m)) != PATH_OK)
		return cmd_path_reply(error);
	if (m.size > s->conf->limits_message_size) {
		session_put_detail(s, "%llu", (unsigned long long)s->conf->limits_message_size);
		return REPLY_MESSAGE_TOO_BIG;
	}
	if (request_sender(s, &m, &answer) != ERR_OK)
		return cmd_auth_lost(s);
	switch (answer.verdict) {
	case SENDER_OK:
		s->t = answer.t;
		s->smtputf8 = m.smtputf8;
		s->message_size = limit_of(s, &answer);
		s->phase = PHASE_MAIL;
		return REPLY_SENDER_OK;
	case SENDER_NOT_ALLOWED:
		return REPLY_SENDER_NOT_ALLOWED;
	case SENDER_LOGIN_VOID:
		return REPLY_LOGIN_VOID;
	case SENDER_NO_STORAGE:
		return REPLY_NO_STORAGE;
	case SENDER_TOO_BIG:
		session_put_detail(s, "%llu", (unsigned long long)limit_of(s, &answer));
		return REPLY_MESSAGE_TOO_BIG;
	case SENDER_UNAVAILABLE:
		return REPLY_LOCAL_ERROR;
	case SENDER_THROTTLED:
		session_put_detail(s, "%lu", (unsigned long)answer.wait_seconds);
		return REPLY_SENDER_THROTTLED;
	}
	return REPLY_LOCAL_ERROR;
}
