/*
 * RSET: forgets the transaction, not the login. Run by workers.
 */
#include "command.h"

#include "session.h"

enum reply_id
cmd_rset(struct session *s, struct argument a)
{
	(void)a;
	session_reset(s);
	return REPLY_OK;
}
