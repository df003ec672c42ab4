#ifndef ADMIN_LIMIT_H
#define ADMIN_LIMIT_H

#include "admin.h"
#include "registry.h"

/* Reads one "name=value" or "name=default" into l. A credential has no sessions of its own. Exit code, having said why. */
int	limit_read(const struct admin *a, struct registry_limits *l, const char *word, bool of_credential);
/* A line for each, one that is not set as `unset` says; with NULL only those that are set, among other lines. */
void	limit_print(const struct registry_limits *l, const char *unset);

#endif
