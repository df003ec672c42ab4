#ifndef MASTER_LOCAL_H
#define MASTER_LOCAL_H

#include <stdbool.h>

#include "netaddr.h"

struct master;

/* Opens the local socket, run/submit, or closes it; nothing if it is so already. A failure is logged: the other
 * listeners serve. */
void	local_switch(struct master *m, bool on);

/* The user at the other end, as it was when it connected. ERR_SYSTEM. */
int	local_get_peer(int fd, struct netaddr *peer);

#endif
