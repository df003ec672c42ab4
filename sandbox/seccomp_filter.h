#ifndef SANDBOX_SECCOMP_FILTER_H
#define SANDBOX_SECCOMP_FILTER_H

struct sandbox_profile;
struct sock_fprog;

/* Compiles a profile; *filter is malloc'd and kept for the life of the process. ERR_SYSTEM, ERR_NOMEM. */
int	seccomp_filter_compile(const struct sandbox_profile *p, struct sock_fprog **filter);

/* Installs it for every thread of the process (needs no_new_privs). ERR_SYSTEM. */
int	seccomp_filter_install(const struct sock_fprog *filter);

#endif
