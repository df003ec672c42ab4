/*
 * VRFY: tells nothing about addresses; the answer is the same for all (RFC 5321, 3.5.3). Run by workers.
 */
#include "command.h"

enum reply_id
cmd_vrfy(struct session *s, struct argument a)
{
	(void)s;
	(void)a;
	return REPLY_CANNOT_VRFY;
}
