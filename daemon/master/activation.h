#ifndef MASTER_ACTIVATION_H
#define MASTER_ACTIVATION_H

#include "netaddr.h"

/*
 * Socket activation, sd_listen_fds(3)'s protocol: listening sockets that the service manager has opened. They stay open
 * as long as the master lives, whatever a reload does with the listeners.
 */

/* Takes note of the sockets and takes the variables out of the environment. Before any descriptor is opened. */
void	activation_take(void);

/* A descriptor of its own for the socket that listens on the address, non-blocking. ERR_NOTFOUND, ERR_SYSTEM. */
int	activation_open(const struct netaddr *address, int *fd);

/* Says which sockets no listener has asked for so far. */
void	activation_log_unused(void);

#endif
