#ifndef ADMIN_SPOOL_CONTROL_H
#define ADMIN_SPOOL_CONTROL_H

#include <stddef.h>

#include "admin.h"
#include "message_queue.h"

/* postern-spool's control socket. *fd is -1 on an error: ERR_NOTFOUND when it does not run, ERR_DENIED, ERR_SYSTEM. */
int	spool_control_open(const struct admin *a, int *fd);

/*
 * Asks for one change of up to IPC_QUEUE_MANY files and waits for the answers. ERR_CLOSED, ERR_TIMEOUT, ...: *answered of them
 * were answered before.
 */
int	spool_control_change(int fd, enum queue_change change, const char *text, const char *const *files, size_t n,
	    enum queue_verdict *verdicts, size_t *answered);

/* Pauses or resumes all deliveries, or only asks how they are. ERR_CLOSED, ERR_TIMEOUT, ... */
int	spool_control_order(int fd, const struct ipc_delivery_order *o, struct ipc_delivery_state *state);

#endif
