/*
 * smtpadm's side of the control socket of posternd: connecting, asking, hearing, each with an end in time. Runs with the admin's
 * rights; the socket is for root and the instance's owner only.
 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "out.h"
#include "str.h"

#define PATIENCE_S 60	/* a reload waits for the new keys process */

int
control_connect(struct control *c, const struct admin *a)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int dir_fd = open(a->in.run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC), err = ERR_SYSTEM;

	c->a = a;
	c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	/* By way of the open folder, since a socket's path may have 107 octets only. */
	if (dir_fd >= 0 && c->fd >= 0 &&
	    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
	    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
	    str_fmt(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dir_fd, IPC_CONTROL_FILE) == ERR_OK &&
	    connect(c->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		err = ERR_OK;
	else if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)
		err = ERR_NOTFOUND;
	else if (errno == EACCES || errno == EPERM)
		err = ERR_DENIED;
	io_close(&dir_fd);
	if (err != ERR_OK)
		io_close(&c->fd);
	return err;
}

void
control_close(struct control *c)
{
	io_close(&c->fd);
}

int
control_open(struct control *c, const struct admin *a)
{
	int err = control_connect(c, a);

	if (err == ERR_OK)
		return EX_OK;
	if (err == ERR_DENIED) {
		out_fix("sudo, or the user who started posternd");
		return out_fail(EX_NOPERM, "not_allowed", "%s/%s: only root and the instance's owner may ask posternd",
		    a->in.run_dir, IPC_CONTROL_FILE);
	}
	if (err != ERR_NOTFOUND)
		return out_fail(EX_OSERR, "system", "%s/%s: %s", a->in.run_dir, IPC_CONTROL_FILE, err_text(err));
	if (access(a->in.conf_file, F_OK) != 0 && errno == ENOENT) {
		out_fix("smtpadm setup");
		return out_fail(EX_NOINPUT, "no_instance", "there is no %s", a->in.conf_file);
	}
	out_fix("posternd%s", out_root());
	return out_fail(EX_UNAVAILABLE, "not_running", "posternd does not run, so there is nobody to ask");
}

int
control_fail(struct control *c)
{
	control_close(c);
	return out_fail(EX_UNAVAILABLE, "no_answer", "posternd did not answer as it should: is it ending, or of another version?");
}

int
control_ask(struct control *c, const struct wire_out *w)
{
	return ipc_send(c->fd, w, NULL, 0, true) == ERR_OK ? EX_OK : control_fail(c);
}

int
control_ask_empty(struct control *c, enum ipc_kind kind)
{
	uint8_t data[16];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_empty(&w, kind);
	return control_ask(c, &w);
}

int
control_hear(struct control *c, enum ipc_kind kind, struct ipc_message *m)
{
	int err = ipc_recv(c->fd, IPC_ADMIN_FROM_MASTER, c->buffer, sizeof(c->buffer), true, m);

	if (err == ERR_BUSY) {
		control_close(c);
		return out_fail(EX_TEMPFAIL, "timeout", "posternd did not answer within %d seconds", PATIENCE_S);
	}
	return err == ERR_OK && m->kind == kind ? EX_OK : control_fail(c);
}

int
control_order(const struct admin *a, const struct wire_out *w, enum ipc_kind answer, struct ipc_control_done *d)
{
	static struct control c;
	struct ipc_message m;
	int code;

	if ((code = control_open(&c, a)) != EX_OK || (code = control_ask(&c, w)) != EX_OK ||
	    (code = control_hear(&c, answer, &m)) != EX_OK)
		return code;
	if (ipc_get_control_done(&m.body, d) != ERR_OK)
		return control_fail(&c);
	control_close(&c);
	return EX_OK;
}
