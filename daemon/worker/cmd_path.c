/*
 * What MAIL and RCPT share. Run by workers.
 */
#include "cmd_path.h"

#include "session.h"

static const enum reply_id replies[] = {
	[PATH_OK] = REPLY_OK,
	[PATH_SYNTAX] = REPLY_BAD_ARGUMENT,
	[PATH_NEEDS_BRACKETS] = REPLY_NEEDS_BRACKETS,
	[PATH_INVALID] = REPLY_INVALID_ADDRESS,
	[PATH_PARAMETER_TWICE] = REPLY_DUPLICATE_PARAMETER,
	[PATH_PARAMETER_UNKNOWN] = REPLY_UNKNOWN_PARAMETER,
	[PATH_PARAMETER_VALUE] = REPLY_BAD_PARAMETER_VALUE,
};

enum reply_id
cmd_path_reply(enum path_error error)
{
	return replies[error];
}

enum reply_id
cmd_auth_lost(struct session *s)
{
	s->ending = true;
	s->end = SESSION_SERVICE_LOST;
	return REPLY_SHUTDOWN;
}
