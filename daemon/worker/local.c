/*
 * Sessions on the local socket: logged in before the greeting, as the account that the client's user belongs to. Run by
 * workers, which say nothing of who it is: auth has it from the master. A user without an account is greeted, too, to
 * be told what to do.
 */
#include "local.h"

#include <string.h>

#include "err.h"
#include "request.h"
#include "session.h"

enum reply_id
local_login(struct session *s)
{
	struct ipc_login m = { .mechanism = MECHANISM_LOCAL };
	struct ipc_login_answer answer;

	if (request_login(s, &m, &answer) != ERR_OK) {
		s->end = SESSION_SERVICE_LOST;
		return REPLY_SHUTDOWN;
	}
	switch (answer.verdict) {
	case LOGIN_OK:
		s->login = true;
		s->device = answer.device;
		memcpy(s->local_sender, answer.sender, sizeof(s->local_sender));
		return REPLY_GREETING;
	case LOGIN_INVALID:
		return REPLY_GREETING;
	case LOGIN_TOO_MANY:
		s->end = SESSION_REFUSED;
		return REPLY_OVERLOADED;
	case LOGIN_UNAVAILABLE:
	case LOGIN_THROTTLED:
		break;
	}
	s->end = SESSION_SERVICE_LOST;
	return REPLY_SHUTDOWN;
}

enum reply_id
local_auth_required(struct session *s)
{
	if (s->facts.listener != LISTENER_LOCAL)
		return REPLY_AUTH_REQUIRED;
	session_put_detail(s, "%lu", (unsigned long)netaddr_user(&s->facts.peer));
	return REPLY_LOCAL_UNKNOWN;
}
