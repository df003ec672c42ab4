#ifndef ADMIN_PROCESS_H
#define ADMIN_PROCESS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "admin.h"

/* Whether this instance's posternd runs, by run/posternd.pid. */
bool	process_find_master(const struct admin *a, pid_t *pid);

/* What /proc says of one process. */
struct process {
	pid_t	pid, parent;
	char	program[32];	/* "posternd", "postern-auth"; a worker is posternd's child of the same program */
	bool	is_worker;
	uid_t	uid;
	int	seccomp, no_new_privs;	/* -1: not told */
};

/* The processes below this one, itself first; the caller frees *list. ERR_SYSTEM, ERR_NOMEM. */
int	process_tree(pid_t master, struct process **list, size_t *n);

/* Where a program of this installation is: beside this one, or where programs are installed. ERR_NOTFOUND. */
int	process_find_program(const char *name, char path[PATH_MAX]);

/* Reads one again. ERR_NOTFOUND when it has ended. */
int	process_read(pid_t pid, struct process *p);

#endif
