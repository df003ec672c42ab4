#ifndef SPOOL_NOTICE_H
#define SPOOL_NOTICE_H

#include <stdbool.h>

struct active;

#define NOTICE_ACCOUNT "MAILER-DAEMON"	/* of the messages that the spool makes itself */

/* Whether somebody is to be told of what became of a message. */
bool	notice_is_due(const struct active *a);

/* Makes and stores the next report as a message of its own; active_step() follows. Nothing may be under way. ERR_NOMEM, ERR_SYSTEM. */
int	notice_begin(struct active *a);

#endif
