/*
 * QUIT: the good end. Run by workers.
 */
#include "command.h"

#include "session.h"

enum reply_id
cmd_quit(struct session *s, struct argument a)
{
	(void)a;
	s->end = SESSION_QUIT;
	return REPLY_BYE;
}
