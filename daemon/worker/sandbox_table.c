/*
 * What a worker may ask of the kernel once it is sealed: the connection, its sockets to the services, memory, time.
 * Nothing opens, connects or starts anything.
 */
#include "sandbox_table.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static const struct sandbox_call calls[] = {
	{ __NR_read, "the client's octets", 0, 0, 0 },
	{ __NR_write, "replies", 0, 0, 0 },
	{ __NR_sendmsg, "questions to services", 0, 0, 0 },
	{ __NR_recvmsg, "their answers", 0, 0, 0 },
	{ __NR_poll, "waiting with a deadline", 0, 0, 0 },
	{ __NR_ppoll, "the same, in newer libcs", 0, 0, 0 },
	{ __NR_clock_gettime, "deadlines, where the vDSO has no clock", 0, 0, 0 },
	{ __NR_gettimeofday, "the same", 0, 0, 0 },
	{ __NR_getrandom, "TLS", 0, 0, 0 },
	{ __NR_getpid, "OpenSSL's check for a fork", 0, 0, 0 },
	{ __NR_brk, "heap", 0, 0, 0 },
	{ __NR_mmap, "heap, never executable", 2, PROT_EXEC, 0 },
	{ __NR_mremap, "heap", 0, 0, 0 },
	{ __NR_munmap, "heap", 0, 0, 0 },
	{ __NR_madvise, "heap given back", 0, 0, 0 },
	{ __NR_futex, "locks inside OpenSSL", 0, 0, 0 },
	{ __NR_close, "sockets that are no longer needed", 0, 0, 0 },
	{ __NR_shutdown, "the end of the connection", 0, 0, 0 },
	{ __NR_rt_sigreturn, "a signal's return", 0, 0, 0 },
	{ __NR_restart_syscall, "a poll that was stopped and continued", 0, 0, 0 },
	{ __NR_exit, "the end", 0, 0, 0 },
	{ __NR_exit_group, "the end", 0, 0, 0 },
};

static const struct sandbox_limit limits[] = {
	{ RLIMIT_NPROC, 0 },	/* no processes */
	{ RLIMIT_FSIZE, 0 },	/* no files */
	{ RLIMIT_NOFILE, 32 },	/* three standard ones, five sockets, one being handed over */
	{ RLIMIT_MEMLOCK, 0 },
	{ RLIMIT_DATA, 128 << 20 },	/* many times what a session needs */
};

const struct sandbox_profile worker_profile = {
	.name = "worker",
	.calls = calls, .ncalls = sizeof(calls) / sizeof(calls[0]),
	.limits = limits, .nlimits = sizeof(limits) / sizeof(limits[0]),
};
