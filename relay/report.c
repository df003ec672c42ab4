/*
 * The results of a delivery, told to the spool over that delivery's own socket. Run by session processes. Invariant: nothing more is
 * done for the delivery, and no other is begun, before the spool has said that the results are on stable storage, or nobody is left
 * who could.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "err.h"
#include "io.h"
#include "ipc.h"
#include "session.h"
#include "str.h"

#define ANSWER_WAIT_MS 600000
#define SOCKET_WAIT_MS 60000	/* for a spool that is started again */

void
report_finished(const struct session *s, struct ipc_finished *m, uint64_t number, const struct ipc_outcome_of *o)
{
	*m = (struct ipc_finished){
		.number = number, .outcome = *o, .is_dead = s->is_dead, .relayed_dsn = s->capability.dsn,
	};
	str_fmt(m->host, sizeof(m->host), "%s", s->facts->host);
	str_fmt(m->tls, sizeof(m->tls), "%s", s->tls_text);
	if (s->facts->address.family != 0)
		netaddr_put(m->address, &s->facts->address);
}

static bool
is_same(const struct ipc_outcome_of *a, const struct ipc_outcome_of *b)
{
	return a->verdict == b->verdict && a->stage == b->stage && a->code == b->code && strcmp(a->enhanced, b->enhanced) == 0 &&
	    strcmp(a->reply, b->reply) == 0;
}

static int
send_one(int fd, const struct wire_out *w)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int err;

	while ((err = ipc_send(fd, w, NULL, 0, false)) == ERR_BUSY)
		if (poll(&p, 1, ANSWER_WAIT_MS) == 0)
			return ERR_TIMEOUT;
	return err;
}

/* A RESULT for each that differs from what FINISHED says of all the others; only FINISHED can say that nothing was begun. */
static int
tell_all(struct session *s)
{
	struct job *j = &s->job;
	const struct ipc_outcome_of *rest = &j->recipients[0].outcome;
	uint8_t data[4096];
	struct ipc_finished m;
	struct wire_out w;
	int err;

	for (size_t i = 0; i < j->n; i++)
		if (j->recipients[i].outcome.verdict == DELIVERY_RETURNED)
			rest = &j->recipients[i].outcome;
	for (size_t i = 0; i < j->n; i++) {
		const struct ipc_result result = { .index = j->recipients[i].index, .outcome = j->recipients[i].outcome };

		if (result.outcome.verdict == DELIVERY_RETURNED || is_same(&result.outcome, rest))
			continue;
		wire_out_init(&w, data, sizeof(data));
		ipc_put_result(&w, &result);
		if ((err = send_one(j->result_fd, &w)) != ERR_OK)
			return err;
	}
	report_finished(s, &m, j->deliver.number, rest);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_finished(&w, &m);
	return send_one(j->result_fd, &w);
}

int
report_hear_control(void *owner)
{
	struct session *s = owner;
	static uint8_t data[IPC_SMALL_MAX];
	struct ipc_delivery which;
	struct ipc_message m;

	if (ipc_recv(s->stream.control_fd, IPC_OUTBOUND_FROM_RELAY, data, sizeof(data), false, &m) != ERR_OK)
		return ERR_CLOSED;
	if (m.kind == IPC_RESULT_SOCKET && ipc_get_delivery(&m.body, &which) == ERR_OK && which.number == s->job.deliver.number) {
		io_close(&s->job.result_fd);
		s->job.result_fd = m.fds[0];
		m.fds[0] = -1;
	}
	ipc_message_close(&m);
	return ERR_OK;
}

/* ERR_OK: stored. ERR_EXISTS: there is another socket, to tell all again. */
static int
wait_for_answer(struct session *s, uint64_t deadline_ms)
{
	uint8_t data[IPC_SMALL_MAX / 32];
	struct ipc_delivery which;
	struct ipc_message m;

	for (;;) {
		struct pollfd fds[2] = {
			{ .fd = s->job.result_fd, .events = POLLIN },
			{ .fd = s->stream.wish == STREAM_GO_ON ? s->stream.control_fd : -1, .events = POLLIN | POLLRDHUP },
		};
		int now_fd = s->job.result_fd;
		uint64_t now = io_now_ms();

		if (now >= deadline_ms)
			return ERR_TIMEOUT;
		if (poll(fds, 2, (int)(deadline_ms - now)) <= 0)
			continue;
		if (fds[0].revents != 0) {
			if (ipc_recv(now_fd, IPC_DELIVERY_FROM_SPOOL, data, sizeof(data), false, &m) != ERR_OK ||
			    ipc_get_delivery(&m.body, &which) != ERR_OK || which.number != s->job.deliver.number)
				return ERR_CLOSED;
			return ERR_OK;
		}
		if (fds[1].revents != 0) {
			stream_look(&s->stream);
			if (s->job.result_fd != now_fd)
				return ERR_EXISTS;
		}
	}
}

/* Waits for a new socket in place of one that has ended. */
static bool
wait_for_socket(struct session *s)
{
	uint64_t deadline = io_now_ms() + SOCKET_WAIT_MS;

	io_close(&s->job.result_fd);
	while (s->job.result_fd < 0 && s->stream.wish == STREAM_GO_ON && io_now_ms() < deadline) {
		struct pollfd p = { .fd = s->stream.control_fd, .events = POLLIN | POLLRDHUP };

		if (poll(&p, 1, (int)(deadline - io_now_ms())) > 0)
			stream_look(&s->stream);
	}
	return s->job.result_fd >= 0;
}

bool
report_job(struct session *s)
{
	uint64_t deadline = io_now_ms() + ANSWER_WAIT_MS;

	for (;;) {
		int err = s->job.result_fd >= 0 ? tell_all(s) : ERR_CLOSED;

		if (err == ERR_OK)
			err = wait_for_answer(s, deadline);
		if (err == ERR_OK)
			return true;
		if (err == ERR_TIMEOUT || (err != ERR_EXISTS && !wait_for_socket(s)))
			return false;
	}
}

bool
report_is_heard(const void *owner)
{
	const struct session *s = owner;
	struct pollfd p = { .fd = s->job.result_fd, .events = POLLRDHUP };

	return s->job.result_fd >= 0 && poll(&p, 1, 0) == 0;
}
