/*
 * The loop of postern-keys: the master's socket brings sessions and the link to spool, a session's socket one text to sign. Runs
 * sandboxed, without files, network or children. Invariant: a session gets at most one signature, only of a text that the judge
 * accepts; whatever else it sends ends that session here and nothing more; no answer waits for its reader.
 */
#include "serve.h"

#include <stdint.h>
#include <stdlib.h>
#include <openssl/err.h>

#include "dkim_serve.h"
#include "err.h"
#include "io.h"
#include "ipc.h"
#include "key.h"
#include "log.h"
#include "loop.h"
#include "netaddr.h"

#define DRAIN_MS 10000	/* how long sessions may still want a signature when the master has gone or reloaded */

struct server {
	struct loop		 loop;
	struct loop_watch	 control;
	const struct key	*keys;
	size_t			 nkeys;
	size_t			 open;		/* sessions */
};

struct session {
	struct loop_watch	 watch;
	uint64_t		 number;
	struct netaddr		 peer;
	enum ipc_state		 state;
};

static struct server server;
static uint8_t datagram[IPC_SMALL_MAX];

static void
close_session(struct session *s)
{
	loop_remove(&server.loop, &s->watch);
	io_close(&s->watch.fd);
	server.open--;
	free(s);
}

static void
log_session(const struct session *s, enum log_level level, const char *event, const char *reason)
{
	char peer[NETADDR_TEXT];

	log_event(level, s->number, event, "peer", netaddr_put_host(peer, &s->peer), "reason", reason, NULL);
}

static int
answer(const struct session *s, const uint8_t *signature, size_t len)
{
	struct ipc_sign_answer m = { .signature = signature, .signature_len = len };
	uint8_t data[IPC_SIGNATURE_MAX + 16];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_sign_answer(&w, &m);
	return ipc_send(s->watch.fd, &w, NULL, 0, false);
}

/* Why this must not be signed, or NULL. */
static const char *
judge(const struct ipc_sign *m)
{
	enum judge_shape shape;

	if (m->key >= server.nkeys)
		return "no such key";
	if (judge_text(m->text, m->text_len, &shape) != ERR_OK)
		return "the text is not a TLS server's";
	if (!judge_may_sign(server.keys[m->key].kind, shape, m->algorithm))
		return "the algorithm does not fit key and text";
	return NULL;
}

/* ERR_DENIED: answered with a refusal. */
static int
answer_sign(struct session *s, struct wire_in *body)
{
	uint8_t signature[IPC_SIGNATURE_MAX];
	struct ipc_sign m;
	const char *reason;
	size_t len;
	int err;

	if ((err = ipc_get_sign(body, &m)) != ERR_OK) {
		log_session(s, LOG_LEVEL_ALARM, "frame-bad", err_text(err));
		return err;
	}
	s->state = IPC_STATE_SIGNED;
	if ((reason = judge(&m)) != NULL) {
		log_session(s, LOG_LEVEL_ALARM, "sign-refused", reason);
		answer(s, NULL, 0);
		return ERR_DENIED;
	}
	if (key_sign(&server.keys[m.key], m.algorithm, m.text, m.text_len, signature, &len) != ERR_OK) {
		log_session(s, LOG_LEVEL_ERROR, "sign-failed", ERR_reason_error_string(ERR_peek_last_error()));
		ERR_clear_error();
		answer(s, NULL, 0);
		return ERR_SYSTEM;
	}
	return answer(s, signature, len);
}

static void
handle_session(void *owner, uint32_t events)
{
	struct session *s = owner;
	struct ipc_message m;
	int err;

	(void)events;
	err = ipc_recv(s->watch.fd, IPC_KEYS_FROM_WORKER, datagram, sizeof(datagram), false, &m);
	if (err == ERR_BUSY)
		return;
	if (err == ERR_CLOSED) {
		close_session(s);
		return;
	}
	if (err != ERR_OK) {
		log_session(s, LOG_LEVEL_ALARM, "frame-bad", err_text(err));
	} else if (!ipc_may(m.kind, s->state)) {
		log_session(s, LOG_LEVEL_ALARM, "sign-refused", "a second signature");
		err = ERR_DENIED;
	} else {
		err = answer_sign(s, &m.body);
	}
	ipc_message_close(&m);
	if (err != ERR_OK)
		close_session(s);
}

/* Takes the session's socket from the message. */
static int
open_session(struct ipc_message *m)
{
	struct ipc_session in;
	struct session *s;
	int err;

	if ((err = ipc_get_session(&m->body, &in)) != ERR_OK)
		return err;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return ERR_NOMEM;
	s->number = in.session;
	s->peer = in.peer;
	s->state = IPC_STATE_UNSIGNED;
	s->watch = (struct loop_watch){ .fd = m->fds[0], .handle = handle_session, .owner = s };
	if ((err = loop_add(&server.loop, &s->watch, EPOLLIN)) != ERR_OK) {
		free(s);
		return err;
	}
	m->fds[0] = -1;
	server.open++;
	return ERR_OK;
}

/* The socket to spool: what it asks is dkim_serve.c's. */
static int
take_link(struct ipc_message *m)
{
	enum link_peer peer;
	int err;

	if ((err = ipc_get_link(&m->body, &peer)) != ERR_OK)
		return err;
	if (peer != LINK_SPOOL)
		return ERR_DENIED;
	dkim_serve_link(&server.loop, m->fds[0]);
	m->fds[0] = -1;
	return ERR_OK;
}

/* A session that can't be taken up is lost, and its worker sees the socket end; the others go on. */
static void
handle_control(void *owner, uint32_t events)
{
	struct ipc_message m;
	int err;

	(void)owner;
	(void)events;
	err = ipc_recv(server.control.fd, IPC_KEYS_FROM_MASTER, datagram, sizeof(datagram), false, &m);
	if (err == ERR_BUSY)
		return;
	if (err == ERR_CLOSED || err == ERR_SYSTEM) {
		loop_remove(&server.loop, &server.control);
		io_close(&server.control.fd);
		return;
	}
	if (err == ERR_OK)
		err = m.kind == IPC_LINK ? take_link(&m) : open_session(&m);
	ipc_message_close(&m);
	if (err != ERR_OK)
		log_error(m.kind == IPC_LINK ? "link-lost" : "session-lost", "reason", err_text(err), NULL);
}

int
serve_open(int control_fd, const struct key *keys, size_t n, const struct dkim_key *dkim, size_t ndkim)
{
	int err;

	server = (struct server){ .keys = keys, .nkeys = n };
	dkim_serve_open(dkim, ndkim);
	server.control = (struct loop_watch){ .fd = control_fd, .handle = handle_control, .owner = &server };
	if ((err = loop_open(&server.loop)) != ERR_OK)
		return err;
	return loop_add(&server.loop, &server.control, EPOLLIN);
}

int
serve_run(void)
{
	uint64_t deadline, now;
	int err = ERR_OK;

	while (err == ERR_OK && server.control.fd >= 0)
		err = loop_run_once(&server.loop, -1);
	/* Spool asks the next one, whom the master has linked it with. */
	dkim_serve_close(&server.loop);
	deadline = io_now_ms() + DRAIN_MS;
	while (err == ERR_OK && server.open != 0 && (now = io_now_ms()) < deadline)
		err = loop_run_once(&server.loop, (int)(deadline - now));
	io_close(&server.loop.epoll_fd);
	return err;
}
