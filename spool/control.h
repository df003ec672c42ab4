#ifndef SPOOL_CONTROL_H
#define SPOOL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc.h"
#include "loop.h"

struct control_client;
struct spooler;

/* The socket by which an admin changes the queue while the daemon runs. */
struct control {
	struct loop_watch	 watch;		/* the listening one; fd -1: there is none */
	bool			 is_resting;	/* descriptors have run out: not watched until the next tick */
	struct control_client	*clients;	/* also those that have gone, while their change is under way */
	size_t			 nclients;
	bool			 is_paused;	/* smtpadm pause delivery */
	char			 pause_reason[IPC_TEXT_MAX];
	uint64_t		 paused_since_ms;
};

/*
 * Makes the socket, with the rights that the program was started with, for the spool's owner and root only. ERR_SYSTEM,
 * ERR_TOOBIG.
 */
int	control_open(struct spooler *sp);

/* Adds it to the loop. ERR_SYSTEM. */
int	control_start(struct spooler *sp);

/* Every second. */
void	control_tick(struct spooler *sp);

/* No more questions; whether no change is under way. */
bool	control_stop(struct spooler *sp);

/* Whether a client's change of a message is under way: another's would meet it half done. */
bool	control_is_changing(const struct control *c, const char *id);

/* In a commit thread: does what a client's job is. Then, in the loop: the answers. */
void	control_perform(struct control_client *c);
void	control_finish(struct control_client *c);

#endif
