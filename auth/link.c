/*
 * postern-auth's socket to postern-spool: grants, envelopes, and the spool's questions about From
 * fields. Invariant: an envelope is in the socket before its worker hears of it; an answer to the
 * spool is never lost while the link stands.
 */
#include <string.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "session.h"

#define MESSAGES_A_ROUND 64	/* of the spool's, before the sessions have their turn */

#define ENVELOPE_MAX 2048	/* octets of any message to the spool */
#define FROM_ANSWER_SIZE 15
#define UNSENT_MAX (FROM_ANSWER_SIZE * 4096)

void
link_init(struct auth *a)
{
	a->link = (struct link){ .watch = { .fd = -1 } };
	buf_init(&a->link.unsent, UNSENT_MAX);
}

bool
link_is_up(const struct auth *a)
{
	return a->link.watch.fd >= 0;
}

static void
close_link(struct auth *a)
{
	if (!link_is_up(a))
		return;
	loop_remove(&a->loop, &a->link.watch);
	io_close(&a->link.watch.fd);
	buf_reset(&a->link.unsent);
	a->link.waits = false;
}

static int
send_now(struct auth *a, const struct wire_out *w, const int *fds, size_t nfds)
{
	int err;

	if (!link_is_up(a))
		return ERR_CLOSED;
	if ((err = ipc_send(a->link.watch.fd, w, fds, nfds, false)) == ERR_CLOSED)
		close_link(a);
	return err;
}

/* Sends the answers that found no room before. */
static void
flush(struct auth *a)
{
	struct link *l = &a->link;

	while (l->unsent.len != 0) {
		struct wire_out w = { .data = l->unsent.data, .len = FROM_ANSWER_SIZE, .size = FROM_ANSWER_SIZE };
		int err = send_now(a, &w, NULL, 0);

		if (err == ERR_BUSY)
			return;
		if (err != ERR_OK) {
			close_link(a);
			return;
		}
		buf_drop(&l->unsent, FROM_ANSWER_SIZE);
	}
	if (l->waits && link_is_up(a) && loop_change(&a->loop, &l->watch, EPOLLIN) == ERR_OK)
		l->waits = false;
}

static void
answer_from(struct auth *a, const struct ipc_from *m)
{
	struct ipc_from_answer answer = { .session = m->session, .t = m->t, .verdict = verdict_from(a, m) };
	uint8_t data[FROM_ANSWER_SIZE];
	struct link *l = &a->link;
	struct wire_out w;
	int err = ERR_BUSY;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_from_answer(&w, &answer);
	if (!l->waits)
		err = send_now(a, &w, NULL, 0);
	if (err == ERR_BUSY) {
		err = buf_put(&l->unsent, data, w.len);
		if (err == ERR_OK && !l->waits)
			err = loop_change(&a->loop, &l->watch, EPOLLIN | EPOLLOUT);
		l->waits = true;
	}
	/* A spool that asks thousands of questions without reading an answer is not to be had. */
	if (err != ERR_OK)
		close_link(a);
}

/* One message of the spool's. False when there is no more now. */
static bool
hear(struct auth *a)
{
	static uint8_t data[IPC_SMALL_MAX];
	static struct ipc_from from;
	static struct ipc_usage usage;
	struct ipc_refused refused;
	struct ipc_storage storage;
	struct ipc_message m;
	int err;

	if ((err = ipc_recv(a->link.watch.fd, IPC_AUTH_FROM_SPOOL, data, sizeof(data), false, &m)) == ERR_BUSY)
		return false;
	if (err == ERR_CLOSED || err == ERR_SYSTEM) {
		log_event(LOG_LEVEL_WARNING, 0, "link.closed", "peer", "postern-spool", NULL);
		close_link(a);
		return false;
	}
	if (err == ERR_OK && m.kind == IPC_FROM && (err = ipc_get_from(&m.body, &from)) == ERR_OK)
		answer_from(a, &from);
	else if (err == ERR_OK && m.kind == IPC_STORAGE && (err = ipc_get_storage(&m.body, &storage)) == ERR_OK)
		a->link.has_storage = storage.ok;
	else if (err == ERR_OK && m.kind == IPC_USAGE && (err = ipc_get_usage(&m.body, &usage)) == ERR_OK)
		err = usage_set(&a->usage, usage.account, usage.messages, usage.octets);
	else if (err == ERR_OK && m.kind == IPC_REFUSED && (err = ipc_get_refused(&m.body, &refused)) == ERR_OK)
		transaction_refuse(a, refused.session, refused.t);
	if (err != ERR_OK)
		log_event(LOG_LEVEL_ALARM, 0, "message.bad", "peer", "postern-spool", "kind", ipc_kind_name(m.kind), "error",
		    err_text(err), NULL);
	return true;
}

void
link_drain(struct auth *a)
{
	/* The spool speaks for all sessions together, so it has more than one session's turn. */
	for (int i = 0; i < MESSAGES_A_ROUND && link_is_up(a) && hear(a); i++)
		continue;
}

static void
handle(void *owner, uint32_t events)
{
	struct auth *a = owner;

	control_drain(a);
	if ((events & EPOLLOUT) != 0)
		flush(a);
	link_drain(a);
}

int
link_open(struct auth *a, int fd)
{
	struct link *l = &a->link;

	close_link(a);
	l->watch = (struct loop_watch){ .fd = fd, .handle = handle, .owner = a };
	l->generation++;
	l->has_storage = true;
	usage_clear(&a->usage);
	if (loop_add(&a->loop, &l->watch, EPOLLIN) == ERR_OK)
		return ERR_OK;
	io_close(&l->watch.fd);
	return ERR_SYSTEM;
}

/* One that does not know the session yet is told when its worker has asked for the new socket. */
bool
link_is_known(const struct session *s)
{
	return s->generation == s->auth->link.generation;
}

int
link_grant(struct session *s, int *fd)
{
	struct ipc_grant m = { .session = s->number, .account = s->account, .peer = s->peer, .listener = s->listener,
	    .mechanism = s->mechanism, .began_us = s->began_us, .login_us = s->login_us };
	uint8_t data[ENVELOPE_MAX];
	struct wire_out w;
	int pair[2], err;

	if (!link_is_up(s->auth))
		return ERR_CLOSED;
	memcpy(m.name, s->name, strlen(s->name));	/* REGISTRY_NAME_MAX == IPC_TEXT_MAX, zeros behind */
	memcpy(m.credential, s->credential_name, strlen(s->credential_name));
	if ((err = ipc_pair(pair)) != ERR_OK)
		return err;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_grant(&w, &m);
	err = send_now(s->auth, &w, &pair[0], 1);
	io_close(&pair[0]);
	if (err != ERR_OK) {
		io_close(&pair[1]);
		return err;
	}
	s->ngrants = link_is_known(s) ? s->ngrants + 1 : 1;
	s->generation = s->auth->link.generation;
	*fd = pair[1];
	return ERR_OK;
}

int
link_put_sender(struct session *s)
{
	struct ipc_envelope_sender m = { .session = s->number, .t = s->t, .sender = s->transaction->sender,
	    .message_size = s->limits.message_size,
	    .check_header = s->conf->conf.senders_check_header != 0, .repair_lf = s->device };
	uint8_t data[ENVELOPE_MAX];
	struct wire_out w;

	if (!link_is_up(s->auth))
		return ERR_CLOSED;
	if (!link_is_known(s))
		return ERR_OK;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_envelope_sender(&w, &m);
	return send_now(s->auth, &w, NULL, 0);
}

int
link_put_recipient(struct session *s, const struct ipc_recipient *recipient)
{
	struct ipc_envelope_recipient m = { .session = s->number, .t = s->t, .recipient = *recipient };
	uint8_t data[ENVELOPE_MAX];
	struct wire_out w;

	if (!link_is_up(s->auth))
		return ERR_CLOSED;
	if (!link_is_known(s))
		return ERR_OK;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_envelope_recipient(&w, &m);
	return send_now(s->auth, &w, NULL, 0);
}

int
link_put_envelope(struct session *s)
{
	static struct ipc_recipient m;
	int err = link_put_sender(s);

	for (const struct recipient *r = s->transaction->first; r != NULL && err == ERR_OK; r = r->next) {
		transaction_get(r, &m);
		err = link_put_recipient(s, &m);
	}
	return err;
}

int
link_put_name(struct session *s)
{
	struct ipc_grant_name m = { .session = s->number };
	uint8_t data[ENVELOPE_MAX];
	struct wire_out w;

	if (!link_is_up(s->auth))
		return ERR_CLOSED;
	if (!link_is_known(s))
		return ERR_OK;
	memcpy(m.name, s->name, strlen(s->name));	/* REGISTRY_NAME_MAX == IPC_TEXT_MAX, zeros behind */
	wire_out_init(&w, data, sizeof(data));
	ipc_put_grant_name(&w, &m);
	return send_now(s->auth, &w, NULL, 0);
}

void
link_drop(struct session *s)
{
	struct ipc_envelope_drop m = { .session = s->number, .t = s->t };
	uint8_t data[64];
	struct wire_out w;

	if (!link_is_known(s))
		return;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_envelope_drop(&w, &m);
	send_now(s->auth, &w, NULL, 0);
}
