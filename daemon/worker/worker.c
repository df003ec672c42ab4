/*
 * The life of a worker: sandbox, one session, end. Forked from the master, runs as the user of workers in an empty folder.
 * Invariant: not one octet from a client is read before the sandbox is sealed.
 */
#include "worker.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "ipc.h"
#include "request.h"
#include "session.h"

static struct conn conn;
static struct session session;

/* Leaves standard descriptors on /dev/null, the master's socket, and what the sandbox still needs. */
static int
drop_descriptors(const struct worker *w, int master_fd)
{
	int keep[3] = { master_fd, w->sandbox->privileged ? w->sandbox->empty_fd : -1, w->sandbox->ruleset_fd };
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned from = 3;

	if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 ||
	    (!sandbox_build_keeps_stderr && dup2(null_fd, 2) < 0))
		return ERR_SYSTEM;
	/* Close everything between and behind those to keep, lowest first. */
	for (;;) {
		int next = -1;

		for (size_t i = 0; i < 3; i++)
			if (keep[i] >= (int)from && (next < 0 || keep[i] < next))
				next = keep[i];
		if (next < 0)
			return close_range(from, ~0U, 0) == 0 ? ERR_OK : ERR_SYSTEM;
		if ((unsigned)next > from && close_range(from, (unsigned)next - 1, 0) != 0)
			return ERR_SYSTEM;
		from = (unsigned)next + 1;
	}
}

static int
enter_sandbox(const struct worker *w, int master_fd)
{
	int empty_fd = w->sandbox->privileged ? w->sandbox->empty_fd : -1, ruleset_fd = w->sandbox->ruleset_fd;
	uint32_t parts;
	int err;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	if ((err = drop_descriptors(w, master_fd)) != ERR_OK || (err = sandbox_demote(w->sandbox, &parts)) != ERR_OK)
		return err;
	io_close(&empty_fd);
	io_close(&ruleset_fd);
	return sandbox_seal(w->sandbox, &parts);
}

/* Waits for the session; false when the master has ended or no longer needs this worker. */
static bool
receive_session(int master_fd, struct session *s, int *client_fd)
{
	static uint8_t buffer[IPC_SMALL_MAX];
	struct ipc_message m;

	if (ipc_recv(master_fd, IPC_WORKER_FROM_MASTER, buffer, sizeof(buffer), true, &m) != ERR_OK ||
	    ipc_get_session(&m.body, &s->facts) != ERR_OK)
		return false;
	*client_fd = m.fds[0];
	s->auth_fd = m.fds[1];
	s->keys_fd = m.nfds > 2 ? m.fds[2] : -1;
	return true;
}

static void
say_end(const struct session *s, int master_fd)
{
	struct ipc_session_end m = {
		.reason = s->end, .commands = s->commands, .errors = s->errors, .messages = s->messages,
		.tls = session_has_tls(s), .login = s->login,
	};
	uint8_t data[64];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_session_end(&w, &m);
	ipc_send(master_fd, &w, NULL, 0, false);
}

void
worker_run(const struct worker *w, int master_fd)
{
	struct session *s = &session;
	int client_fd;

	if (enter_sandbox(w, master_fd) != ERR_OK)
		_exit(EX_OSERR);
	*s = (struct session){ .conf = w->conf, .tls = w->tls, .conn = &conn, .spool_fd = -1 };
	if (!receive_session(master_fd, s, &client_fd))
		_exit(EX_OK);
	conn_init(&conn, client_fd, master_fd);
	session_run(s);
	say_end(s, master_fd);
	_exit(EX_OK);
}
