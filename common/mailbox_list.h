#ifndef COMMON_MAILBOX_LIST_H
#define COMMON_MAILBOX_LIST_H

#include <stddef.h>
#include <stdint.h>

struct addr;

/*
 * The addresses of a From field's value, still folded (RFC 5322, 3.4 with 4.4: display names, quoted strings, comments,
 * groups, obsolete routes and blanks). Every address that some mail program may take for the sender is among them: also one
 * that stands bare before "<...>". ERR_SYNTAX, also when there is none; ERR_TOOBIG: more than max.
 */
int	mailbox_list_get(const uint8_t *p, size_t n, struct addr *addresses, size_t max, size_t *count);

#endif
