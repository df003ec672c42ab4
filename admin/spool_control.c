/*
 * smtpadm's half of postern-spool's control socket. Runs with the admin's rights, or those of the spool's owner. Invariant: no wait
 * without an end.
 */
#include "spool_control.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "str.h"

#define PATIENCE_S 60	/* for a slow disk */

static int
connect_in(int fd, int folder)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	/* The folder's path may be longer than a socket's address. */
	if (str_fmt(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d/%s", folder, IPC_QUEUE_FILE) != ERR_OK)
		return ERR_TOOBIG;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0)
		return ERR_SYSTEM;
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return ERR_OK;
	if (errno == ENOENT || errno == ECONNREFUSED)
		return ERR_NOTFOUND;
	return errno == EACCES || errno == EPERM ? ERR_DENIED : ERR_SYSTEM;
}

int
spool_control_open(const struct admin *a, int *fd)
{
	int folder = open(a->in.run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	*fd = -1;
	if (folder < 0)
		return errno == ENOENT ? ERR_NOTFOUND : errno == EACCES ? ERR_DENIED : ERR_SYSTEM;
	*fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	err = *fd >= 0 ? connect_in(*fd, folder) : ERR_SYSTEM;
	if (err != ERR_OK)
		io_close(fd);
	io_close(&folder);
	return err;
}

/* The next question's verdicts, of which there are at most `left`. */
static int
get_answer(int fd, enum queue_verdict *verdicts, size_t left, size_t *n)
{
	struct ipc_queue_answer a;
	struct ipc_message m;
	uint8_t data[IPC_QUEUE_FILES + 64];
	int err = ipc_recv(fd, IPC_ADMIN_FROM_SPOOL, data, sizeof(data), true, &m);

	if (err == ERR_BUSY)
		return ERR_TIMEOUT;
	if (err != ERR_OK || (err = ipc_get_queue_answer(&m.body, &a)) != ERR_OK)
		return err;
	if (a.n > left)
		return ERR_SYNTAX;
	for (size_t i = 0; i < a.n; i++)
		verdicts[i] = a.verdicts[i];
	*n = a.n;
	return ERR_OK;
}

static int
ask(int fd, enum queue_change change, const char *text, const char *const *files, size_t n)
{
	static struct ipc_queue_change m;
	static uint8_t data[IPC_SMALL_MAX];
	struct wire_out w;
	int err;

	m.change = change;
	m.n = (uint16_t)n;
	if ((err = str_fmt(m.text, sizeof(m.text), "%s", text)) != ERR_OK)
		return err;
	for (size_t i = 0; i < n; i++)
		if ((err = str_fmt(m.files[i], sizeof(m.files[i]), "%s", files[i])) != ERR_OK)
			return err;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_queue_change(&w, &m);
	return ipc_send(fd, &w, NULL, 0, true);
}

int
spool_control_change(int fd, enum queue_change change, const char *text, const char *const *files, size_t n,
    enum queue_verdict *verdicts, size_t *answered)
{
	size_t asked = 0, some;
	int err = ERR_OK;

	*answered = 0;
	for (; asked < n && err == ERR_OK; asked += some) {
		some = n - asked < IPC_QUEUE_FILES ? n - asked : IPC_QUEUE_FILES;
		err = ask(fd, change, text, files + asked, some);
	}
	while (err == ERR_OK && *answered < n)
		if ((err = get_answer(fd, verdicts + *answered, n - *answered, &some)) == ERR_OK)
			*answered += some;
	return err;
}

int
spool_control_order(int fd, const struct ipc_delivery_order *o, struct ipc_delivery_state *state)
{
	uint8_t data[IPC_TEXT_MAX + 64];
	struct ipc_message m;
	struct wire_out w;
	int err;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_delivery_order(&w, o);
	if ((err = ipc_send(fd, &w, NULL, 0, true)) != ERR_OK)
		return err;
	if ((err = ipc_recv(fd, IPC_ADMIN_FROM_SPOOL, data, sizeof(data), true, &m)) == ERR_BUSY)
		return ERR_TIMEOUT;
	if (err != ERR_OK)
		return err;
	return m.kind == IPC_DELIVERY_ANSWER ? ipc_get_delivery_state(&m.body, state) : ERR_SYNTAX;
}
