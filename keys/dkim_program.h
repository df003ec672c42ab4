#ifndef KEYS_DKIM_PROGRAM_H
#define KEYS_DKIM_PROGRAM_H

#include <stdbool.h>

/* Whether the program was started to manage DKIM keys and not to serve: argv holds --dkim. */
bool	dkim_is_asked(int argc, char **argv);

/*
 * postern-keys [--root DIR] --dkim list
 *                           --dkim add DOMAIN rsa|ed25519 auto|active|waiting [SELECTOR]
 *                           --dkim activate|retire|remove DOMAIN SELECTOR
 * started by smtpadm. Prints a line for each key, or for the one that was made, changed or removed:
 *   DOMAIN SELECTOR ALGORITHM STATE DAY-OF-RETIREMENT|- SECONDS-SINCE-1970 PUBLIC-KEY
 * Returns an exit code of sysexits(3), after a sentence on standard error.
 */
int	dkim_program(int argc, char **argv);

#endif
