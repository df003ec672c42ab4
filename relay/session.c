/*
 * One outbound session: a connection, one delivery after another, an end. Forked from postern-relay, sandboxed: it can read, write and
 * close what it was given, nothing else. Invariant: a delivery that came is answered on its own socket before the parent hears that
 * the next may come; the process ends with its parent, but not in the middle of a delivery.
 */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "ipc.h"

#define RECIPIENTS_WAIT_MS 10000	/* they follow their delivery at once */
#define CLOSING_WAIT_MS 5000

static struct session session;
static uint8_t datagram[IPC_SMALL_MAX];

static void
tell_idle(struct session *s, uint64_t number, bool is_open)
{
	const struct ipc_delivery m = { .number = number, .is_open = is_open };
	uint8_t data[32];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_delivery(&w, IPC_IDLE, &m);
	ipc_send(s->stream.control_fd, &w, NULL, 0, true);
}

/* The session never came to its first delivery: the parent says why to those that wait, or tries another server. */
static void
tell_failure(struct session *s, const struct ipc_outcome_of *o)
{
	uint8_t data[4096];
	struct ipc_finished m;
	struct wire_out w;

	report_finished(s, &m, 0, o);
	m.is_dead = true;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_finished(&w, &m);
	ipc_send(s->stream.control_fd, &w, NULL, 0, true);
}

/* The next datagram of the parent within ms. ERR_CLOSED also for nonsense. */
static int
receive(struct session *s, struct ipc_message *m, uint64_t ms)
{
	struct pollfd p = { .fd = s->stream.control_fd, .events = POLLIN };
	int n;

	do {
		n = poll(&p, 1, (int)ms);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return ERR_TIMEOUT;
	return ipc_recv(s->stream.control_fd, IPC_OUTBOUND_FROM_RELAY, datagram, sizeof(datagram), false, m) == ERR_OK ? ERR_OK :
	    ERR_CLOSED;
}

static int
take_recipients(struct session *s)
{
	struct job *j = &s->job;
	struct ipc_deliver_recipient got;
	struct ipc_message m;

	for (j->n = 0; j->n < j->deliver.nrecipients; j->n++) {
		struct job_recipient *r = &j->recipients[j->n];

		if (receive(s, &m, RECIPIENTS_WAIT_MS) != ERR_OK)
			return ERR_CLOSED;
		if (m.kind != IPC_DELIVER_RECIPIENT || ipc_get_deliver_recipient(&m.body, &got) != ERR_OK ||
		    got.number != j->deliver.number) {
			ipc_message_close(&m);
			return ERR_CLOSED;
		}
		*r = (struct job_recipient){ .index = got.index, .recipient = got.recipient };
		j->is_utf8 = j->is_utf8 || got.recipient.address.is_utf8;
	}
	return ERR_OK;
}

/* A message of the parent's between deliveries. ERR_OK: s->job is there. ERR_NOTFOUND: nothing that matters. */
static int
take_message(struct session *s)
{
	struct job *j = &s->job;
	struct ipc_message m;
	int err;

	if ((err = receive(s, &m, 0)) != ERR_OK)
		return err;
	if (m.kind != IPC_DELIVER || ipc_get_deliver(&m.body, &j->deliver) != ERR_OK) {
		/* A socket for a delivery that is done: the spool sees its end. */
		err = m.kind == IPC_RESULT_SOCKET ? ERR_NOTFOUND : ERR_CLOSED;
		ipc_message_close(&m);
		return err;
	}
	j->file_fd = m.fds[0];
	j->result_fd = m.fds[1];
	memcpy(j->signatures, j->deliver.signatures, j->deliver.signatures_len);
	j->deliver.signatures = j->signatures;
	j->is_utf8 = j->deliver.sender.address.is_utf8;
	if (take_recipients(s) == ERR_OK)
		return ERR_OK;
	io_close(&j->file_fd);
	io_close(&j->result_fd);
	return ERR_CLOSED;
}

/* Waits for a delivery. ERR_CLOSED: none will come; ERR_BUSY: the server has closed, or talks out of turn. */
static int
wait_for_job(struct session *s)
{
	for (;;) {
		struct pollfd fds[2] = {
			{ .fd = s->stream.control_fd, .events = POLLIN },
			{ .fd = s->stream.fd, .events = POLLIN },
		};
		int err = ERR_NOTFOUND;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return ERR_CLOSED;
		if (fds[0].revents != 0 && (err = take_message(s)) != ERR_NOTFOUND)
			return err == ERR_TIMEOUT ? ERR_CLOSED : err;
		/* TLS has words of its own: only what is left behind them counts. */
		if (fds[1].revents != 0 && stream_fill(&s->stream, 0) != ERR_TIMEOUT)
			return ERR_BUSY;
	}
}

static void
close_job(struct session *s)
{
	io_close(&s->job.file_fd);
	io_close(&s->job.result_fd);
}

static void
run_job(struct session *s)
{
	s->stream.hear_control = report_hear_control;
	s->stream.is_heard = report_is_heard;
	s->stream.is_final = false;
	dialogue_run(s);
	report_job(s);
	s->stream.hear_control = NULL;
	s->stream.is_heard = NULL;
	close_job(s);
	s->deliveries++;
}

/* Those that came while we were saying that none should: given back, until the parent has closed its half. */
static void
return_rest(struct session *s)
{
	struct ipc_outcome_of o;
	int err;

	outcome_set(&o, DELIVERY_RETURNED, DELIVERY_MAIL, "4.4.2", "the session had ended before the delivery was begun");
	do {
		struct pollfd p = { .fd = s->stream.control_fd, .events = POLLIN };

		if (s->stream.wish != STREAM_GO_ON || poll(&p, 1, CLOSING_WAIT_MS) <= 0)
			return;
		if ((err = take_message(s)) != ERR_OK)
			continue;
		for (size_t i = 0; i < s->job.n; i++)
			s->job.recipients[i].outcome = o;
		report_job(s);
		close_job(s);
	} while (err == ERR_OK || err == ERR_NOTFOUND);
}

void
session_run(const struct session_facts *facts, int fd, int control_fd)
{
	struct session *s = &session;
	struct ipc_outcome_of o;
	int err;

	s->facts = facts;
	s->job.file_fd = s->job.result_fd = -1;
	stream_init(&s->stream, fd, control_fd);
	s->stream.owner = s;
	if (!hello_open(s, &o)) {
		tell_failure(s, &o);
		hello_quit(s);
		_exit(EX_OK);
	}
	tell_idle(s, 0, true);
	while ((err = wait_for_job(s)) == ERR_OK) {
		run_job(s);
		if (s->is_over || s->stream.wish != STREAM_GO_ON)
			break;
		tell_idle(s, s->job.deliver.number, true);
	}
	if (err == ERR_BUSY)
		s->is_lost = true;
	if (err != ERR_CLOSED) {
		tell_idle(s, err == ERR_OK ? s->job.deliver.number : 0, false);
		return_rest(s);
	}
	hello_quit(s);
	_exit(EX_OK);
}
