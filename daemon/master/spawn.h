#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

/* A sealed memory file with the text of a configuration. ERR_SYSTEM. The caller closes it. */
int	spawn_conf_fd(const char *text, size_t len, int *fd);

/*
 * Starts postern-NAME (from the folder of this program, else LIBEXECDIR) with the descriptors of ipc/service.h and nothing else
 * open but standard error. root "" is the system's places. ERR_SYSTEM.
 */
int	spawn_service(const char *name, const char *root, int control_fd, int conf_fd, pid_t *pid);

#endif
