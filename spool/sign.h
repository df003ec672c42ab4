#ifndef SPOOL_SIGN_H
#define SPOOL_SIGN_H

#include <stdbool.h>

struct active;

/* Whether a message may be given out: its signatures are there, or there will be none. False: active_step() follows when it is so. */
bool	sign_begin(struct active *a);

/* It goes: what was asked for is of no use. */
void	sign_forget(struct active *a);

#endif
