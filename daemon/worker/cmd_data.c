/*
 * DATA (RFC 5321, 4.1.1.4). Run by workers.
 */
#include "command.h"

#include "err.h"
#include "session.h"

enum reply_id
cmd_data(struct session *s, struct argument a)
{
	struct passage *p = &s->passage;
	enum reply_id reply;
	int err;

	(void)a;
	passage_begin(s, p);
	if (session_say(s, REPLY_START_DATA) != ERR_OK)
		return REPLY_NONE;
	if ((err = passage_carry_lines(s, p)) != ERR_OK) {
		passage_drop(s, p);
		return session_lost(s, err);
	}
	reply = passage_end(s, p);
	session_forget(s);
	return reply;
}
