#ifndef MASTER_UNSHARED_H
#define MASTER_UNSHARED_H

#include <stddef.h>
#include <stdint.h>

#include "ipc.h"
#include "message_control.h"

#define UNSHARED_NAMES 20064	/* sessions whose account is known: the highest workers.max, and some that end */

/*
 * What the master knows of people. A worker is the master's memory, forked: these pages are zeros there (MADV_WIPEONFORK), so that
 * a session that was taken over does not learn who else is logged in.
 */
struct unshared {
	uint8_t				buffer[IPC_SMALL_MAX];	/* datagrams in which accounts are named */
	struct ipc_session_account	account;
	struct ipc_control_session	row;
	struct ipc_control_kill		kill;
	struct ipc_control_pause	pause;			/* why submission is paused */
	uint32_t			free[UNSHARED_NAMES];
	size_t				nfree, nused;
	char				names[UNSHARED_NAMES][IPC_TEXT_MAX];
};

/* ERR_SYSTEM. */
int	unshared_open(struct unshared **u);

/* A copy of a name, or NULL when there are too many. */
char	*unshared_put(struct unshared *u, const char *name);
/* Takes back a name; NULL is none. */
void	unshared_drop(struct unshared *u, char *name);

#endif
