#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc.h"
#include "loop.h"

struct master;
struct pool_place;

#define CONTROL_CLIENTS 16

/* A connection to the control socket. */
struct control_client {
	struct master		*master;
	struct loop_watch	 watch;
	bool			 used;
	uint64_t		 active_ms;	/* when something was heard or sent last */
	enum ipc_kind		 asked;		/* what is being answered; 0: nothing */
	unsigned		 requests;
	bool			 waits;		/* for the reload behind the one that is under way */
	struct pool_place	*list;		/* sessions still to be told */
	size_t			 nlist, next;
};

struct control {
	struct loop_watch	 watch;
	bool			 open;
	char			 path[PATH_MAX];
	struct control_client	 clients[CONTROL_CLIENTS];
};

/* Opens run/control. Failing is logged: the service serves without it. */
void	control_open(struct master *m);
/* Closes and removes it. */
void	control_close(struct master *m);

/* A reload has ended: code 0, or a sysexits(3) code and why. Answers who asked for it. */
void	control_tell_reload(struct master *m, int code, const char *why);


#endif
