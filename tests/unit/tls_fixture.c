/*
 * A worker's half of TLS in a child, under a system call filter as tight as the worker's. Part of unit tests only.
 */
#include "tls_fixture.h"

#include <poll.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/ssl.h>

#include "err.h"
#include "io.h"
#include "tls.h"
#include "unit.h"

#define BULK (1024 * 1024)
#define DEADLINE 5000

/* What the worker may call, and nothing else: here an unexpected call kills. */
static void
seal(void)
{
	static const int calls[] = {
		__NR_read, __NR_write, __NR_sendmsg, __NR_recvmsg, __NR_poll, __NR_clock_gettime, __NR_getrandom, __NR_brk,
		__NR_munmap, __NR_mremap, __NR_madvise, __NR_futex, __NR_close, __NR_getpid, __NR_exit, __NR_exit_group,
#ifdef __SANITIZE_ADDRESS__
		__NR_mprotect, __NR_sigaltstack, __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_gettid, __NR_sched_yield,
#endif
	};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);

	for (size_t i = 0; i < COUNT(calls); i++)
		if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0) != 0)
			_exit(1);
	if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, __NR_mmap, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || seccomp_load(ctx) != 0)
		_exit(1);
}

static void
wait_on(struct tls *t, int fd)
{
	struct pollfd p = { .fd = fd, .events = tls_events(t) };

	if (poll(&p, 1, DEADLINE) != 1)
		_exit(3);
}

/* Reads BULK octets, asking as a worker does whether to wait, and writes them all back; then the other side closes. */
static int
echo(struct tls *t, int fd)
{
	static char data[BULK];
	size_t n = 0;
	ssize_t done;

	while (n < sizeof(data)) {
		if (!tls_is_pending(t)) {
			struct pollfd p = { .fd = fd, .events = POLLIN };

			if (poll(&p, 1, DEADLINE) != 1)
				_exit(3);
		}
		if ((done = tls_read(t, data + n, sizeof(data) - n > 5000 ? 5000 : sizeof(data) - n)) > 0)
			n += (size_t)done;
		else if (done != ERR_BUSY)
			return (int)done;
	}
	for (n = 0; n < sizeof(data);) {
		if ((done = tls_write(t, data + n, sizeof(data) - n)) > 0)
			n += (size_t)done;
		else if (done == ERR_BUSY)
			wait_on(t, fd);
		else
			return (int)done;
	}
	while ((done = tls_read(t, data, 1)) == ERR_BUSY)
		wait_on(t, fd);
	return done == ERR_CLOSED ? ERR_OK : ERR_SYSTEM;
}

pid_t
tls_fixture_start(struct tls_shared *s, int fds[2], int keys_fd)
{
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fflush(NULL);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		struct tls *t;
		int fd = fds[0], err;

		close(fds[1]);
		if (io_set_nonblock(fd) != ERR_OK)
			_exit(1);
		seal();
		if ((err = tls_handshake(&t, s, fd, keys_fd, io_now_ms() + DEADLINE)) != ERR_OK)
			_exit(-err);
		close(keys_fd);
		err = echo(t, fd);
		tls_close(t);
		_exit(err == ERR_OK ? SERVED : 2);
	}
	close(fds[0]);
	return pid;
}

int
tls_fixture_end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		print_error("worker ended by signal %d\n", WTERMSIG(status));
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

bool
tls_fixture_is_echoed(SSL *ssl)
{
	static char out[BULK], in[BULK];
	size_t done;

	memset(out, 'x', sizeof(out));
	for (size_t n = 0; n < sizeof(out); n += done)
		if (SSL_write_ex(ssl, out + n, sizeof(out) - n, &done) != 1)
			return false;
	for (size_t n = 0; n < sizeof(in); n += done)
		if (SSL_read_ex(ssl, in + n, sizeof(in) - n, &done) != 1)
			return false;
	return memcmp(in, out, sizeof(in)) == 0;
}
