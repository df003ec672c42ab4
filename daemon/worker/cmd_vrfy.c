/*
 * VRFY: tells nothing about addresses; the answer is the same for all (RFC 5321, 3.5.3) whose login still holds, as for MAIL. Run by
 * workers.
 */
#include "command.h"

#include "cmd_path.h"
#include "err.h"
#include "request.h"
#include "session.h"

enum reply_id
cmd_vrfy(struct session *s, struct argument a)
{
	struct ipc_status_answer answer;

	(void)a;
	if (request_status(s, &answer) != ERR_OK)
		return cmd_auth_lost(s);
	return answer.login_void ? REPLY_LOGIN_VOID : REPLY_CANNOT_VRFY;
}
