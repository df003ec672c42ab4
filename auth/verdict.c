/*
 * What a user may do: senders, recipients, header From. Part of postern-auth. Invariant: every request
 * asks the registry anew, so that what an admin changes is in force at the next command; what is
 * approved is in the spool's socket before the answer.
 */
#include "err.h"
#include "io.h"
#include "log.h"
#include "session.h"

#define GRANTS_MAX 8	/* sockets of one session to one spool; a worker asks again only after a fault */

static int
answer_sender(struct session *s, enum sender_verdict verdict)
{
	struct ipc_sender_answer m = { .verdict = verdict, .t = verdict == SENDER_OK ? s->t : 0 };
	uint8_t data[64];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_sender_answer(&w, &m);
	return session_answer(s, &w, -1);
}

static int
answer_recipient(struct session *s, enum recipient_verdict verdict)
{
	struct ipc_recipient_answer m = { .verdict = verdict };
	uint8_t data[64];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_recipient_answer(&w, &m);
	return session_answer(s, &w, -1);
}

/* Whether the login still holds: ERR_OK, ERR_DENIED, or the registry can't tell. */
static int
check_login(struct session *s)
{
	struct registry_limits limits;
	int err = registry_check_login(s->auth->registry, s->account, s->credential, s->changed_us, &limits);

	if (err == ERR_OK)
		session_set_limits(s, &limits);
	else if (err != ERR_DENIED)
		auth_log_trouble(s->auth, err);
	return err;
}

static enum sender_verdict
judge_sender(struct session *s, const struct ipc_sender *m)
{
	struct auth *a = s->auth;
	int err;

	if (a->stopping || !link_is_up(a))
		return SENDER_UNAVAILABLE;
	if ((err = check_login(s)) != ERR_OK)
		return err == ERR_DENIED ? SENDER_LOGIN_VOID : SENDER_UNAVAILABLE;
	if ((err = registry_check_sender(a->registry, s->account, &m->address)) == ERR_DENIED)
		return SENDER_NOT_ALLOWED;
	if (err != ERR_OK) {
		auth_log_trouble(a, err);
		return SENDER_UNAVAILABLE;
	}
	if (m->size > s->limits.message_size)
		return SENDER_TOO_BIG;
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
	if (verdict == SENDER_NOT_ALLOWED || verdict == SENDER_LOGIN_VOID)
		log_event(LOG_LEVEL_INFO, s->number, "sender.refused", "account", s->name, "sender", m.address.text, "reason",
		    verdict == SENDER_LOGIN_VOID ? "login_void" : "not_allowed", NULL);
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

static enum recipient_verdict
judge_recipient(struct session *s, const struct ipc_recipient *m)
{
	struct transaction *t = s->transaction;
	int err;

	if (!link_is_up(s->auth))
		return RECIPIENT_UNAVAILABLE;
	if ((err = check_login(s)) != ERR_OK)
		return err == ERR_DENIED ? RECIPIENT_LOGIN_VOID : RECIPIENT_UNAVAILABLE;
	if (transaction_has(t, &m->address))
		return RECIPIENT_OK;
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
	struct ipc_recipient m;
	int err;

	if ((err = ipc_get_recipient(body, &m)) != ERR_OK)
		return err;
	if (m.address.is_utf8 && !s->transaction->sender.smtputf8)
		return ERR_SYNTAX;
	return answer_recipient(s, judge_recipient(s, &m));
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
 * again: an approval is good for one message, and only while the login holds.
 */
static int
introduce(struct session *s, int *fd)
{
	static struct ipc_recipient m;
	uint32_t generation = s->generation;
	bool was_known = link_is_known(s);
	int err = link_grant(s, fd);

	if (err != ERR_OK || was_known || s->transaction == NULL || check_login(s) != ERR_OK)
		return err;
	err = link_put_sender(s);
	for (const struct recipient *r = s->transaction->first; r != NULL && err == ERR_OK; r = r->next) {
		transaction_get(r, &m);
		err = link_put_recipient(s, &m);
	}
	if (err != ERR_OK) {
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
	int err = ERR_OK;

	if (s == NULL || s->account == 0 || check_login(s) == ERR_DENIED)
		return HEADER_LOGIN_VOID;
	for (size_t i = 0; i < m->n && err == ERR_OK; i++)
		err = registry_check_sender(a->registry, s->account, &m->addresses[i]);
	if (err == ERR_DENIED)
		log_event(LOG_LEVEL_INFO, s->number, "sender.refused", "account", s->name, "sender",
		    m->addresses[0].text, "reason", "header_from", NULL);
	else if (err != ERR_OK)
		auth_log_trouble(a, err);
	return err == ERR_OK ? HEADER_ALLOWED : HEADER_NOT_ALLOWED;
}
