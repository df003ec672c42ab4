#ifndef SPOOL_SERVE_H
#define SPOOL_SERVE_H

#include <stdbool.h>

struct spooler;

/* Adds what the loop watches from the start: the master's socket and the commit threads. ERR_SYSTEM. */
int	serve_prepare(struct spooler *sp);

/* Looks at the free space; tells auth and the log of a change. */
void	serve_check_room(struct spooler *sp);

/* The loop, until the master has gone and what was under way is finished. */
void	serve_run(struct spooler *sp);

#endif
