#ifndef WORKER_CMD_PATH_H
#define WORKER_CMD_PATH_H

#include "path.h"
#include "reply.h"

struct session;

/* What MAIL and RCPT share: the reply for an argument's fault, and the end of a session whose auth has gone. */
enum reply_id cmd_path_reply(enum path_error error);
enum reply_id cmd_auth_lost(struct session *s);

#endif
