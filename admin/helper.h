#ifndef ADMIN_HELPER_H
#define ADMIN_HELPER_H

#include "buf.h"

#define HELPER_OUTPUT_MAX (256 * 1024)

/*
 * Runs a program, its standard input empty, and waits for its end for so many seconds at most; then it is ended. What it said, both
 * initialised by the caller, ends with NUL. *status is its exit status, 128 and more when a signal ended it. ERR_NOTFOUND: it can't be
 * started; ERR_TIMEOUT: it was ended; ERR_SYSTEM, ERR_NOMEM, ERR_TOOBIG.
 */
int	helper_run(const char *path, const char *const *argv, unsigned seconds, struct buf *out, struct buf *err, int *status);

#endif
