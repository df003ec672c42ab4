/*
 * The sandboxes of postern-relay and of its session processes. relay connects, forks, and hands descriptors over; it opens nothing.
 * A session process has a connection, a message to read and two sockets. What it inherits is narrowed further when it starts: for that
 * the last rows of relay's own table are there, none of which can give a right back.
 */
#include "profile.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define WHOLE 0xffffffffULL

static const struct sandbox_call relay_calls[] = {
	{ __NR_epoll_wait, "the loop", 0, 0, 0 },
	{ __NR_epoll_pwait, "the loop", 0, 0, 0 },
	{ __NR_epoll_ctl, "connections and processes come and go", 0, 0, 0 },
	{ __NR_recvmsg, "deliveries, answers", 0, 0, 0 },
	{ __NR_sendmsg, "deliveries to session processes", 0, 0, 0 },
	{ __NR_socket, "a connection over IPv4", 0, WHOLE, AF_INET },
	{ __NR_socket, "over IPv6", 0, WHOLE, AF_INET6 },
	{ __NR_socket, "to a local socket", 0, WHOLE, AF_UNIX },
	{ __NR_connect, "to the next hop", 0, 0, 0 },
	{ __NR_fchdir, "a local socket's name is looked up from the system's root", 0, 0, 0 },
	{ __NR_chdir, "and back", 0, 0, 0 },
	{ __NR_getsockopt, "how a connection came out", 1, WHOLE, SOL_SOCKET },
	{ __NR_setsockopt, "no waiting for small packets; buffers of socket pairs", 0, 0, 0 },
	{ __NR_socketpair, "the control socket of a session process; a socket for a new spool", 0, WHOLE, AF_UNIX },
	{ __NR_shutdown, "session processes are told to end", 0, 0, 0 },
	{ __NR_close, "what is handed over or done", 0, 0, 0 },
	{ __NR_clone, "a session process: fork() and no thread", 0, WHOLE, CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD },
	{ __NR_wait4, "session processes that have ended", 0, 0, 0 },
	{ __NR_kill, "those that do not", 1, WHOLE, SIGKILL },
	{ __NR_write, "log lines", 0, 0, 0 },
	{ __NR_mmap, "memory; never executable", 2, PROT_EXEC, 0 },
	{ __NR_munmap, "memory", 0, 0, 0 },
	{ __NR_mremap, "memory", 0, 0, 0 },
	{ __NR_madvise, "memory", 0, 0, 0 },
	{ __NR_brk, "memory", 0, 0, 0 },
	{ __NR_futex, "OpenSSL's locks", 0, 0, 0 },
	{ __NR_getrandom, "the order of equal mail exchangers; TLS", 0, 0, 0 },
	{ __NR_getpid, "OpenSSL looks whether it was forked", 0, 0, 0 },
	{ __NR_clock_gettime, "time, where the vDSO can't tell it", 0, 0, 0 },
	{ __NR_rt_sigreturn, "return from a signal", 0, 0, 0 },
	{ __NR_restart_syscall, "a call goes on after a stop", 0, 0, 0 },
	{ __NR_exit_group, "end", 0, 0, 0 },
	{ __NR_exit, "end", 0, 0, 0 },
	/* What a session process needs: its own filter has these and no others. */
	{ __NR_read, "a session process: what the server says", 0, 0, 0 },
	{ __NR_pread64, "a session process: the message", 0, 0, 0 },
	{ __NR_poll, "a session process: waiting with a deadline", 0, 0, 0 },
	{ __NR_ppoll, "the same, in newer libcs", 0, 0, 0 },
	{ __NR_gettimeofday, "a session process: the time for certificates", 0, 0, 0 },
	{ __NR_set_robust_list, "a forked process starts", 0, 0, 0 },
	{ __NR_rseq, "the same", 0, 0, 0 },
	{ __NR_rt_sigprocmask, "the same", 0, 0, 0 },
	{ __NR_alarm, "a session process: its end, when relay is no more", 0, 0, 0 },
	{ __NR_dup2, "a session process: no standard descriptors", 0, 0, 0 },
	{ __NR_close_range, "a session process keeps what is its own", 0, 0, 0 },
	{ __NR_prctl, "a session process gives up the rest: no new rights", 0, WHOLE, PR_SET_NO_NEW_PRIVS },
	{ __NR_prctl, "no traces", 0, WHOLE, PR_SET_DUMPABLE },
	{ __NR_prlimit64, "limits, of itself", 0, WHOLE, 0 },
	{ __NR_setrlimit, "the same", 0, 0, 0 },
	{ __NR_getrlimit, "the same", 0, 0, 0 },
	{ __NR_landlock_restrict_self, "no connections", 0, 0, 0 },
	{ __NR_seccomp, "its own table", 0, 0, 0 },
};

static const struct sandbox_limit relay_limits[] = {
	{ RLIMIT_NOFILE, 65536 },	/* two sockets a session, two descriptors a delivery that waits */
	{ RLIMIT_NPROC, 8192 },		/* a process a session */
};

const struct sandbox_profile profile_relay = {
	.name = "relay",
	.calls = relay_calls, .ncalls = COUNT(relay_calls),
	.limits = relay_limits, .nlimits = COUNT(relay_limits),
};

static const struct sandbox_call outbound_calls[] = {
	{ __NR_read, "what the server says", 0, 0, 0 },
	{ __NR_write, "what is said to it", 0, 0, 0 },
	{ __NR_pread64, "the message", 0, 0, 0 },
	{ __NR_poll, "waiting with a deadline", 0, 0, 0 },
	{ __NR_ppoll, "the same, in newer libcs", 0, 0, 0 },
	{ __NR_recvmsg, "deliveries, and the spool's answers", 0, 0, 0 },
	{ __NR_sendmsg, "results", 0, 0, 0 },
	{ __NR_close, "a delivery is done", 0, 0, 0 },
	{ __NR_clock_gettime, "deadlines, where the vDSO has no clock", 0, 0, 0 },
	{ __NR_gettimeofday, "the time for certificates", 0, 0, 0 },
	{ __NR_getrandom, "TLS, nonces", 0, 0, 0 },
	{ __NR_getpid, "OpenSSL looks whether it was forked", 0, 0, 0 },
	{ __NR_mmap, "memory; never executable", 2, PROT_EXEC, 0 },
	{ __NR_munmap, "memory", 0, 0, 0 },
	{ __NR_mremap, "memory", 0, 0, 0 },
	{ __NR_madvise, "memory", 0, 0, 0 },
	{ __NR_brk, "memory", 0, 0, 0 },
	{ __NR_futex, "OpenSSL's locks", 0, 0, 0 },
	{ __NR_rt_sigreturn, "return from a signal", 0, 0, 0 },
	{ __NR_restart_syscall, "a poll that was stopped and continued", 0, 0, 0 },
	{ __NR_exit_group, "end", 0, 0, 0 },
	{ __NR_exit, "end", 0, 0, 0 },
};

static const struct sandbox_limit outbound_limits[] = {
	{ RLIMIT_NPROC, 0 },
	{ RLIMIT_FSIZE, 0 },
	{ RLIMIT_NOFILE, 32 },	/* the connection, three sockets, the message, some being handed over */
	{ RLIMIT_MEMLOCK, 0 },
	{ RLIMIT_DATA, 128 << 20 },	/* many times what a session needs */
};

const struct sandbox_profile profile_outbound = {
	.name = "outbound",
	.calls = outbound_calls, .ncalls = COUNT(outbound_calls),
	.limits = outbound_limits, .nlimits = COUNT(outbound_limits),
};
