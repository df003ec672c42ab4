#ifndef IPC_TALLY_H
#define IPC_TALLY_H

#include <stdint.h>

#include "metric.h"

/* A service's counters, told to the master once a second where they changed. Only the service's loop calls these. */
void	tally_add(enum metric what, uint64_t n);

/* A stored message: its octets, and how long its commit took. */
void	tally_add_commit(uint64_t octets, uint64_t ms);

/*
 * Tells the master over its socket (-1: it has ended) when it is time, never waiting. Called every round; returns the milliseconds
 * until it wants to be called again, at most wait_ms.
 */
int	tally_tell(int control_fd, uint64_t now_ms, int wait_ms);

#endif
