#ifndef SANDBOX_LANDLOCK_H
#define SANDBOX_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>

struct sandbox_tree;

/*
 * Landlock (landlock(7)): a ruleset that handles every right the kernel knows (files, TCP, signals and abstract
 * sockets) and permits the trees only, and TCP connections to elsewhere if `connects`. *fd is -1 when the kernel has none. ERR_SYSTEM.
 */
int	landlock_prepare(const struct sandbox_tree *trees, size_t n, bool connects, int *fd);

/* Closes it for this thread and those it starts (needs no_new_privs). ERR_SYSTEM. */
int	landlock_enter(int fd);

#endif
