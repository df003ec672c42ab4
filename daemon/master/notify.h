#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

#include <stdint.h>

/*
 * sd_notify(3)'s protocol without its library. Without NOTIFY_SOCKET every call does nothing; none ever waits. open
 * takes the variables out of the environment.
 */
void	notify_open(void);
void	notify_ready(const char *status);
void	notify_reloading(void);
void	notify_stopping(void);

/* The sign of life that WATCHDOG_USEC asks for. Milliseconds until it wants to be called again, -1 for never. */
int	notify_tick(uint64_t now_ms);

#endif
