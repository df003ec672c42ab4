/*
 * A worker's side of every question, without a worker's good manners: fields may hold any octets. Run by the tests.
 */
#include "rig.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"
#include "io.h"

#define PATIENCE_MS 10000
#define FDS_MAX 253	/* SCM_MAX_FD, the most that the kernel passes at once */

struct wire_out out;

struct wire_out *
begin(void)
{
	static uint8_t data[2 * IPC_DATAGRAM_MAX];

	wire_out_init(&out, data, sizeof(data));
	return &out;
}

bool
send_octets(int fd, const void *p, size_t n, unsigned nfds)
{
	static union {
		struct cmsghdr	align;
		char		space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control;
	struct iovec iov = { .iov_base = (void *)(size_t)p, .iov_len = n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int pair[2] = { -1, -1 };
	bool sent;

	if (nfds != 0 && pipe(pair) == 0) {
		struct cmsghdr *c;

		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		for (unsigned i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &pair[i % 2], sizeof(int));
	}
	sent = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
	io_close(&pair[0]);
	io_close(&pair[1]);
	return sent;
}

bool
send_out(int fd)
{
	return send_octets(fd, out.data, out.len, 0);
}

void
tell_empty(int fd, enum ipc_kind kind)
{
	if (kind == IPC_ABORT)
		ipc_put_abort(begin(), ABORT_LEFT);
	else
		ipc_put_empty(begin(), kind);
	send_out(fd);
}

static int
begin_at(enum service_id id, const struct ipc_session *m)
{
	uint8_t ignored[1024];
	int pair[2];

	/* As the master does, which has its own use for what services say. */
	while (recv(rig.control[id], ignored, sizeof(ignored), MSG_DONTWAIT) > 0)
		continue;

	if (ipc_pair(pair) != ERR_OK)
		return -1;
	ipc_put_session(begin(), m);
	check(ipc_send(rig.control[id], &out, &pair[0], 1, true) == ERR_OK, "a service takes no session");
	close(pair[0]);
	return pair[1];
}

void
session_begin(struct session *s)
{
	struct ipc_session m = { .session = rig.next_number++, .listener = LISTENER_SUBMISSION };

	check(netaddr_parse(&m.peer, "192.0.2.1:4000") == ERR_OK && netaddr_parse(&m.local, "127.0.0.1:587") == ERR_OK,
	    "addresses do not parse");
	*s = (struct session){ .number = m.session, .spool = -1 };
	s->auth = begin_at(AUTH, &m);
	s->keys = begin_at(KEYS, &m);
}

int
session_login(struct session *s, const char *user, const char *password)
{
	struct ipc_login m = { .mechanism = MECHANISM_PLAIN, .user = (const uint8_t *)user, .user_len = strlen(user),
	    .password = (const uint8_t *)password, .password_len = strlen(password) };
	struct ipc_login_answer answer;
	struct ipc_message got;
	int err;

	ipc_put_login(begin(), &m);
	if (!send_out(s->auth))
		return ENDED;
	if ((err = hear(s->auth, IPC_WORKER_FROM_AUTH, &got, PATIENCE_MS)) != ERR_OK)
		return err;
	err = ipc_get_login_answer(&got.body, &answer);
	check((err == ERR_OK && answer.verdict == LOGIN_OK) == (got.nfds == 1), "a socket comes with another verdict");
	if (got.nfds == 1) {
		io_close(&s->spool);
		s->spool = got.fds[0];
	}
	return err == ERR_OK ? (int)answer.verdict : err;
}

void
session_open(struct session *s, const char *user)
{
	int verdict;

	session_begin(s);
	for (int i = 0; (verdict = session_login(s, user, rig.password)) == LOGIN_UNAVAILABLE && i < 200; i++)
		usleep(2000);	/* auth's socket to the spool is full for a moment */
	check(verdict == LOGIN_OK, "%s can't log in: %d", user, verdict);
}

void
session_close(struct session *s)
{
	io_close(&s->auth);
	io_close(&s->keys);
	io_close(&s->spool);
}

int
ask_sender_as(struct session *s, const void *address, size_t n, bool smtputf8, const void *envid, size_t envid_len)
{
	struct wire_out *w = begin();
	struct ipc_sender_answer answer;
	struct ipc_message got;
	int err;

	wire_put_u16(w, IPC_SENDER);
	wire_put_str(w, address, n);
	wire_put_u64(w, 0);
	wire_put_u8(w, BODY_8BITMIME);
	wire_put_u8(w, smtputf8);
	wire_put_u8(w, DSN_RET_NONE);
	wire_put_str(w, envid, envid_len);
	if (!send_out(s->auth))
		return ENDED;
	if ((err = hear(s->auth, IPC_WORKER_FROM_AUTH, &got, PATIENCE_MS)) != ERR_OK)
		return err;
	if ((err = ipc_get_sender_answer(&got.body, &answer)) != ERR_OK)
		return err;
	check((answer.verdict == SENDER_OK) == (answer.t != 0), "verdict %d brings the number %u", answer.verdict,
	    answer.t);
	if (answer.verdict == SENDER_OK)
		s->t = answer.t;
	return answer.verdict;
}

int
ask_sender(struct session *s, const char *address)
{
	return ask_sender_as(s, address, strlen(address), false, "", 0);
}

int
ask_recipient_as(struct session *s, const void *address, size_t n, uint8_t notify, const void *orcpt, size_t orcpt_len)
{
	struct wire_out *w = begin();
	struct ipc_recipient_answer answer;
	struct ipc_message got;
	int err;

	wire_put_u16(w, IPC_RECIPIENT);
	wire_put_str(w, address, n);
	wire_put_u8(w, notify);
	wire_put_str(w, orcpt, orcpt_len);
	if (!send_out(s->auth))
		return ENDED;
	if ((err = hear(s->auth, IPC_WORKER_FROM_AUTH, &got, PATIENCE_MS)) != ERR_OK)
		return err;
	return (err = ipc_get_recipient_answer(&got.body, &answer)) == ERR_OK ? (int)answer.verdict : err;
}

int
ask_recipient(struct session *s, const char *address)
{
	return ask_recipient_as(s, address, strlen(address), 0, "", 0);
}

bool
approve(struct session *s, const char *sender, const char *recipient)
{
	return ask_sender(s, sender) == SENDER_OK && ask_recipient(s, recipient) == RECIPIENT_OK;
}

void
tell_open(struct session *s, uint32_t t)
{
	ipc_put_transaction(begin(), IPC_OPEN, t);
	send_out(s->spool);
}

void
tell_data(struct session *s, const void *p, size_t n)
{
	const uint8_t *at = p;

	while (n != 0) {
		size_t part = n < IPC_DATA_MAX ? n : IPC_DATA_MAX;

		ipc_put_data(begin(), at, part);
		if (ipc_send(s->spool, &out, NULL, 0, true) != ERR_OK)
			return;
		at += part;
		n -= part;
	}
}

void
tell_commit(struct session *s, uint32_t t, uint64_t size)
{
	ipc_put_commit(begin(), &(struct ipc_commit){ .t = t, .size = size });
	send_out(s->spool);
}

int
hear_commit(struct session *s)
{
	struct ipc_commit_answer answer;
	struct ipc_message got;
	int err;

	if ((err = hear(s->spool, IPC_WORKER_FROM_SPOOL, &got, PATIENCE_MS)) != ERR_OK)
		return err;
	if ((err = ipc_get_commit_answer(&got.body, &answer)) != ERR_OK)
		return err;
	check((answer.verdict == COMMIT_STORED) == (answer.id[0] != 0), "an id comes with verdict %d", answer.verdict);
	return answer.verdict;
}

int
give(struct session *s, uint32_t t, const void *text, size_t n)
{
	tell_open(s, t);
	tell_data(s, text, n);
	tell_commit(s, t, n);
	return hear_commit(s);
}

int
ask_outcome(struct session *s, uint32_t t)
{
	struct ipc_outcome_answer answer;
	struct ipc_message got;
	int err;

	ipc_put_transaction(begin(), IPC_OUTCOME, t);
	if (!send_out(s->spool))
		return ENDED;
	if ((err = hear(s->spool, IPC_WORKER_FROM_SPOOL, &got, PATIENCE_MS)) != ERR_OK)
		return err;
	if ((err = ipc_get_outcome_answer(&got.body, &answer)) != ERR_OK)
		return err;
	check(answer.stored == (answer.id[0] != 0), "an id comes without a message");
	return answer.stored;
}

int
ask_spool(struct session *s)
{
	struct ipc_spool_answer answer;
	struct ipc_message got;
	int err;

	ipc_put_empty(begin(), IPC_SPOOL);
	if (!send_out(s->auth))
		return ENDED;
	if ((err = hear(s->auth, IPC_WORKER_FROM_AUTH, &got, PATIENCE_MS)) != ERR_OK)
		return err;
	if ((err = ipc_get_spool_answer(&got.body, &answer)) != ERR_OK)
		return err;
	check(answer.ok == (got.nfds == 1), "a socket comes with another verdict");
	if (got.nfds == 1) {
		io_close(&s->spool);
		s->spool = got.fds[0];
	}
	return answer.ok;
}
