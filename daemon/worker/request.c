/*
 * The worker's half of each question to a service. Run by workers, sandboxed. A service that goes away or answers
 * what was not asked is gone for this session.
 */
#include "request.h"

#include <poll.h>

#include "err.h"
#include "io.h"
#include "mem.h"
#include "session.h"

#define SPOOL_POLL_MS 50	/* between two questions for a new spool */

static uint8_t buffer[IPC_SMALL_MAX];
static uint8_t datagram[IPC_DATAGRAM_MAX];

static int
ask(int fd, const struct wire_out *w)
{
	return ipc_send(fd, w, NULL, 0, true) == ERR_OK ? ERR_OK : ERR_CLOSED;
}

/* Receives the answer of one kind; whatever else comes is an error. */
static int
hear(int fd, enum ipc_channel channel, enum ipc_kind kind, struct ipc_message *m)
{
	int err = ipc_recv(fd, channel, buffer, sizeof(buffer), true, m);

	if (err != ERR_OK)
		return ERR_CLOSED;
	if (m->kind != kind) {
		ipc_message_close(m);
		return ERR_CLOSED;
	}
	return ERR_OK;
}

/* Takes over the spool's socket that an answer brought. */
static void
take_spool(struct session *s, struct ipc_message *m)
{
	if (m->nfds == 0)
		return;
	io_close(&s->spool_fd);
	s->spool_fd = m->fds[0];
	m->fds[0] = -1;
}

int
request_login(struct session *s, const struct ipc_login *m, struct ipc_login_answer *answer)
{
	struct ipc_message got;
	struct wire_out w;
	int err;

	wire_out_init(&w, datagram, sizeof(datagram));
	ipc_put_login(&w, m);
	err = ask(s->auth_fd, &w);
	mem_wipe(datagram, w.len);
	if (err != ERR_OK || (err = hear(s->auth_fd, IPC_WORKER_FROM_AUTH, IPC_LOGIN_ANSWER, &got)) != ERR_OK)
		return err;
	err = ipc_get_login_answer(&got.body, answer);
	if (err == ERR_OK && answer->verdict == LOGIN_OK)
		take_spool(s, &got);
	ipc_message_close(&got);
	return err == ERR_OK ? ERR_OK : ERR_CLOSED;
}

int
request_sender(struct session *s, const struct ipc_sender *m, struct ipc_sender_answer *answer)
{
	struct ipc_message got;
	struct wire_out w;
	int err;

	wire_out_init(&w, datagram, sizeof(datagram));
	ipc_put_sender(&w, m);
	if ((err = ask(s->auth_fd, &w)) != ERR_OK ||
	    (err = hear(s->auth_fd, IPC_WORKER_FROM_AUTH, IPC_SENDER_ANSWER, &got)) != ERR_OK)
		return err;
	return ipc_get_sender_answer(&got.body, answer) == ERR_OK ? ERR_OK : ERR_CLOSED;
}

int
request_recipient(struct session *s, const struct ipc_recipient *m, struct ipc_recipient_answer *answer)
{
	struct ipc_message got;
	struct wire_out w;
	int err;

	wire_out_init(&w, datagram, sizeof(datagram));
	ipc_put_recipient(&w, m);
	if ((err = ask(s->auth_fd, &w)) != ERR_OK ||
	    (err = hear(s->auth_fd, IPC_WORKER_FROM_AUTH, IPC_RECIPIENT_ANSWER, &got)) != ERR_OK)
		return err;
	return ipc_get_recipient_answer(&got.body, answer) == ERR_OK ? ERR_OK : ERR_CLOSED;
}

void
request_reset(struct session *s)
{
	struct wire_out w;

	wire_out_init(&w, datagram, sizeof(datagram));
	ipc_put_empty(&w, IPC_RESET);
	ask(s->auth_fd, &w);
}

int
request_status(struct session *s, struct ipc_status_answer *answer)
{
	struct ipc_message got;
	struct wire_out w;
	int err;

	wire_out_init(&w, datagram, sizeof(datagram));
	ipc_put_empty(&w, IPC_STATUS);
	if ((err = ask(s->auth_fd, &w)) != ERR_OK ||
	    (err = hear(s->auth_fd, IPC_WORKER_FROM_AUTH, IPC_STATUS_ANSWER, &got)) != ERR_OK)
		return err;
	return ipc_get_status_answer(&got.body, answer) == ERR_OK ? ERR_OK : ERR_CLOSED;
}

static int
ask_for_spool(struct session *s, bool *ok)
{
	struct ipc_spool_answer answer;
	struct ipc_message got;
	struct wire_out w;
	uint8_t small[16];
	int err;

	wire_out_init(&w, small, sizeof(small));
	ipc_put_empty(&w, IPC_SPOOL);
	if ((err = ask(s->auth_fd, &w)) != ERR_OK ||
	    (err = hear(s->auth_fd, IPC_WORKER_FROM_AUTH, IPC_SPOOL_ANSWER, &got)) != ERR_OK)
		return err;
	err = ipc_get_spool_answer(&got.body, &answer);
	*ok = err == ERR_OK && answer.ok && got.nfds == 1;
	if (*ok)
		take_spool(s, &got);
	ipc_message_close(&got);
	return err == ERR_OK ? ERR_OK : ERR_CLOSED;
}

int
request_spool(struct session *s, uint64_t wait_ms)
{
	uint64_t deadline = io_now_ms() + wait_ms;

	io_close(&s->spool_fd);
	for (;;) {
		bool ok;
		int err;

		if ((err = ask_for_spool(s, &ok)) != ERR_OK)
			return err;
		if (ok)
			return ERR_OK;
		if (io_now_ms() >= deadline)
			return ERR_TIMEOUT;
		poll(NULL, 0, SPOOL_POLL_MS);
	}
}

static int
tell_spool(struct session *s, enum ipc_kind kind)
{
	uint8_t small[16];
	struct wire_out w;

	wire_out_init(&w, small, sizeof(small));
	ipc_put_transaction(&w, kind, s->t);
	return s->spool_fd < 0 ? ERR_CLOSED : ask(s->spool_fd, &w);
}

int
request_open(struct session *s)
{
	return tell_spool(s, IPC_OPEN);
}

int
request_data(struct session *s, const uint8_t *p, size_t n)
{
	struct wire_out w;

	wire_out_init(&w, datagram, sizeof(datagram));
	ipc_put_data(&w, p, n);
	return ask(s->spool_fd, &w);
}

void
request_abort(struct session *s, enum abort_reason reason)
{
	uint8_t small[16];
	struct wire_out w;

	wire_out_init(&w, small, sizeof(small));
	ipc_put_abort(&w, reason);
	if (s->spool_fd >= 0)
		ask(s->spool_fd, &w);
}

int
request_commit(struct session *s, uint64_t size, struct ipc_commit_answer *answer, bool *asked)
{
	struct ipc_commit m = { .t = s->t, .size = size };
	struct ipc_message got;
	uint8_t small[32];
	struct wire_out w;
	int err;

	wire_out_init(&w, small, sizeof(small));
	ipc_put_commit(&w, &m);
	err = ask(s->spool_fd, &w);
	*asked = err == ERR_OK;
	if (err != ERR_OK || (err = hear(s->spool_fd, IPC_WORKER_FROM_SPOOL, IPC_COMMIT_ANSWER, &got)) != ERR_OK)
		return err;
	return ipc_get_commit_answer(&got.body, answer) == ERR_OK && answer->t == s->t ? ERR_OK : ERR_CLOSED;
}

int
request_etrn(struct session *s, const struct ipc_etrn *m, struct ipc_etrn_answer *answer)
{
	struct ipc_message got;
	struct wire_out w;
	int err;

	wire_out_init(&w, datagram, sizeof(datagram));
	ipc_put_etrn(&w, m);
	if (s->spool_fd < 0 || (err = ask(s->spool_fd, &w)) != ERR_OK ||
	    (err = hear(s->spool_fd, IPC_WORKER_FROM_SPOOL, IPC_ETRN_ANSWER, &got)) != ERR_OK)
		return ERR_CLOSED;
	return ipc_get_etrn_answer(&got.body, answer) == ERR_OK ? ERR_OK : ERR_CLOSED;
}

int
request_outcome(struct session *s, struct ipc_outcome_answer *answer)
{
	struct ipc_message got;
	int err;

	if ((err = tell_spool(s, IPC_OUTCOME)) != ERR_OK ||
	    (err = hear(s->spool_fd, IPC_WORKER_FROM_SPOOL, IPC_OUTCOME_ANSWER, &got)) != ERR_OK)
		return err;
	return ipc_get_outcome_answer(&got.body, answer) == ERR_OK && answer->t == s->t ? ERR_OK : ERR_CLOSED;
}
