/*
 * What a user may do: senders, recipients, header From. Part of postern-auth. Invariant: every request
 * asks the registry anew, so that what an admin changes is in force at the next command; what is
 * approved is in the spool's socket before the answer.
 */
#include "err.h"
#include "io.h"
#include "log.h"
#include "rates.h"
#include "session.h"

#define GRANTS_MAX 8	/* sockets of one session to one spool; a worker asks again only after a fault */

static int
answer_sender(struct session *s, enum sender_verdict verdict)
{
	struct ipc_sender_answer m = { .verdict = verdict, .t = verdict == SENDER_OK ? s->t : 0,
	    .wait_seconds = verdict == SENDER_THROTTLED ? s->wait_seconds : 0,
	    .message_size = verdict == SENDER_OK || verdict == SENDER_TOO_BIG ? s->limits.message_size : 0 };
	uint8_t data[64];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_sender_answer(&w, &m);
	return session_answer(s, &w, -1);
}

static int
answer_recipient(struct session *s, enum recipient_verdict verdict)
{
	struct ipc_recipient_answer m = { .verdict = verdict, .t = verdict == RECIPIENT_OK ? s->t : 0 };
	uint8_t data[64];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_recipient_answer(&w, &m);
	return session_answer(s, &w, -1);
}

/* Whether account and credential both permit the address as a sender: ERR_OK, ERR_DENIED, or the registry can't tell. */
static int
check_sender(struct session *s, const struct addr *address)
{
	struct registry *r = s->auth->registry;
	int err = registry_check_sender(r, s->account, address);

	if (err == ERR_OK && s->scoped[SCOPE_SENDER])
		err = registry_check_scope(r, s->credential, SCOPE_SENDER, address);
	if (err != ERR_OK && err != ERR_DENIED)
		auth_log_trouble(s->auth, err);
	return err;
}

/* Whether one more message is within the limits of an hour; else s->wait_seconds says how long it is not. */
static bool
is_within_rate(struct session *s)
{
	uint64_t now = io_now_ms(), wait = 0, more = 0;

	if (s->limits.messages_per_hour != 0)
		wait = rates_wait(s->auth->rates, RATE_OF_ACCOUNT, s->account, s->limits.messages_per_hour, now);
	if (s->credential_messages_per_hour != 0)
		more = rates_wait(s->auth->rates, RATE_OF_CREDENTIAL, s->credential, s->credential_messages_per_hour, now);
	s->wait_seconds = (uint32_t)(((more > wait ? more : wait) + 999) / 1000);
	return s->wait_seconds == 0;
}

static enum sender_verdict
judge_sender(struct session *s, const struct ipc_sender *m)
{
	struct auth *a = s->auth;
	int err;

	if (a->stopping || !link_is_up(a))
		return SENDER_UNAVAILABLE;
	if ((err = session_check_login(s)) != ERR_OK)
		return err == ERR_DENIED ? SENDER_LOGIN_VOID : SENDER_UNAVAILABLE;
	if ((err = check_sender(s, &m->address)) != ERR_OK)
		return err == ERR_DENIED ? SENDER_NOT_ALLOWED : SENDER_UNAVAILABLE;
	if (m->size > s->limits.message_size)
		return SENDER_TOO_BIG;
	if (!is_within_rate(s))
		return SENDER_THROTTLED;
	return a->link.has_storage ? SENDER_OK : SENDER_NO_STORAGE;
}

int
verdict_sender(struct session *s, struct wire_in *body)
{
	enum sender_verdict verdict;
	struct ipc_sender m;
	bool had_one = s->transaction != NULL;
	int err;

	if ((err = ipc_get_sender(body, &m)) != ERR_OK)
		return err;
	/* RFC 6531, 3.3. A worker refuses this itself: one that asks has been taken over. */
	if (m.address.is_utf8 && !m.smtputf8)
		return ERR_SYNTAX;
	/* The old one ends here, whatever becomes of the new one; to the spool a new envelope says so by itself. */
	transaction_end(s);
	verdict = judge_sender(s, &m);
	if (verdict == SENDER_NOT_ALLOWED || verdict == SENDER_LOGIN_VOID || verdict == SENDER_THROTTLED)
		log_event(LOG_LEVEL_INFO, s->number, "sender.refused", "account", s->name, "sender", m.address.text, "reason",
		    verdict == SENDER_LOGIN_VOID ? "login_void" : verdict == SENDER_THROTTLED ? "too_many_messages" : "not_allowed",
		    NULL);
	if (verdict != SENDER_OK) {
		if (had_one)
			link_drop(s);
		return answer_sender(s, verdict);
	}
	if ((err = transaction_begin(s, &m)) != ERR_OK || (err = link_put_sender(s)) != ERR_OK) {
		transaction_end(s);
		verdict = SENDER_UNAVAILABLE;
	}
	return answer_sender(s, verdict);
}

/*
 * The same recipient again: one copy, and what is asked for now is added. The envelope gets a new number, since an approval is good
 * for one message: what was opened with the old one is none any more.
 */
static enum recipient_verdict
repeat_recipient(struct session *s, struct recipient **at, const struct ipc_recipient *m)
{
	int err;

	if (s->transaction->is_message)
		return RECIPIENT_UNAVAILABLE;
	if ((err = transaction_merge(s->transaction, at, m)) != ERR_OK)
		return err == ERR_EXISTS ? RECIPIENT_OK : RECIPIENT_UNAVAILABLE;
	s->t++;
	if (link_put_envelope(s) == ERR_OK)
		return RECIPIENT_OK;
	/* What the spool has of it now must be nobody's. */
	s->t++;
	return RECIPIENT_UNAVAILABLE;
}

static enum recipient_verdict
judge_recipient(struct session *s, const struct ipc_recipient *m)
{
	struct transaction *t = s->transaction;
	struct recipient **at;
	int err;

	if (!link_is_up(s->auth))
		return RECIPIENT_UNAVAILABLE;
	if ((err = session_check_login(s)) != ERR_OK)
		return err == ERR_DENIED ? RECIPIENT_LOGIN_VOID : RECIPIENT_UNAVAILABLE;
	if (s->scoped[SCOPE_RECIPIENT] &&
	    (err = registry_check_scope(s->auth->registry, s->credential, SCOPE_RECIPIENT, &m->address)) != ERR_OK) {
		if (err == ERR_DENIED)
			return RECIPIENT_DENIED;
		auth_log_trouble(s->auth, err);
		return RECIPIENT_UNAVAILABLE;
	}
	if ((at = transaction_find(t, &m->address)) != NULL)
		return repeat_recipient(s, at, m);
	if (t->nrecipients >= s->limits.recipients)
		return RECIPIENT_TOO_MANY;
	if (transaction_add(t, m) != ERR_OK)
		return RECIPIENT_UNAVAILABLE;
	if (link_put_recipient(s, m) == ERR_OK)
		return RECIPIENT_OK;
	transaction_undo(t);
	return RECIPIENT_UNAVAILABLE;
}

int
verdict_recipient(struct session *s, struct wire_in *body)
{
	enum recipient_verdict verdict;
	struct ipc_recipient m;
	int err;

	if ((err = ipc_get_recipient(body, &m)) != ERR_OK)
		return err;
	if (m.address.is_utf8 && !s->transaction->sender.smtputf8)
		return ERR_SYNTAX;
	if ((verdict = judge_recipient(s, &m)) == RECIPIENT_DENIED)
		log_event(LOG_LEVEL_INFO, s->number, "recipient.refused", "account", s->name, "recipient", m.address.text, "reason",
		    "credential", NULL);
	return answer_recipient(s, verdict);
}

int
verdict_reset(struct session *s, struct wire_in *body)
{
	int err;

	if ((err = ipc_get_empty(body)) != ERR_OK)
		return err;
	if (s->transaction != NULL)
		link_drop(s);
	transaction_end(s);
	return ERR_OK;
}

/*
 * Tells the spool the session, and a new spool its envelope. One that has had the envelope does not get it
 * again, nor does any once the message was judged: an approval is good for one message, and only while the login holds.
 */
static int
introduce(struct session *s, int *fd)
{
	uint32_t generation = s->generation;
	bool was_known = link_is_known(s);
	int err = link_grant(s, fd);

	if (err != ERR_OK || was_known || s->transaction == NULL || s->transaction->is_message ||
	    session_check_login(s) != ERR_OK)
		return err;
	if ((err = link_put_envelope(s)) != ERR_OK) {
		/* It hears all of it when the worker asks again. */
		s->generation = generation;
		io_close(fd);
	}
	return err;
}

int
verdict_spool(struct session *s, struct wire_in *body)
{
	struct ipc_spool_answer m;
	uint8_t data[16];
	struct wire_out w;
	int fd = -1, err;

	if ((err = ipc_get_empty(body)) != ERR_OK)
		return err;
	if (link_is_up(s->auth) && link_is_known(s) && s->ngrants >= GRANTS_MAX)
		return ERR_DENIED;
	m.ok = introduce(s, &fd) == ERR_OK;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_spool_answer(&w, &m);
	err = session_answer(s, &w, fd);
	io_close(&fd);
	return err;
}

enum header_verdict
verdict_from(struct auth *a, const struct ipc_from *m)
{
	struct session *s = session_find(a, m->session);
	bool is_checked;
	int err;

	/* One of an auth before, whose login may hold; or its worker has gone. */
	if (s == NULL || s->account == 0)
		return HEADER_UNAVAILABLE;
	if ((err = session_check_login(s)) == ERR_DENIED)
		return HEADER_LOGIN_VOID;
	/* One that its session took back is not counted, and so no message comes of it. */
	if (m->t != 0 && (s->transaction == NULL || s->t != m->t || !s->transaction->is_counted))
		return HEADER_UNAVAILABLE;
	for (size_t i = 0; i < m->n && err == ERR_OK; i++)
		err = check_sender(s, &m->addresses[i]);
	if (err != ERR_OK && err != ERR_DENIED)
		return HEADER_UNAVAILABLE;
	/* Where the header is not checked the message is taken all the same, and left unsigned. */
	is_checked = m->t == 0 || s->conf->conf.senders_check_header != 0;
	if (err == ERR_DENIED && is_checked)
		log_event(LOG_LEVEL_INFO, s->number, "sender.refused", "account", s->name, "sender",
		    m->addresses[0].text, "reason", m->t == 0 ? "etrn" : "header_from", NULL);
	else if (m->t != 0)
		s->transaction->is_message = true;
	return err == ERR_OK ? HEADER_ALLOWED : HEADER_NOT_ALLOWED;
}
