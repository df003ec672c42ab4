/*
 * What the relay's resolver may ask of the kernel once it is sealed: a row a system call, with its reason. It has sockets of the
 * Internet, since it asks name servers; no files, nothing to start, and nobody's mail.
 */
#include "resolver_profile.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox.h"

#define WHOLE 0xffffffffULL

static const struct sandbox_call calls[] = {
	{ __NR_socket, "questions to name servers", 0, WHOLE, AF_INET },
	{ __NR_socket, "questions to name servers", 0, WHOLE, AF_INET6 },
	{ __NR_bind, "a port by chance for each question", 0, 0, 0 },
	{ __NR_connect, "a name server", 0, 0, 0 },
	{ __NR_setsockopt, "sockets for questions", 0, 0, 0 },
	{ __NR_getsockopt, "whether a TCP connection came about", 0, 0, 0 },
	{ __NR_getsockname, "the port", 0, 0, 0 },
	{ __NR_fcntl, "sockets that do not block", 0, 0, 0 },
	{ __NR_ioctl, "sockets that do not block", 1, WHOLE, FIONBIO },
	{ __NR_sendto, "a question", 0, 0, 0 },
	{ __NR_sendmsg, "a question; an answer to the relay", 0, 0, 0 },
	{ __NR_recvfrom, "an answer", 0, 0, 0 },
	{ __NR_recvmsg, "an answer; a question of the relay", 0, 0, 0 },
	{ __NR_read, "an answer by TCP; the pipe between the two threads", 0, 0, 0 },
	{ __NR_write, "a question by TCP; the pipe; the log", 0, 0, 0 },
	{ __NR_writev, "a question by TCP", 0, 0, 0 },
	{ __NR_close, "sockets", 0, 0, 0 },
	{ __NR_epoll_wait, "both loops", 0, 0, 0 },
	{ __NR_epoll_pwait, "both loops", 0, 0, 0 },
	{ __NR_epoll_ctl, "sockets come and go", 0, 0, 0 },
	{ __NR_poll, "the pipe between the two threads", 0, 0, 0 },
	{ __NR_select, "the pipe between the two threads", 0, 0, 0 },
	{ __NR_pselect6, "the same, as the C library does it", 0, 0, 0 },
	{ __NR_futex, "locks between the two threads", 0, 0, 0 },
	{ __NR_getrandom, "numbers and ports of questions", 0, 0, 0 },
	{ __NR_getpid, "OpenSSL looks whether it was forked before it uses its random generator", 0, 0, 0 },
	{ __NR_clock_gettime, "time, where the vDSO can't tell it", 0, 0, 0 },
	{ __NR_gettimeofday, "the same", 0, 0, 0 },
	{ __NR_time, "the same", 0, 0, 0 },
	{ __NR_brk, "memory", 0, 0, 0 },
	{ __NR_mmap, "memory, never executable", 2, PROT_EXEC, 0 },
	{ __NR_mprotect, "memory of the second thread, never executable", 2, PROT_EXEC, 0 },
	{ __NR_munmap, "memory", 0, 0, 0 },
	{ __NR_mremap, "memory", 0, 0, 0 },
	{ __NR_madvise, "memory", 0, 0, 0 },
	{ __NR_rt_sigprocmask, "the end of the second thread", 0, 0, 0 },
	{ __NR_rt_sigreturn, "signals", 0, 0, 0 },
	{ __NR_restart_syscall, "after a stop", 0, 0, 0 },
	{ __NR_exit, "the end of a thread", 0, 0, 0 },
	{ __NR_exit_group, "the end", 0, 0, 0 },
};

static const struct sandbox_limit limits[] = {
	{ RLIMIT_NOFILE, 8192 },	/* a socket a question under way */
	{ RLIMIT_FSIZE, 0 },
	{ RLIMIT_MEMLOCK, 0 },
	{ RLIMIT_MSGQUEUE, 0 },
	{ RLIMIT_DATA, 256 << 20 },
};

const struct sandbox_profile resolver_profile = {
	.name = "resolver",
	.calls = calls,
	.ncalls = sizeof(calls) / sizeof(calls[0]),
	.limits = limits,
	.nlimits = sizeof(limits) / sizeof(limits[0]),
};
