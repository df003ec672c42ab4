/*
 * The sandboxes of postern-auth and of its hashing children. auth reads a database through descriptors
 * that it holds, talks over sockets that it is given, and makes the pairs that join worker and spool.
 * A child reads a question, computes, answers.
 */
#include "profile.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <fcntl.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define WHOLE 0xffffffffULL

static const struct sandbox_call auth_calls[] = {
	{ __NR_epoll_wait, "the loop", 0, 0, 0 },
	{ __NR_epoll_pwait, "the loop", 0, 0, 0 },
	{ __NR_epoll_ctl, "sessions come and go", 0, 0, 0 },
	{ __NR_recvmsg, "questions", 0, 0, 0 },
	{ __NR_sendmsg, "answers", 0, 0, 0 },
	{ __NR_socketpair, "worker and spool are joined at login", 0, WHOLE, AF_UNIX },
	{ __NR_setsockopt, "the buffer of such a pair", 1, WHOLE, SOL_SOCKET },
	{ __NR_close, "sessions end", 0, 0, 0 },
	{ __NR_read, "a new configuration, from a memory file", 0, 0, 0 },
	{ __NR_lseek, "the same", 0, 0, 0 },
	{ __NR_write, "log lines", 0, 0, 0 },
	{ __NR_pread64, "SQLite reads its file and its log", 0, 0, 0 },
	{ __NR_pwrite64, "SQLite grows its shared index; the writer", 0, 0, 0 },
	{ __NR_fsync, "the writer", 0, 0, 0 },
	/* SQLite's one try to open the folder, to sync it with the log, is answered ENOSYS: registry_open() has done that. */
	{ __NR_fdatasync, "the writer", 0, 0, 0 },
	{ __NR_fstat, "SQLite asks for sizes", 0, 0, 0 },
	{ __NR_newfstatat, "the same, of a descriptor", 3, WHOLE, AT_EMPTY_PATH },
	{ __NR_ftruncate, "SQLite grows its shared index", 0, 0, 0 },
	{ __NR_fcntl, "SQLite locks", 0, 0, 0 },
	{ __NR_mmap, "memory, and SQLite's shared index; never to execute", 2, PROT_EXEC, 0 },
	{ __NR_munmap, "memory", 0, 0, 0 },
	{ __NR_mremap, "memory", 0, 0, 0 },
	{ __NR_madvise, "memory", 0, 0, 0 },
	{ __NR_brk, "memory", 0, 0, 0 },
	{ __NR_futex, "OpenSSL's locks, the writer's queue", 0, 0, 0 },
	{ __NR_getrandom, "malloc's and SQLite's seeds", 0, 0, 0 },
	{ __NR_getpid, "SQLite and OpenSSL look for a fork", 0, 0, 0 },
	{ __NR_clock_gettime, "time, where the vdso can't tell it", 0, 0, 0 },
	{ __NR_gettimeofday, "the same", 0, 0, 0 },
	{ __NR_clock_nanosleep, "SQLite waits for a lock", 0, 0, 0 },
	{ __NR_nanosleep, "the same", 0, 0, 0 },
	{ __NR_wait4, "a hashing child has died", 0, 0, 0 },
	{ __NR_rt_sigreturn, "return from a signal", 0, 0, 0 },
	{ __NR_restart_syscall, "a call goes on after a stop", 0, 0, 0 },
	{ __NR_exit_group, "end", 0, 0, 0 },
	{ __NR_exit, "end", 0, 0, 0 },
};

static const struct sandbox_limit auth_limits[] = {
	{ RLIMIT_NOFILE, 65536 },	/* a socket a session */
	/* No RLIMIT_NPROC yet: the writer's thread is made between demote and seal, and set to 0 behind it. */
};

const struct sandbox_profile profile_auth = {
	.name = "auth",
	.calls = auth_calls, .ncalls = COUNT(auth_calls),
	.limits = auth_limits, .nlimits = COUNT(auth_limits),
};

static const struct sandbox_call hasher_calls[] = {
	{ __NR_recvmsg, "a password and a hash", 0, 0, 0 },
	{ __NR_sendmsg, "whether they match", 0, 0, 0 },
	{ __NR_mmap, "yescrypt's memory; never to execute", 2, PROT_EXEC, 0 },
	{ __NR_munmap, "the same", 0, 0, 0 },
	{ __NR_mremap, "memory", 0, 0, 0 },
	{ __NR_madvise, "memory", 0, 0, 0 },
	{ __NR_brk, "memory", 0, 0, 0 },
	{ __NR_futex, "libc's locks", 0, 0, 0 },
	{ __NR_getrandom, "malloc's seed", 0, 0, 0 },
	{ __NR_rt_sigreturn, "return from a signal", 0, 0, 0 },
	{ __NR_restart_syscall, "a call goes on after a stop", 0, 0, 0 },
	{ __NR_close, "descriptors that nobody should have sent", 0, 0, 0 },
	{ __NR_exit_group, "end", 0, 0, 0 },
	{ __NR_exit, "end", 0, 0, 0 },
};

static const struct sandbox_limit hasher_limits[] = {
	{ RLIMIT_NOFILE, 16 },
	{ RLIMIT_NPROC, 0 },
};

const struct sandbox_profile profile_hasher = {
	.name = "hasher",
	.calls = hasher_calls, .ncalls = COUNT(hasher_calls),
	.limits = hasher_limits, .nlimits = COUNT(hasher_limits),
};
