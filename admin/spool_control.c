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

static int
get_answer(int fd, enum queue_verdict *verdict)
{
	struct ipc_queue_answer a;
	struct ipc_message m;
	uint8_t data[64];
	int err = ipc_recv(fd, IPC_ADMIN_FROM_SPOOL, data, sizeof(data), true, &m);

	if (err == ERR_BUSY)
		return ERR_TIMEOUT;
	if (err == ERR_OK && (err = ipc_get_queue_answer(&m.body, &a)) == ERR_OK)
		*verdict = a.verdict;
	return err;
}

int
spool_control_change(int fd, enum queue_change change, const char *const *files, size_t n, enum queue_verdict *verdicts,
    size_t *answered)
{
	uint8_t data[IPC_TEXT_MAX + 16];
	int err = ERR_OK;

	*answered = 0;
	for (size_t i = 0; i < n && err == ERR_OK; i++) {
		struct ipc_queue_change m = { .change = change };
		struct wire_out w;

		if ((err = str_fmt(m.file, sizeof(m.file), "%s", files[i])) != ERR_OK)
			return err;
		wire_out_init(&w, data, sizeof(data));
		ipc_put_queue_change(&w, &m);
		err = ipc_send(fd, &w, NULL, 0, true);
	}
	while (err == ERR_OK && *answered < n)
		if ((err = get_answer(fd, &verdicts[*answered])) == ERR_OK)
			(*answered)++;
	return err;
}
