/*
 * One session: greeting, then read a line, run it, reply, until its end. Run by a worker, sandboxed, with the client's
 * connection and the sockets to the services and nothing else. Sequential: it reads from top to bottom.
 */
#include "session.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "err.h"
#include "io.h"
#include "line.h"
#include "local.h"
#include "request.h"
#include "str.h"
#include "tls.h"

static uint64_t
command_deadline(const struct session *s)
{
	return io_now_ms() + s->conf->limits_command_timeout;
}

bool
session_has_tls(const struct session *s)
{
	return s->conn->tls != NULL;
}

bool
session_needs_tls(const struct session *s)
{
	return s->facts.listener != LISTENER_PLAIN && s->facts.listener != LISTENER_LOCAL && !session_has_tls(s);
}

enum reply_id
session_lost(struct session *s, int err)
{
	s->ending = true;
	switch (err) {
	case ERR_TIMEOUT:
		s->end = s->conn->stopping ? SESSION_SHUTDOWN : SESSION_TIMEOUT;
		return s->conn->stopping ? REPLY_SHUTDOWN : REPLY_TIMEOUT;
	case ERR_BUSY:
		s->end = SESSION_SHUTDOWN;
		return REPLY_SHUTDOWN;
	default:
		s->end = SESSION_DISCONNECTED;
		return REPLY_NONE;
	}
}

void
session_put_detail(struct session *s, const char *fmt, ...)
{
	size_t len = strlen(s->detail);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->detail + len, sizeof(s->detail) - len, fmt, ap);
	va_end(ap);
}

static int
put_reply(struct session *s, enum reply_id id)
{
	/* Not on the stack, where the probes of -fstack-clash-protection would touch all of it. */
	static char text[CONN_OUT_MAX];
	const struct reply *r = reply_find(id);
	const char *argument = s->detail;
	size_t n;

	if (r == NULL)
		return ERR_OK;
	if ((r->traits & REPLY_TAKES_ARGUMENT) != 0 && s->detail[0] == 0)
		argument = s->conf->hostname;
	n = reply_put(text, sizeof(text), id, argument, s->conf->replies_rfc != 0);
	s->detail[0] = 0;
	return conn_put(s->conn, text, n, command_deadline(s));
}

int
session_say(struct session *s, enum reply_id id)
{
	int err;

	if ((err = put_reply(s, id)) == ERR_OK)
		err = conn_flush(s->conn, command_deadline(s));
	if (err != ERR_OK)
		session_lost(s, err);
	return err;
}

int
session_hear(struct session *s, uint8_t **line, size_t *len)
{
	int err = conn_read_line(s->conn, LINE_AUTH_MAX, command_deadline(s), line, len);

	if (err != ERR_OK && err != ERR_TOOBIG)
		put_reply(s, session_lost(s, err));
	return err;
}

void
session_forget(struct session *s)
{
	s->phase = PHASE_READY;
	s->t = 0;
	s->smtputf8 = false;
}

void
session_reset(struct session *s)
{
	if (s->phase == PHASE_BDAT)
		passage_drop(s, &s->passage);
	if (s->phase > PHASE_READY) {
		request_reset(s);
		session_forget(s);
	}
}

/* Says the final reply of a command and draws the consequences that its row names. */
static void
conclude(struct session *s, enum reply_id id)
{
	const struct reply *r = reply_find(id);
	int err;

	if (r == NULL)
		return;
	err = put_reply(s, id);
	if (err == ERR_OK && (r->traits & REPLY_IS_ERROR) != 0 && ++s->errors >= s->conf->limits_errors && !s->ending) {
		s->end = SESSION_TOO_MANY_ERRORS;
		s->ending = true;
		err = put_reply(s, REPLY_TOO_MANY_ERRORS);
	}
	if ((r->traits & REPLY_CLOSES) != 0)
		s->ending = true;
	if (err != ERR_OK)
		session_lost(s, err);
}

static enum reply_id
first_reply(struct session *s)
{
	switch (s->facts.verdict) {
	case PEER_SERVE:
		return s->facts.listener == LISTENER_LOCAL ? local_login(s) : REPLY_GREETING;
	case PEER_TOO_MANY:
		return REPLY_TOO_MANY_FROM_ADDRESS;
	case PEER_OVERLOADED:
		return REPLY_OVERLOADED;
	case PEER_CLOSED:
		return REPLY_CLOSED_TO_CLIENT;
	case PEER_PAUSED:
		return REPLY_SHUTDOWN;
	case PEER_BANNED:
		return REPLY_BANNED;
	}
	return REPLY_BANNED;
}

bool
session_start_tls(struct session *s)
{
	int err = tls_handshake(&s->conn->tls, s->tls, s->conn->fd, s->keys_fd, command_deadline(s));

	io_close(&s->keys_fd);
	if (err != ERR_OK) {
		s->end = SESSION_TLS_FAILED;
		s->ending = true;
		return false;
	}
	return true;
}

static bool
begin(struct session *s)
{
	if (s->facts.listener == LISTENER_SUBMISSIONS && !session_start_tls(s))
		return false;
	s->end = s->facts.verdict == PEER_SERVE ? SESSION_DISCONNECTED : SESSION_REFUSED;
	conclude(s, first_reply(s));
	return !s->ending;
}

void
session_run(struct session *s)
{
	bool serve = begin(s);

	while (serve && !s->ending) {
		enum reply_id reply;
		uint8_t *line;
		size_t len;
		int err = conn_read_line(s->conn, LINE_AUTH_MAX, command_deadline(s), &line, &len);

		if (err == ERR_TOOBIG) {
			reply = REPLY_LINE_TOO_LONG;
		} else if (err != ERR_OK) {
			reply = session_lost(s, err);
		} else {
			s->commands++;
			/* Only AUTH's initial response may be longer than an ordinary command. */
			reply = len > LINE_COMMAND_MAX && !str_is_equal_nocase(line, 5, "AUTH ", 5) ?
			    REPLY_LINE_TOO_LONG : command_run(s, line, len);
		}
		conclude(s, reply);
	}
	conn_flush(s->conn, command_deadline(s));
	if (s->conn->tls != NULL)
		tls_close(s->conn->tls);
	conn_linger(s->conn);
}
