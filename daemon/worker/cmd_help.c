/*
 * HELP: the commands, from the verb table. Run by workers.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "session.h"

enum reply_id
cmd_help(struct session *s, struct argument a)
{
	size_t n, used;
	const struct verb *verbs = command_verbs(&n);

	(void)a;
	used = (size_t)snprintf(s->detail, sizeof(s->detail), "Help message\nCommands:");
	for (size_t i = 0; i < n && used < sizeof(s->detail); i++)
		if (verbs[i].handle != NULL)
			used += (size_t)snprintf(s->detail + used, sizeof(s->detail) - used, " %s", verbs[i].name);
	return REPLY_HELP;
}
