/*
 * Datagrams between programs: sending, receiving, and the table of what may come where. Runs in every
 * program. Invariant: a datagram that is too long, too short, of a kind or with descriptors that its
 * channel does not permit never reaches the code behind, and leaves no descriptor open.
 */
#include "ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"
#include "io.h"

struct permit {
	enum ipc_kind		kind;
	enum ipc_channel	channel;
	uint8_t			fds_min, fds_max;
	uint16_t		states;		/* enum ipc_state bits in which a session may send it */
	const char		*name;
};

static const struct permit permits[] = {
	{ IPC_SESSION, IPC_WORKER_FROM_MASTER, 2, 3, IPC_STATE_ANY, "SESSION" },
	{ IPC_SESSION, IPC_AUTH_FROM_MASTER, 1, 1, IPC_STATE_ANY, "SESSION" },
	{ IPC_SESSION, IPC_KEYS_FROM_MASTER, 1, 1, IPC_STATE_ANY, "SESSION" },
	{ IPC_SESSION_END, IPC_MASTER_FROM_WORKER, 0, 0, IPC_STATE_ANY, "SESSION_END" },
	{ IPC_READY, IPC_MASTER_FROM_SERVICE, 0, 0, IPC_STATE_ANY, "READY" },
	{ IPC_FAILED, IPC_MASTER_FROM_SERVICE, 0, 0, IPC_STATE_ANY, "FAILED" },
	{ IPC_SESSION_ACCOUNT, IPC_MASTER_FROM_SERVICE, 0, 0, IPC_STATE_ANY, "SESSION_ACCOUNT" },
	{ IPC_COUNTERS, IPC_MASTER_FROM_SERVICE, 0, 0, IPC_STATE_ANY, "COUNTERS" },
	{ IPC_BAN, IPC_MASTER_FROM_SERVICE, 0, 0, IPC_STATE_ANY, "BAN" },
	{ IPC_LINK, IPC_AUTH_FROM_MASTER, 1, 1, IPC_STATE_ANY, "LINK" },
	{ IPC_LINK, IPC_SPOOL_FROM_MASTER, 1, 1, IPC_STATE_ANY, "LINK" },
	{ IPC_RELOAD, IPC_AUTH_FROM_MASTER, 1, 1, IPC_STATE_ANY, "RELOAD" },
	{ IPC_RELOAD, IPC_SPOOL_FROM_MASTER, 1, 1, IPC_STATE_ANY, "RELOAD" },
	{ IPC_LOGIN, IPC_AUTH_FROM_WORKER, 0, 0, IPC_STATE_ANONYMOUS, "LOGIN" },
	{ IPC_LOGIN_ANSWER, IPC_WORKER_FROM_AUTH, 0, 1, IPC_STATE_ANY, "LOGIN_ANSWER" },
	{ IPC_SENDER, IPC_AUTH_FROM_WORKER, 0, 0, IPC_STATE_USER | IPC_STATE_TRANSACTION, "SENDER" },
	{ IPC_SENDER_ANSWER, IPC_WORKER_FROM_AUTH, 0, 0, IPC_STATE_ANY, "SENDER_ANSWER" },
	{ IPC_RECIPIENT, IPC_AUTH_FROM_WORKER, 0, 0, IPC_STATE_TRANSACTION, "RECIPIENT" },
	{ IPC_RECIPIENT_ANSWER, IPC_WORKER_FROM_AUTH, 0, 0, IPC_STATE_ANY, "RECIPIENT_ANSWER" },
	{ IPC_RESET, IPC_AUTH_FROM_WORKER, 0, 0, IPC_STATE_USER | IPC_STATE_TRANSACTION, "RESET" },
	{ IPC_SPOOL, IPC_AUTH_FROM_WORKER, 0, 0, IPC_STATE_USER | IPC_STATE_TRANSACTION, "SPOOL" },
	{ IPC_SPOOL_ANSWER, IPC_WORKER_FROM_AUTH, 0, 1, IPC_STATE_ANY, "SPOOL_ANSWER" },
	{ IPC_STATUS, IPC_AUTH_FROM_WORKER, 0, 0, IPC_STATE_USER | IPC_STATE_TRANSACTION, "STATUS" },
	{ IPC_STATUS_ANSWER, IPC_WORKER_FROM_AUTH, 0, 0, IPC_STATE_ANY, "STATUS_ANSWER" },
	{ IPC_GRANT, IPC_SPOOL_FROM_AUTH, 1, 1, IPC_STATE_ANY, "GRANT" },
	{ IPC_GRANT_NAME, IPC_SPOOL_FROM_AUTH, 0, 0, IPC_STATE_ANY, "GRANT_NAME" },
	{ IPC_ENVELOPE_SENDER, IPC_SPOOL_FROM_AUTH, 0, 0, IPC_STATE_ANY, "ENVELOPE_SENDER" },
	{ IPC_ENVELOPE_RECIPIENT, IPC_SPOOL_FROM_AUTH, 0, 0, IPC_STATE_ANY, "ENVELOPE_RECIPIENT" },
	{ IPC_ENVELOPE_DROP, IPC_SPOOL_FROM_AUTH, 0, 0, IPC_STATE_ANY, "ENVELOPE_DROP" },
	{ IPC_FROM, IPC_AUTH_FROM_SPOOL, 0, 0, IPC_STATE_ANY, "FROM" },
	{ IPC_FROM_ANSWER, IPC_SPOOL_FROM_AUTH, 0, 0, IPC_STATE_ANY, "FROM_ANSWER" },
	{ IPC_STORAGE, IPC_AUTH_FROM_SPOOL, 0, 0, IPC_STATE_ANY, "STORAGE" },
	{ IPC_USAGE, IPC_AUTH_FROM_SPOOL, 0, 0, IPC_STATE_ANY, "USAGE" },
	{ IPC_REFUSED, IPC_AUTH_FROM_SPOOL, 0, 0, IPC_STATE_ANY, "REFUSED" },
	{ IPC_OPEN, IPC_SPOOL_FROM_WORKER, 0, 0, IPC_STATE_GRANTED, "OPEN" },
	{ IPC_DATA, IPC_SPOOL_FROM_WORKER, 0, 0, IPC_STATE_OPEN, "DATA" },
	{ IPC_COMMIT, IPC_SPOOL_FROM_WORKER, 0, 0, IPC_STATE_OPEN, "COMMIT" },
	{ IPC_COMMIT_ANSWER, IPC_WORKER_FROM_SPOOL, 0, 0, IPC_STATE_ANY, "COMMIT_ANSWER" },
	{ IPC_ABORT, IPC_SPOOL_FROM_WORKER, 0, 0, IPC_STATE_OPEN, "ABORT" },
	{ IPC_OUTCOME, IPC_SPOOL_FROM_WORKER, 0, 0, IPC_STATE_GRANTED, "OUTCOME" },
	{ IPC_OUTCOME_ANSWER, IPC_WORKER_FROM_SPOOL, 0, 0, IPC_STATE_ANY, "OUTCOME_ANSWER" },
	{ IPC_ETRN, IPC_SPOOL_FROM_WORKER, 0, 0, IPC_STATE_GRANTED, "ETRN" },
	{ IPC_ETRN_ANSWER, IPC_WORKER_FROM_SPOOL, 0, 0, IPC_STATE_ANY, "ETRN_ANSWER" },
	{ IPC_SIGN, IPC_KEYS_FROM_WORKER, 0, 0, IPC_STATE_UNSIGNED, "SIGN" },
	{ IPC_SIGN_ANSWER, IPC_WORKER_FROM_KEYS, 0, 0, IPC_STATE_ANY, "SIGN_ANSWER" },
	{ IPC_LINK, IPC_KEYS_FROM_MASTER, 1, 1, IPC_STATE_ANY, "LINK" },
	{ IPC_DKIM_SIGN, IPC_KEYS_FROM_SPOOL, 0, 0, IPC_STATE_ANY, "DKIM_SIGN" },
	{ IPC_DKIM_SIGN_ANSWER, IPC_SPOOL_FROM_KEYS, 0, 0, IPC_STATE_ANY, "DKIM_SIGN_ANSWER" },
	{ IPC_DKIM_KEYS, IPC_SPOOL_FROM_KEYS, 0, 0, IPC_STATE_ANY, "DKIM_KEYS" },
	{ IPC_HASH, IPC_HASHER_FROM_AUTH, 0, 0, IPC_STATE_ANY, "HASH" },
	{ IPC_HASH_ANSWER, IPC_AUTH_FROM_HASHER, 0, 0, IPC_STATE_ANY, "HASH_ANSWER" },
	{ IPC_CONTROL_SESSIONS, IPC_MASTER_FROM_ADMIN, 0, 0, IPC_STATE_ANY, "CONTROL_SESSIONS" },
	{ IPC_CONTROL_SESSIONS_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0, IPC_STATE_ANY, "CONTROL_SESSIONS_ANSWER" },
	{ IPC_CONTROL_KILL, IPC_MASTER_FROM_ADMIN, 0, 0, IPC_STATE_ANY, "CONTROL_KILL" },
	{ IPC_CONTROL_KILL_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0, IPC_STATE_ANY, "CONTROL_KILL_ANSWER" },
	{ IPC_CONTROL_STATUS, IPC_MASTER_FROM_ADMIN, 0, 0, IPC_STATE_ANY, "CONTROL_STATUS" },
	{ IPC_CONTROL_STATUS_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0, IPC_STATE_ANY, "CONTROL_STATUS_ANSWER" },
	{ IPC_CONTROL_METRICS, IPC_MASTER_FROM_ADMIN, 0, 0, IPC_STATE_ANY, "CONTROL_METRICS" },
	{ IPC_CONTROL_METRICS_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0, IPC_STATE_ANY, "CONTROL_METRICS_ANSWER" },
	{ IPC_CONTROL_RELOAD, IPC_MASTER_FROM_ADMIN, 0, 0, IPC_STATE_ANY, "CONTROL_RELOAD" },
	{ IPC_CONTROL_RELOAD_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0, IPC_STATE_ANY, "CONTROL_RELOAD_ANSWER" },
	{ IPC_CONTROL_PAUSE, IPC_MASTER_FROM_ADMIN, 0, 0, IPC_STATE_ANY, "CONTROL_PAUSE" },
	{ IPC_CONTROL_PAUSE_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0, IPC_STATE_ANY, "CONTROL_PAUSE_ANSWER" },
	{ IPC_CONTROL_RESUME, IPC_MASTER_FROM_ADMIN, 0, 0, IPC_STATE_ANY, "CONTROL_RESUME" },
	{ IPC_CONTROL_RESUME_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0, IPC_STATE_ANY, "CONTROL_RESUME_ANSWER" },
	{ IPC_CONTROL_DRAIN, IPC_MASTER_FROM_ADMIN, 0, 0, IPC_STATE_ANY, "CONTROL_DRAIN" },
	{ IPC_CONTROL_DRAIN_ANSWER, IPC_ADMIN_FROM_MASTER, 0, 0, IPC_STATE_ANY, "CONTROL_DRAIN_ANSWER" },
	{ IPC_QUEUE, IPC_SPOOL_FROM_ADMIN, 0, 0, IPC_STATE_ANY, "QUEUE" },
	{ IPC_QUEUE_ANSWER, IPC_ADMIN_FROM_SPOOL, 0, 0, IPC_STATE_ANY, "QUEUE_ANSWER" },
	{ IPC_DELIVERY, IPC_SPOOL_FROM_ADMIN, 0, 0, IPC_STATE_ANY, "DELIVERY" },
	{ IPC_DELIVERY_ANSWER, IPC_ADMIN_FROM_SPOOL, 0, 0, IPC_STATE_ANY, "DELIVERY_ANSWER" },
	{ IPC_LINK, IPC_RELAY_FROM_MASTER, 1, 1, IPC_STATE_ANY, "LINK" },
	{ IPC_DELIVER, IPC_RELAY_FROM_SPOOL, 2, 2, IPC_STATE_ANY, "DELIVER" },
	{ IPC_DELIVER, IPC_OUTBOUND_FROM_RELAY, 2, 2, IPC_STATE_ANY, "DELIVER" },
	{ IPC_DELIVER_RECIPIENT, IPC_RELAY_FROM_SPOOL, 0, 0, IPC_STATE_ANY, "DELIVER_RECIPIENT" },
	{ IPC_DELIVER_RECIPIENT, IPC_OUTBOUND_FROM_RELAY, 0, 0, IPC_STATE_ANY, "DELIVER_RECIPIENT" },
	{ IPC_RESULT, IPC_SPOOL_FROM_DELIVERY, 0, 0, IPC_STATE_ANY, "RESULT" },
	{ IPC_FINISHED, IPC_SPOOL_FROM_DELIVERY, 0, 0, IPC_STATE_ANY, "FINISHED" },
	{ IPC_FINISHED, IPC_RELAY_FROM_OUTBOUND, 0, 0, IPC_STATE_ANY, "FINISHED" },
	{ IPC_FINISHED_ANSWER, IPC_DELIVERY_FROM_SPOOL, 0, 0, IPC_STATE_ANY, "FINISHED_ANSWER" },
	{ IPC_UNDERWAY, IPC_SPOOL_FROM_RELAY, 1, 1, IPC_STATE_ANY, "UNDERWAY" },
	{ IPC_RELAY_READY, IPC_SPOOL_FROM_RELAY, 0, 0, IPC_STATE_ANY, "RELAY_READY" },
	{ IPC_RESULT_SOCKET, IPC_OUTBOUND_FROM_RELAY, 1, 1, IPC_STATE_ANY, "RESULT_SOCKET" },
	{ IPC_IDLE, IPC_RELAY_FROM_OUTBOUND, 0, 0, IPC_STATE_ANY, "IDLE" },
	{ IPC_RESOLVE, IPC_RESOLVER_FROM_RELAY, 0, 0, IPC_STATE_ANY, "RESOLVE" },
	{ IPC_RESOLVE_ANSWER, IPC_RELAY_FROM_RESOLVER, 0, 0, IPC_STATE_ANY, "RESOLVE_ANSWER" },
};

#define NPERMITS (sizeof(permits) / sizeof(permits[0]))
#define SOCKET_BUFFER (4 * IPC_DATAGRAM_MAX)

static const struct permit *
find(unsigned kind, enum ipc_channel channel)
{
	for (size_t i = 0; i < NPERMITS; i++)
		if (permits[i].kind == kind && permits[i].channel == channel)
			return &permits[i];
	return NULL;
}

bool
ipc_may(enum ipc_kind kind, enum ipc_state state)
{
	for (size_t i = 0; i < NPERMITS; i++)
		if (permits[i].kind == kind)
			return (permits[i].states & (unsigned)state) != 0;
	return false;
}

const char *
ipc_kind_name(enum ipc_kind kind)
{
	for (size_t i = 0; i < NPERMITS; i++)
		if (permits[i].kind == kind)
			return permits[i].name;
	return "?";
}

int
ipc_pair(int fds[2])
{
	int size = SOCKET_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return ERR_SYSTEM;
	/* Best effort: net.core.wmem_max may bound it, and the usual default holds three datagrams as it is. */
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return ERR_OK;
}

int
ipc_send(int fd, const struct wire_out *w, const int *fds, size_t nfds, bool wait)
{
	union {
		struct cmsghdr	align;
		char		space[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
	} control;
	struct iovec iov = { .iov_base = w->data, .iov_len = w->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (wire_out_end(w) != ERR_OK || nfds > IPC_FDS_MAX)
		return ERR_TOOBIG;
	if (nfds != 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	while (sendmsg(fd, &msg, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT)) < 0) {
		if (errno == EINTR)
			continue;
		/* Want of memory passes: the peer is as it was. */
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS)
			return ERR_BUSY;
		return errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN ? ERR_CLOSED : ERR_SYSTEM;
	}
	return ERR_OK;
}

/*
 * Takes the descriptors that came. One more than IPC_FDS_MAX can come, since the room for them is rounded up: it is closed and
 * told, as the kernel closes those beyond.
 */
static void
take_fds(struct msghdr *msg, struct ipc_message *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (m->nfds < IPC_FDS_MAX) {
				m->fds[m->nfds++] = fd;
				continue;
			}
			io_close(&fd);
			msg->msg_flags |= MSG_CTRUNC;
		}
	}
}

int
ipc_recv(int fd, enum ipc_channel channel, void *buf, size_t size, bool wait, struct ipc_message *m)
{
	union {
		struct cmsghdr	align;
		char		space[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
	} control;
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space,
	    .msg_controllen = sizeof(control.space) };
	const struct permit *permit;
	int was_reset = 0, err;
	ssize_t n;

	*m = (struct ipc_message){ .nfds = 0 };
	/* A peer that closed with something unread is told as ECONNRESET, once, before what it had sent: that is still to be read. */
	do {
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	} while (n < 0 && (errno == EINTR || (errno == ECONNRESET && !was_reset++)));
	if (n < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM)
			return ERR_BUSY;
		return errno == ECONNRESET ? ERR_CLOSED : ERR_SYSTEM;
	}
	take_fds(&msg, m);
	if (n == 0) {
		ipc_message_close(m);
		return ERR_CLOSED;
	}
	wire_in_init(&m->body, buf, (size_t)n);
	m->kind = (enum ipc_kind)wire_get_u16(&m->body);
	if (m->body.failed)
		err = ERR_SHORT;
	else if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
		err = ERR_TOOBIG;
	else if ((permit = find(m->kind, channel)) == NULL || m->nfds < permit->fds_min || m->nfds > permit->fds_max)
		err = ERR_DENIED;
	else
		return ERR_OK;
	ipc_message_close(m);
	return err;
}

void
ipc_message_close(struct ipc_message *m)
{
	for (size_t i = 0; i < m->nfds; i++)
		io_close(&m->fds[i]);
	m->nfds = 0;
}
