#ifndef KEYS_SERVE_H
#define KEYS_SERVE_H

#include <stddef.h>

struct dkim_key;
struct key;

/*
 * Makes ready to serve sessions that the master announces on control_fd, with n keys, and the spool, whose socket comes there too, with
 * ndkim DKIM keys sorted by domain; before the sandbox closes. ERR_SYSTEM.
 */
int	serve_open(int control_fd, const struct key *keys, size_t n, const struct dkim_key *dkim, size_t ndkim);

/* Serves until control_fd ends and no session is left, or ten seconds later. ERR_OK then, ERR_SYSTEM when the loop fails. */
int	serve_run(void);

#endif
