/*
 * Words for what a system call lacks: the limit that was met and how to raise it. Pure but for asking for the limits; part of
 * every program.
 */
#include "exhausted.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *
put_limit(char to[32], __rlimit_resource_t resource)
{
	struct rlimit r;

	if (getrlimit(resource, &r) != 0)
		snprintf(to, 32, "unknown");
	else if (r.rlim_cur == RLIM_INFINITY)
		snprintf(to, 32, "unlimited");
	else
		snprintf(to, 32, "%llu", (unsigned long long)r.rlim_cur);
	return to;
}

char *
exhausted_explain(char *to, size_t size, int error)
{
	char limit[32];

	switch (error) {
	case EAGAIN:
		snprintf(to, size, "the limit of processes and threads is reached (RLIMIT_NPROC is %s for user %u; a group of processes "
		    "may have less): raise it with ulimit -u, or in the unit with LimitNPROC= and TasksMax=",
		    put_limit(limit, RLIMIT_NPROC), (unsigned)getuid());
		break;
	case EMFILE:
		snprintf(to, size, "the limit of descriptors is reached (RLIMIT_NOFILE is %s): raise it with ulimit -n, or in the unit "
		    "with LimitNOFILE=", put_limit(limit, RLIMIT_NOFILE));
		break;
	case ENFILE:
		snprintf(to, size, "the system's limit of open files is reached: raise it with sysctl fs.file-max");
		break;
	default:
		snprintf(to, size, "%s", strerror(error));
	}
	return to;
}
