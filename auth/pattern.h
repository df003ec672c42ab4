#ifndef AUTH_PATTERN_H
#define AUTH_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "addr.h"

/* A sender pattern in its one written form; to holds REGISTRY_PATTERN_MAX. ERR_SYNTAX. */
int	pattern_parse(char *to, const char *text);

/*
 * The i-th pattern (from 0) that would permit this address; to holds REGISTRY_PATTERN_MAX. ERR_NOTFOUND behind the last. They are
 * compared without ASCII case.
 */
int	pattern_candidate(char *to, const struct addr *a, size_t i);

/* Names of accounts: a word; a mailbox that is also fit for a login name and an own sender (no quotes, no '*'). */
bool	pattern_is_word(const char *name);
bool	pattern_is_mailbox(const char *name);

#endif
