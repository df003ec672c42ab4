/*
 * What postern-keys may ask of the kernel once it is sealed: a row a system call, with its reason.
 * No row of the service opens a file or a socket; none makes memory executable.
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

/* The process that an admin has make or list DKIM keys: files of one open folder. */
static const struct sandbox_call dkim_calls[] = {
	{ __NR_openat, "a key's file, through its open folder", 0, 0, 0 },
	{ __NR_getdents64, "the folder's list", 0, 0, 0 },
	{ __NR_lseek, "the folder's list from its start", 0, 0, 0 },
	{ __NR_fstat, "owner and mode of a file", 0, 0, 0 },
	{ __NR_newfstatat, "fstat as the C library does it", 0, 0, 0 },
	{ __NR_fcntl, "the C library looks at a folder's descriptor", 0, 0, 0 },
	{ __NR_read, "a key, to name its public part", 0, 0, 0 },
	{ __NR_write, "a new key; what is printed", 0, 0, 0 },
	{ __NR_fsync, "a new key is there to stay", 0, 0, 0 },
	{ __NR_renameat2, "a new key's name; another state", 0, 0, 0 },
	{ __NR_unlinkat, "a key that is removed", 0, 0, 0 },
	{ __NR_flock, "one change at a time", 0, 0, 0 },
	{ __NR_close, "files", 0, 0, 0 },
	{ __NR_getrandom, "keys", 0, 0, 0 },
	{ __NR_getpid, "OpenSSL looks whether it was forked before it uses its random generator", 0, 0, 0 },
	{ __NR_clock_gettime, "the day, where the vDSO can't tell it", 0, 0, 0 },
	{ __NR_brk, "heap", 0, 0, 0 },
	{ __NR_mmap, "heap; never executable", 2, PROT_EXEC, 0 },
	{ __NR_munmap, "heap", 0, 0, 0 },
	{ __NR_mremap, "heap", 0, 0, 0 },
	{ __NR_madvise, "heap", 0, 0, 0 },
	{ __NR_futex, "OpenSSL's locks", 0, 0, 0 },
	{ __NR_restart_syscall, "going on after SIGSTOP", 0, 0, 0 },
	{ __NR_rt_sigreturn, "return from a signal handler", 0, 0, 0 },
	{ __NR_exit_group, "the end", 0, 0, 0 },
};

static const struct sandbox_limit dkim_limits[] = {
	{ RLIMIT_NPROC, 0 },
};

const struct sandbox_profile keys_dkim_profile = {
	.name = "keys-dkim",
	.calls = dkim_calls,
	.ncalls = sizeof(dkim_calls) / sizeof(dkim_calls[0]),
	.limits = dkim_limits,
	.nlimits = sizeof(dkim_limits) / sizeof(dkim_limits[0]),
};
