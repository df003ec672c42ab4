/*
 * NOOP: nothing, whatever its argument (RFC 5321, 4.1.1.9). Run by workers.
 */
#include "command.h"

enum reply_id
cmd_noop(struct session *s, struct argument a)
{
	(void)s;
	(void)a;
	return REPLY_OK;
}
