#ifndef RELAY_ORIGINAL_H
#define RELAY_ORIGINAL_H

#include <stdbool.h>

#include "ipc.h"

/*
 * ORCPT's value (RFC 3461, 4.2) for the next server: in ASCII as it is. An address of the type utf-8 (RFC 6533, 3) as it is too where
 * that may stand, else with each character beyond ASCII as \x{HEX}. ERR_SYNTAX: it is neither, and must not be passed on; ERR_TOOBIG: it
 * is over 500 octets so. Pure.
 */
int	original_put(char to[IPC_ORCPT_MAX], const char *orcpt, bool utf8);

#endif
