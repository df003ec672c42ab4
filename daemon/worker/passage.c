/*
 * A message on its way: gathered in chunks for the spool, and the spool's word carried back. Run by workers.
 * Invariant: 250 is said only after the spool said STORED for this very transaction; when its word is lost the new spool is
 * asked, and when nobody can tell, nothing is said at all.
 */
#include "passage.h"

#include <string.h>

#include "err.h"
#include "io.h"
#include "mime.h"
#include "request.h"
#include "session.h"

#define SPOOL_WAIT_MS 3000	/* for a spool to come back before a message is given to it */
#define OUTCOME_WAIT_MS 30000	/* for a spool to come back and say what became of a commit */

/* Of the one message that this process has at a time. */
static uint8_t chunk[IPC_DATA_MAX];
static struct mime mime;

void
passage_begin(const struct session *s, struct passage *p)
{
	*p = (struct passage){ .open = false };
	body_init(&p->body, s->device);
	mime_init(&mime, s->conf->limits_attachment_size);
}

bool
passage_is_refused(const struct session *s, const struct passage *p)
{
	return p->failed || p->body.faults != 0 || p->body.size > s->message_size || mime.verdict != MIME_OK;
}

/* Sends what waits; opens first. Nothing sent yet means that a lost spool can still be replaced. */
static int
pass_on(struct session *s, struct passage *p)
{
	int err = ERR_OK;

	if (!p->open) {
		err = request_open(s);
		p->open = err == ERR_OK;
	}
	if (err == ERR_OK && p->waiting != 0)
		err = request_data(s, chunk, p->waiting);
	if (err == ERR_OK) {
		p->passed += p->waiting;
		p->waiting = 0;
	}
	return err;
}

/* The same, once more with a spool that was started again while all there is of the message is still here. */
static int
pass_on_safely(struct session *s, struct passage *p)
{
	int err = pass_on(s, p);

	if (err == ERR_OK || p->passed != 0)
		return err;
	p->open = false;
	if ((err = request_spool(s, SPOOL_WAIT_MS)) != ERR_OK)
		return err;
	return pass_on(s, p);
}

/* Waits for octets of the message. */
static int
await(struct session *s)
{
	if (conn_available(s->conn) != 0)
		return ERR_OK;
	return conn_fill(s->conn, io_now_ms() + s->conf->limits_data_timeout, false);
}

/* Of a refused message nothing goes on; of any other what fills a chunk. */
static void
relieve(struct session *s, struct passage *p)
{
	if (passage_is_refused(s, p))
		p->waiting = 0;
	else if (sizeof(chunk) - p->waiting < 2 && pass_on_safely(s, p) != ERR_OK)
		p->failed = true;
}

int
passage_carry_lines(struct session *s, struct passage *p)
{
	bool ended = false;

	while (!ended) {
		size_t used = 0, before = p->waiting;
		int err;

		if ((err = await(s)) != ERR_OK)
			return err;
		ended = body_read(&p->body, conn_data(s->conn), conn_available(s->conn), &used, chunk, sizeof(chunk),
		    &p->waiting);
		mime_feed(&mime, chunk + before, p->waiting - before);
		conn_consume(s->conn, used);
		relieve(s, p);
	}
	return ERR_OK;
}

int
passage_carry_octets(struct session *s, struct passage *p, uint64_t n)
{
	while (n != 0) {
		size_t take;
		int err;

		if ((err = await(s)) != ERR_OK)
			return err;
		take = conn_available(s->conn);
		if (take > n)
			take = (size_t)n;
		if (take > sizeof(chunk) - p->waiting)
			take = sizeof(chunk) - p->waiting;
		body_take(&p->body, conn_data(s->conn), take);
		memcpy(chunk + p->waiting, conn_data(s->conn), take);
		mime_feed(&mime, chunk + p->waiting, take);
		p->waiting += take;
		conn_consume(s->conn, take);
		n -= take;
		relieve(s, p);
	}
	return ERR_OK;
}

static enum reply_id
stored(struct session *s, const char *id)
{
	s->messages++;
	session_put_detail(s, "%s", id);
	return REPLY_QUEUED;
}

/* The commit's answer was lost: the spool that comes next knows what became of it. */
static enum reply_id
learn_outcome(struct session *s)
{
	uint64_t deadline = io_now_ms() + OUTCOME_WAIT_MS;
	struct ipc_outcome_answer outcome;

	while (io_now_ms() < deadline) {
		if (request_spool(s, deadline - io_now_ms()) != ERR_OK)
			break;
		if (request_outcome(s, &outcome) == ERR_OK)
			return outcome.stored ? stored(s, outcome.id) : REPLY_LOCAL_ERROR;
	}
	s->ending = true;
	s->end = SESSION_SERVICE_LOST;
	return REPLY_NONE;
}

static enum reply_id
commit(struct session *s, struct passage *p)
{
	struct ipc_commit_answer answer;
	bool asked;

	if ((p->waiting != 0 || !p->open) && pass_on_safely(s, p) != ERR_OK)
		return REPLY_LOCAL_ERROR;
	if (request_commit(s, p->body.size, &answer, &asked) != ERR_OK)
		return asked ? learn_outcome(s) : REPLY_LOCAL_ERROR;
	switch (answer.verdict) {
	case COMMIT_STORED:
		return stored(s, answer.id);
	case COMMIT_NO_STORAGE:
		return REPLY_NO_STORAGE;
	case COMMIT_TOO_BIG:
		session_put_detail(s, "%llu", (unsigned long long)s->message_size);
		return REPLY_MESSAGE_TOO_BIG;
	case COMMIT_BAD_OCTETS:
		return REPLY_BAD_OCTETS;
	case COMMIT_MALFORMED:
		session_put_detail(s, "its header is over 256 KiB");
		return REPLY_MALFORMED_MESSAGE;
	case COMMIT_SENDER_NOT_ALLOWED:
		return REPLY_HEADER_SENDER_NOT_ALLOWED;
	case COMMIT_NO_RECIPIENTS:
		return REPLY_NO_RECIPIENTS;
	case COMMIT_TWO_FROM:
		session_put_detail(s, "it has two From fields");
		return REPLY_MALFORMED_MESSAGE;
	case COMMIT_BAD_FROM:
		session_put_detail(s, "its From field holds no address that can be read");
		return REPLY_MALFORMED_MESSAGE;
	case COMMIT_LOOP:
		return REPLY_LOOP;
	case COMMIT_LOGIN_VOID:
		return REPLY_LOGIN_VOID;
	case COMMIT_ERROR:
		return REPLY_LOCAL_ERROR;
	}
	return REPLY_LOCAL_ERROR;
}

/* One that was refused before any of it was passed on is opened for the trace, which then knows of it. */
static void
drop(struct session *s, struct passage *p, enum abort_reason reason)
{
	if (!p->open && reason != ABORT_LEFT)
		p->open = request_open(s) == ERR_OK;
	if (p->open)
		request_abort(s, reason);
	p->open = false;
}

/* For the trace: the client learns it from the reply. */
static enum abort_reason
reason_of(const struct session *s, const struct passage *p)
{
	if ((p->body.faults & BODY_FAULT_OCTETS) != 0)
		return ABORT_OCTETS;
	if (p->body.size > s->message_size)
		return ABORT_TOO_BIG;
	if (p->failed)
		return ABORT_TROUBLE;
	return mime.verdict == MIME_ATTACHMENT_TOO_BIG ? ABORT_ATTACHMENT : mime.verdict == MIME_MALFORMED ? ABORT_MALFORMED : ABORT_LINE;
}

static enum reply_id
refuse(struct session *s, struct passage *p)
{
	drop(s, p, reason_of(s, p));
	if ((p->body.faults & BODY_FAULT_OCTETS) != 0)
		return REPLY_BAD_OCTETS;
	if (p->body.size > s->message_size) {
		session_put_detail(s, "%llu", (unsigned long long)s->message_size);
		return REPLY_MESSAGE_TOO_BIG;
	}
	if (p->failed)
		return REPLY_LOCAL_ERROR;
	if (mime.verdict == MIME_ATTACHMENT_TOO_BIG) {
		session_put_detail(s, "%s", mime.name);
		return REPLY_ATTACHMENT_TOO_BIG;
	}
	if (mime.verdict == MIME_MALFORMED) {
		session_put_detail(s, "%s", mime.reason);
		return REPLY_MALFORMED_MESSAGE;
	}
	session_put_detail(s, "a line is over %u octets", BODY_LINE_MAX);
	return REPLY_MALFORMED_MESSAGE;
}

void
passage_drop(struct session *s, struct passage *p)
{
	drop(s, p, ABORT_LEFT);
}

enum reply_id
passage_end(struct session *s, struct passage *p)
{
	mime_end(&mime);
	return passage_is_refused(s, p) ? refuse(s, p) : commit(s, p);
}
