/*
 * Sessions of postern-spool: a worker's socket, what may come on it next, and the answers. Run by the loop. Whatever a worker
 * sends, it can only make or drop the one message that auth gave an envelope for. Invariant: a bad frame ends its session and
 * nothing else; a worker that does not read its answers is dropped.
 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "etrn.h"
#include "io.h"
#include "link.h"
#include "log.h"
#include "message.h"
#include "outcome.h"
#include "spooler.h"
#include "str.h"

#define DATAGRAMS_A_ROUND 32	/* that one session may have handled before the others' turn */

static struct session **
bucket(struct spooler *sp, uint64_t id)
{
	return &sp->sessions[(id * 0x9e3779b97f4a7c15ULL) >> 52];
}

struct session *
session_find(struct spooler *sp, uint64_t id)
{
	struct session *s = *bucket(sp, id);

	while (s != NULL && s->id != id)
		s = s->next;
	return s;
}

void
session_drop(struct session *s)
{
	struct session **at = bucket(s->sp, s->id);

	if (s->is_dead)
		return;
	s->is_dead = true;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->next = s->sp->dead;
	s->sp->dead = s;
	loop_remove(&s->sp->loop, &s->watch);
	io_close(&s->watch.fd);
	envelope_drop(&s->pending);
	if (s->message != NULL)
		message_leave(s->message, ABORT_LEFT);
}

void
session_bury(struct spooler *sp)
{
	struct session *s;

	while ((s = sp->dead) != NULL) {
		sp->dead = s->next;
		free(s);
	}
}

void
session_pause(struct session *s)
{
	if (s == NULL || s->is_paused || s->is_dead)
		return;
	s->is_paused = true;
	loop_remove(&s->sp->loop, &s->watch);
}

void
session_resume(struct session *s)
{
	if (!s->is_paused || s->is_dead)
		return;
	s->is_paused = false;
	if (loop_add(&s->sp->loop, &s->watch, EPOLLIN) != ERR_OK) {
		log_event(LOG_LEVEL_ERROR, s->id, "session.dropped", "reason", strerror(errno), NULL);
		session_drop(s);
	}
}

/* What a worker must not send: the log names it, the session ends. */
static void
drop_bad(struct session *s, const char *what, const char *kind)
{
	log_event(LOG_LEVEL_ALARM, s->id, "worker.bad_frame", "what", what, "kind", kind, "account", s->account, NULL);
	session_drop(s);
}

static void
answer(struct session *s, const struct wire_out *w)
{
	int err = ipc_send(s->watch.fd, w, NULL, 0, false);

	if (err == ERR_OK)
		return;
	if (err != ERR_CLOSED)
		log_event(LOG_LEVEL_WARNING, s->id, "session.dropped", "reason", "the worker does not read", NULL);
	session_drop(s);
}

void
session_answer_commit(struct session *s, const struct message *m, enum commit_verdict verdict)
{
	struct ipc_commit_answer a = { .t = m->t, .verdict = verdict };
	uint8_t data[IPC_TEXT_MAX + 16];
	struct wire_out w;

	if (verdict == COMMIT_STORED)
		memcpy(a.id, m->id, sizeof(m->id));
	s->message = NULL;
	s->state = IPC_STATE_GRANTED;
	s->has_last = true;
	s->last_stored = verdict == COMMIT_STORED;
	s->last_t = m->t;
	memcpy(s->last_id, a.id, sizeof(s->last_id));
	wire_out_init(&w, data, sizeof(data));
	ipc_put_commit_answer(&w, &a);
	answer(s, &w);
	/* It may have a way to ask again on a new socket. */
	if (s->is_dead)
		outcome_note(&s->sp->outcomes, s->id, s->last_t, s->last_stored, s->last_id, io_now_ms());
}

void
session_answer_outcome(struct session *s, uint32_t t, bool stored, const char *id)
{
	struct ipc_outcome_answer a = { .t = t, .stored = stored };
	uint8_t data[IPC_TEXT_MAX + 16];
	struct wire_out w;

	s->asks = false;
	s->state = IPC_STATE_GRANTED;
	memcpy(a.id, id, strlen(id) + 1);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_outcome_answer(&w, &a);
	answer(s, &w);
}

void
session_answer_etrn(struct session *s, const struct ipc_etrn_answer *a)
{
	uint8_t data[16];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_etrn_answer(&w, a);
	answer(s, &w);
}

static void
handle_open(struct session *s, struct wire_in *body)
{
	uint32_t t;

	if (ipc_get_transaction(body, &t) != ERR_OK) {
		drop_bad(s, "fields", "OPEN");
		return;
	}
	/* auth has queued the envelope before it answered the worker: it is here, if there is one. */
	link_drain(s->sp);
	if (s->is_dead)
		return;
	if (s->sp->draining || message_open(s, &s->pending, t) == NULL) {
		log_event(LOG_LEVEL_WARNING, s->id, "session.dropped", "reason",
		    s->sp->draining ? "the service is ending" : "out of memory", NULL);
		session_drop(s);
		return;
	}
	s->state = IPC_STATE_OPEN;
}

static void
handle_data(struct session *s, struct wire_in *body)
{
	const uint8_t *p;
	size_t n;

	if (ipc_get_data(body, &p, &n) != ERR_OK)
		drop_bad(s, "fields", "DATA");
	else
		message_take(s->message, p, n);
}

static void
handle_commit(struct session *s, struct wire_in *body)
{
	struct message *m = s->message;
	struct ipc_commit c;

	if (ipc_get_commit(body, &c) != ERR_OK) {
		drop_bad(s, "fields", "COMMIT");
	} else if (c.t != m->t || c.size != m->assembly.taken) {
		drop_bad(s, "another transaction or size", "COMMIT");
	} else {
		s->state = IPC_STATE_COMMITTING;
		message_commit(m);
	}
}

static void
handle_abort(struct session *s, struct wire_in *body)
{
	enum abort_reason reason;

	if (ipc_get_abort(body, &reason) != ERR_OK) {
		drop_bad(s, "fields", "ABORT");
		return;
	}
	s->state = IPC_STATE_GRANTED;
	message_leave(s->message, reason);
}

static void
handle_outcome(struct session *s, struct wire_in *body)
{
	const struct outcome *o;
	struct message *m;
	uint32_t t;

	if (ipc_get_transaction(body, &t) != ERR_OK) {
		drop_bad(s, "fields", "OUTCOME");
		return;
	}
	m = message_find(s->sp, s->id, t);
	if (m != NULL && m->is_committed) {
		s->asks = true;
		s->asked_t = t;
		s->state = IPC_STATE_COMMITTING;
	} else if (s->has_last && s->last_t == t) {
		session_answer_outcome(s, t, s->last_stored, s->last_id);
	} else {
		o = outcome_find(&s->sp->outcomes, s->id, t);
		session_answer_outcome(s, t, o != NULL && o->stored, o != NULL ? o->id : "");
	}
}

static void
handle_etrn(struct session *s, struct wire_in *body)
{
	struct ipc_etrn m;

	if (ipc_get_etrn(body, &m) != ERR_OK || m.domain[0] == '[' || !addr_is_domain(m.domain, strlen(m.domain), false))
		drop_bad(s, "fields", "ETRN");
	else
		etrn_ask(s, &m);
}

static const struct {
	enum ipc_kind	kind;
	void		(*handle)(struct session *s, struct wire_in *body);
} handlers[] = {
	{ IPC_OPEN, handle_open },
	{ IPC_DATA, handle_data },
	{ IPC_COMMIT, handle_commit },
	{ IPC_ABORT, handle_abort },
	{ IPC_OUTCOME, handle_outcome },
	{ IPC_ETRN, handle_etrn },
};

static void
dispatch(struct session *s, struct ipc_message *m)
{
	if (!ipc_may(m->kind, s->state)) {
		drop_bad(s, "not now", ipc_kind_name(m->kind));
		return;
	}
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (handlers[i].kind == m->kind) {
			handlers[i].handle(s, &m->body);
			return;
		}
	}
	drop_bad(s, "kind", ipc_kind_name(m->kind));
}

static void
handle_socket(void *owner, uint32_t events)
{
	struct session *s = owner;
	struct ipc_message m;

	(void)events;
	for (int i = 0; i < DATAGRAMS_A_ROUND && !s->is_dead && !s->is_paused; i++) {
		int err = ipc_recv(s->watch.fd, IPC_SPOOL_FROM_WORKER, s->sp->datagram, sizeof(s->sp->datagram), false, &m);

		if (err == ERR_BUSY)
			return;
		if (err == ERR_CLOSED)
			session_drop(s);
		else if (err != ERR_OK)
			drop_bad(s, err_text(err), NULL);
		else
			dispatch(s, &m);
	}
}

/* RFC 5321, 4.1.3, and a form of our own for users of this machine. */
static void
put_client(char *to, size_t size, const struct netaddr *peer)
{
	char host[NETADDR_TEXT];

	if (peer->family == NETADDR_LOCAL)
		str_fmt(to, size, "user %lu", (unsigned long)netaddr_user(peer));
	else
		str_fmt(to, size, "[%s%s]", peer->family == 6 ? "IPv6:" : "", netaddr_put_host(host, peer));
}

void
session_grant(struct spooler *sp, const struct ipc_grant *g, int fd)
{
	struct session *old = session_find(sp, g->session), *s = calloc(1, sizeof(*s));
	struct session **at = bucket(sp, g->session);

	if (s == NULL) {
		io_close(&fd);
		return;
	}
	*s = (struct session){ .sp = sp, .watch = { .fd = fd, .handle = handle_socket, .owner = s }, .id = g->session,
	    .tls = g->listener != LISTENER_PLAIN && g->listener != LISTENER_LOCAL, .local = g->listener == LISTENER_LOCAL,
	    .state = IPC_STATE_GRANTED };
	memcpy(s->account, g->name, sizeof(s->account));
	memcpy(s->credential, g->credential, sizeof(s->credential));
	s->peer = g->peer;
	s->listener = g->listener;
	s->mechanism = g->mechanism;
	s->began_us = g->began_us;
	s->login_us = g->login_us;
	put_client(s->client, sizeof(s->client), &g->peer);
	if (old != NULL) {
		s->is_traced = old->is_traced;
		s->has_last = old->has_last;
		s->last_stored = old->last_stored;
		s->last_t = old->last_t;
		memcpy(s->last_id, old->last_id, sizeof(s->last_id));
		session_drop(old);
	}
	s->next = *at;
	*at = s;
	if (loop_add(&sp->loop, &s->watch, EPOLLIN) != ERR_OK) {
		log_event(LOG_LEVEL_ERROR, s->id, "session.dropped", "reason", strerror(errno), NULL);
		session_drop(s);
	}
}
