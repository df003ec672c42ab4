#ifndef WORKER_LOCAL_H
#define WORKER_LOCAL_H

#include "reply.h"

struct session;

/* The login of a session on the local socket, before its greeting: the first reply. */
enum reply_id local_login(struct session *s);

/* What a command that needs a login is answered without one. */
enum reply_id local_auth_required(struct session *s);

#endif
