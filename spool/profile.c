/*
 * The sandbox of postern-spool: one row a system call, with its reason. It works on the spool through open folders, on
 * sockets that it is given, and starts nothing.
 */
#include "profile.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox.h"

static const struct sandbox_call calls[] = {
	{ __NR_epoll_wait, "the loop", 0, 0, 0 },
	{ __NR_epoll_pwait, "the loop", 0, 0, 0 },
	{ __NR_epoll_ctl, "sessions come and go", 0, 0, 0 },
	{ __NR_recvmsg, "messages of auth, the workers and the master", 0, 0, 0 },
	{ __NR_sendmsg, "answers", 0, 0, 0 },
	{ __NR_accept4, "an admin who changes the queue", 0, 0, 0 },
	{ __NR_getsockopt, "who that is", 0, 0, 0 },
	{ __NR_socketpair, "the socket for the results of a delivery", 0, 0xffffffff, AF_UNIX },
	{ __NR_setsockopt, "its buffer", 0, 0, 0 },
	{ __NR_read, "the commit threads' eventfd; a new configuration", 0, 0, 0 },
	{ __NR_lseek, "a new configuration from its start", 0, 0, 0 },
	{ __NR_write, "message files, the eventfd, the log", 0, 0, 0 },
	{ __NR_pwrite64, "the first line of a message file; the journal", 0, 0, 0 },
	{ __NR_pread64, "envelopes, and messages to be signed or reported on", 0, 0, 0 },
	{ __NR_openat, "create in tmp/, through its open folder", 0, 0, 0 },
	{ __NR_close, "files and sockets", 0, 0, 0 },
	{ __NR_fsync, "the promise", 0, 0, 0 },
	{ __NR_fdatasync, "the promise, by the journal", 0, 0, 0 },
	{ __NR_syncfs, "a checkpoint of the journal; an admin's changes of many messages at once", 0, 0, 0 },
	{ __NR_renameat2, "tmp/ to new/", 0, 0, 0 },
	{ __NR_renameat, "tmp/ to state/", 0, 0, 0 },
	{ __NR_linkat, "tmp/ to new/ where renameat2 can't", 0, 0, 0 },
	{ __NR_unlinkat, "refused and dropped messages", 0, 0, 0 },
	{ __NR_ftruncate, "a message that could not be made durable; a journal that could not grow", 0, 0, 0 },
	{ __NR_fstatfs, "free space", 0, 0, 0 },
	{ __NR_fstat, "files", 0, 0, 0 },
	{ __NR_newfstatat, "fstat as the C library does it", 0, 0, 0 },
	{ __NR_futex, "mutexes of the commit threads", 0, 0, 0 },
	{ __NR_clock_gettime, "time, where the vDSO can't tell it", 0, 0, 0 },
	{ __NR_getrandom, "queue ids", 0, 0, 0 },
	{ __NR_brk, "memory", 0, 0, 0 },
	{ __NR_mmap, "memory, never executable", 2, PROT_EXEC, 0 },
	{ __NR_munmap, "memory", 0, 0, 0 },
	{ __NR_mremap, "memory", 0, 0, 0 },
	{ __NR_madvise, "memory", 0, 0, 0 },
	{ __NR_rt_sigreturn, "signals", 0, 0, 0 },
	{ __NR_restart_syscall, "after a stop", 0, 0, 0 },
	{ __NR_exit, "end of a thread", 0, 0, 0 },
	{ __NR_exit_group, "end", 0, 0, 0 },
};

static const struct sandbox_limit limits[] = {
	/* Two descriptors a session; what the master was started with may be less. */
	{ RLIMIT_NOFILE, 65536 },
	{ RLIMIT_MEMLOCK, 0 },
	{ RLIMIT_MSGQUEUE, 0 },
};

const struct sandbox_profile profile_spool = {
	.name = "spool",
	.calls = calls,
	.ncalls = sizeof(calls) / sizeof(calls[0]),
	.limits = limits,
	.nlimits = sizeof(limits) / sizeof(limits[0]),
};
