#ifndef SPOOL_SAVE_H
#define SPOOL_SAVE_H

#include <stdbool.h>

#include "schedule.h"

struct active;

/* All is done, or the state is to be written: begins that. False: neither. */
bool	save_begin(struct active *a);

/* The results of parts at this step are on the disk, or there was nothing to write. */
void	save_end(struct active *a, enum part_step step);

/* Something could not be stored; it is tried again. */
void	save_log_refused(const struct active *a, const char *event, int err, int error);

#endif
