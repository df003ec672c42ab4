/*
 * Sessions as postern-auth keeps them, and the gate that each worker's message passes. Invariant: a
 * message that is malformed, or that this session may not send in its state, ends this session and
 * nothing else.
 */
#include "session.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "mem.h"

static const struct request {
	enum ipc_kind	kind;
	int		(*answer)(struct session *s, struct wire_in *body);
} requests[] = {
	{ IPC_LOGIN, login_request },
	{ IPC_SENDER, verdict_sender },
	{ IPC_RECIPIENT, verdict_recipient },
	{ IPC_RESET, verdict_reset },
	{ IPC_SPOOL, verdict_spool },
	{ IPC_STATUS, status_request },
};

static struct session **
find(struct auth *a, uint64_t number)
{
	struct session **at = &a->sessions[number % AUTH_SESSION_BUCKETS];

	while (*at != NULL && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

struct session *
session_find(struct auth *a, uint64_t number)
{
	return *find(a, number);
}

static int
dispatch(struct session *s, struct ipc_message *m)
{
	if (!ipc_may(m->kind, s->state))
		return ERR_DENIED;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].kind == m->kind)
			return requests[i].answer(s, &m->body);
	return ERR_DENIED;
}

/* Why a session ends before its worker has ended it. */
static void
log_end(const struct session *s, enum ipc_kind kind, int err)
{
	if (err == ERR_CLOSED)
		return;
	if (err == ERR_BUSY)
		log_event(LOG_LEVEL_ALARM, s->number, "worker.stuck", "text", "it does not read its answers", NULL);
	else
		log_event(LOG_LEVEL_ALARM, s->number, "message.bad", "peer", "worker", "kind", ipc_kind_name(kind), "error",
		    err_text(err), NULL);
}

static void
handle(void *owner, uint32_t events)
{
	static uint8_t data[IPC_SMALL_MAX];
	struct session *s = owner;
	struct ipc_message m;
	int err;

	(void)events;
	/* What the master has said before comes first: a new link, a new configuration. */
	control_drain(s->auth);
	/* What became of its message the worker hears after us, but may ask before we were told. */
	if (s->transaction != NULL && s->transaction->is_message)
		link_drain(s->auth);
	if ((err = ipc_recv(s->watch.fd, IPC_AUTH_FROM_WORKER, data, sizeof(data), false, &m)) == ERR_BUSY)
		return;
	if (err == ERR_OK) {
		err = dispatch(s, &m);
		if (m.kind == IPC_LOGIN)
			mem_wipe(data, sizeof(data));
	}
	if (err == ERR_OK)
		return;
	log_end(s, m.kind, err);
	if (err != ERR_CLOSED && s->transaction != NULL)
		link_drop(s);
	session_end(s);
}

int
session_begin(struct auth *a, const struct ipc_session *m, int fd)
{
	struct session **at = find(a, m->session), *s;

	if (*at != NULL)
		return ERR_EXISTS;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return ERR_NOMEM;
	*s = (struct session){
		.auth = a, .conf = a->conf, .number = m->session, .peer = m->peer, .listener = m->listener,
		.watch = { .fd = fd, .handle = handle, .owner = s },
		/* Where the client is not served its worker has nothing to ask. */
		.state = m->verdict == PEER_SERVE ? IPC_STATE_ANONYMOUS : IPC_STATE_WAITING,
		.deadline = { .owner = s }, .began_us = io_now_us(),
	};
	if (loop_add(&a->loop, &s->watch, EPOLLIN) != ERR_OK) {
		free(s);
		return ERR_SYSTEM;
	}
	s->conf->users++;
	*at = s;
	a->nsessions++;
	return ERR_OK;
}

void
session_end(struct session *s)
{
	struct auth *a = s->auth;

	login_cancel(s);
	transaction_end(s);
	if (s->account != 0)
		counters_release(&a->counters, s->account);
	loop_remove(&a->loop, &s->watch);
	io_close(&s->watch.fd);
	auth_conf_release(s->conf);
	*find(a, s->number) = s->next;
	a->nsessions--;
	free(s->name);
	free(s->credential_name);
	free(s);
}

int
session_answer(struct session *s, const struct wire_out *w, int fd)
{
	return ipc_send(s->watch.fd, w, &fd, fd >= 0 ? 1 : 0, false);
}

/* The smaller one; 0 is none. */
static uint64_t
narrow(uint64_t limit, uint64_t other)
{
	return other != 0 && other < limit ? other : limit;
}

void
session_set_limits(struct session *s, const struct registry_limits *own, const struct registry_limits *credential)
{
	const struct conf *c = &s->conf->conf;

	s->limits.sessions = own->sessions != 0 ? own->sessions : c->limits_sessions_per_account;
	s->limits.recipients = narrow(own->recipients != 0 ? own->recipients : c->limits_recipients, credential->recipients);
	/* Workers know the configuration's: more than that nobody gets. */
	s->limits.message_size = narrow(narrow(c->limits_message_size, own->message_size), credential->message_size);
	s->limits.messages_per_hour = own->messages_per_hour;
	s->credential_messages_per_hour = credential->messages_per_hour;
}

/* The account's name is another one now. Who could not be told hears it at the next command: the old name stays till then. */
static void
rename_session(struct session *s, const char *name)
{
	char *before = s->name, *copy = strdup(name);

	if (copy == NULL)
		return;
	s->name = copy;
	if (link_put_name(s) != ERR_OK) {
		s->name = before;
		free(copy);
		return;
	}
	log_event(LOG_LEVEL_INFO, s->number, "account.renamed", "account", before, "name", copy, NULL);
	free(before);
	control_tell_account(s->auth, s);
}

int
session_check_login(struct session *s)
{
	struct registry *r = s->auth->registry;
	struct registry_login login;
	int err;

	if ((err = registry_check_login(r, s->account, s->credential, s->changed_us, &login)) == ERR_OK &&
	    login.scoped[SCOPE_NETWORK])
		err = registry_check_network(r, s->credential, &s->peer);
	if (err != ERR_OK) {
		if (err != ERR_DENIED)
			auth_log_trouble(s->auth, err);
		return err;
	}
	session_set_limits(s, &login.limits, &login.credential_limits);
	memcpy(s->scoped, login.scoped, sizeof(s->scoped));
	if (strcmp(s->name, login.account_name) != 0)
		rename_session(s, login.account_name);
	return ERR_OK;
}
