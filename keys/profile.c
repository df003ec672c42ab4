/*
 * What postern-keys may ask of the kernel once it is sealed: a row a system call, with its reason.
 * No row opens a file or a socket, or makes memory executable.
 */
#include "profile.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "sandbox.h"

static const struct sandbox_call calls[] = {
	{ __NR_epoll_wait, "the loop", 0, 0, 0 },
	{ __NR_epoll_pwait, "the loop, as another libc would wait", 0, 0, 0 },
	{ __NR_epoll_ctl, "a session comes or goes", 0, 0, 0 },
	{ __NR_recvmsg, "sessions from the master, texts from workers", 0, 0, 0 },
	{ __NR_sendmsg, "READY and signatures", 0, 0, 0 },
	{ __NR_close, "a session has ended", 0, 0, 0 },
	{ __NR_write, "the log", 0, 0, 0 },
	{ __NR_getrandom, "nonces of ECDSA, salts of PSS, RSA's blinding", 0, 0, 0 },
	{ __NR_getpid, "OpenSSL looks whether it was forked before it uses its random generator", 0, 0, 0 },
	{ __NR_clock_gettime, "the log's time, where the vDSO can't tell it", 0, 0, 0 },
	{ __NR_brk, "heap", 0, 0, 0 },
	{ __NR_mmap, "heap; never executable", 2, PROT_EXEC, 0 },
	{ __NR_munmap, "heap", 0, 0, 0 },
	{ __NR_mremap, "heap", 0, 0, 0 },
	{ __NR_madvise, "heap", 0, 0, 0 },
	{ __NR_futex, "OpenSSL's locks", 0, 0, 0 },
	{ __NR_restart_syscall, "going on after SIGSTOP", 0, 0, 0 },
	{ __NR_rt_sigreturn, "return from a signal handler", 0, 0, 0 },
	{ __NR_exit, "the end", 0, 0, 0 },
	{ __NR_exit_group, "the end", 0, 0, 0 },
};

static const struct sandbox_limit limits[] = {
	{ RLIMIT_NOFILE, 65536 },	/* a socket a session that has not shaken hands yet */
	{ RLIMIT_NPROC, 0 },		/* no children, no threads */
};

const struct sandbox_profile keys_profile = {
	.name = "keys",
	.calls = calls,
	.ncalls = sizeof(calls) / sizeof(calls[0]),
	.limits = limits,
	.nlimits = sizeof(limits) / sizeof(limits[0]),
};
