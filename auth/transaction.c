/*
 * An approved sender and its recipients, kept so that a spool that was started again can be told them
 * anew. Part of postern-auth.
 */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "io.h"
#include "rates.h"
#include "session.h"
#include "str.h"

/*
 * Counts it for the limits of an hour, at its beginning, so that sessions beside each other do not pass them together; without a limit,
 * too, since one that is set now looks back.
 */
static int
count(struct session *s, struct transaction *t)
{
	struct rates *r = s->auth->rates;
	uint64_t now = io_now_ms();
	int err;

	if ((err = rates_take(r, RATE_OF_ACCOUNT, s->account, now)) != ERR_OK)
		return err;
	if ((err = rates_take(r, RATE_OF_CREDENTIAL, s->credential, now)) != ERR_OK)
		rates_give_back(r, RATE_OF_ACCOUNT, s->account, now, now);
	else
		t->counted_ms = now;
	t->is_counted = err == ERR_OK;
	return err;
}

static void
give_back(struct auth *a, uint64_t account, uint64_t credential, uint64_t counted_ms)
{
	uint64_t now = io_now_ms();

	rates_give_back(a->rates, RATE_OF_ACCOUNT, account, counted_ms, now);
	rates_give_back(a->rates, RATE_OF_CREDENTIAL, credential, counted_ms, now);
}

/* No message came of it. */
static void
uncount(struct session *s, struct transaction *t)
{
	if (t->is_counted)
		give_back(s->auth, s->account, s->credential, t->counted_ms);
	t->is_counted = false;
}

/* A client that was refused early, or that left, may be ahead of what the spool says. */
static void
keep_ended(struct session *s, const struct transaction *t)
{
	struct auth *a = s->auth;

	if (!t->is_counted)
		return;
	a->ended[a->next_ended++ % AUTH_ENDED] = (struct ended){ .session = s->number, .t = s->t, .account = s->account,
	    .credential = s->credential, .counted_ms = t->counted_ms };
}

int
transaction_begin(struct session *s, const struct ipc_sender *sender)
{
	struct transaction *t = calloc(1, sizeof(*t));

	if (t == NULL || count(s, t) != ERR_OK) {
		free(t);
		return ERR_NOMEM;
	}
	t->sender = *sender;
	t->last = &t->first;
	s->transaction = t;
	s->t++;
	s->state = IPC_STATE_TRANSACTION;
	return ERR_OK;
}

void
transaction_end(struct session *s)
{
	struct transaction *t = s->transaction;
	struct recipient *next;

	if (t == NULL)
		return;
	/* Where header addresses are not checked nobody may ask about its message: then recipients count as one. */
	if (t->is_message || (s->conf->conf.senders_check_header == 0 && t->nrecipients != 0))
		keep_ended(s, t);
	else
		uncount(s, t);
	for (struct recipient *r = t->first; r != NULL; r = next) {
		next = r->next;
		free(r);
	}
	free(t);
	s->transaction = NULL;
	s->state = IPC_STATE_USER;
}

void
transaction_refuse(struct auth *a, uint64_t session, uint32_t t)
{
	struct session *s = session_find(a, session);

	if (s != NULL && s->transaction != NULL && s->t == t) {
		uncount(s, s->transaction);
		return;
	}
	for (size_t i = 0; i < AUTH_ENDED; i++) {
		struct ended *e = &a->ended[i];

		if (e->session != session || e->t != t || t == 0)
			continue;
		give_back(a, e->account, e->credential, e->counted_ms);
		*e = (struct ended){ .t = 0 };
	}
}

struct recipient **
transaction_find(struct transaction *t, const struct addr *address)
{
	for (struct recipient **at = &t->first; *at != NULL; at = &(*at)->next) {
		const struct recipient *r = *at;

		/* The domain without case, the local part exactly. */
		if (r->len == address->len && r->local_len == address->local_len &&
		    memcmp(r->text, address->text, r->local_len) == 0 &&
		    str_is_equal_nocase(r->text + r->local_len, (size_t)r->len - r->local_len,
		    address->text + r->local_len, (size_t)r->len - r->local_len))
			return at;
	}
	return NULL;
}

static struct recipient *
make_recipient(const struct ipc_recipient *m)
{
	size_t orcpt_len = strlen(m->orcpt);
	struct recipient *r = calloc(1, sizeof(*r) + m->address.len + 1 + orcpt_len + 1);

	if (r == NULL)
		return NULL;
	r->local_len = (uint16_t)m->address.local_len;
	r->len = (uint16_t)m->address.len;
	r->notify = m->notify;
	memcpy(r->text, m->address.text, m->address.len);
	memcpy(r->text + m->address.len + 1, m->orcpt, orcpt_len);
	return r;
}

int
transaction_add(struct transaction *t, const struct ipc_recipient *m)
{
	struct recipient *r = make_recipient(m);

	if (r == NULL)
		return ERR_NOMEM;
	*t->last = r;
	t->last = &r->next;
	t->nrecipients++;
	return ERR_OK;
}

/* What a NOTIFY asks for; one that is not given means failures, and delays as far as a server tells of them (RFC 3461, 4.1). */
static unsigned
asked_by(unsigned notify)
{
	return notify == 0 ? DSN_NOTIFY_FAILURE | DSN_NOTIFY_DELAY : notify & ~(unsigned)DSN_NOTIFY_NEVER;
}

/* All that either asks for, in the words of one of them where it asks for all. */
static unsigned
merge_notify(unsigned old, unsigned new)
{
	unsigned all = asked_by(old) | asked_by(new);

	if (all == asked_by(old))
		return old;
	return all == asked_by(new) ? new : all;
}

int
transaction_merge(struct transaction *t, struct recipient **at, const struct ipc_recipient *m)
{
	struct recipient *old = *at, *r;
	static struct ipc_recipient both;

	transaction_get(old, &both);
	both.notify = (uint8_t)merge_notify(old->notify, m->notify);
	if (both.orcpt[0] == 0)
		memcpy(both.orcpt, m->orcpt, sizeof(both.orcpt));
	if (both.notify == old->notify && strcmp(both.orcpt, old->text + old->len + 1) == 0)
		return ERR_EXISTS;
	if ((r = make_recipient(&both)) == NULL)
		return ERR_NOMEM;
	r->next = old->next;
	if (t->last == &old->next)
		t->last = &r->next;
	*at = r;
	free(old);
	return ERR_OK;
}

void
transaction_undo(struct transaction *t)
{
	struct recipient **at = &t->first;

	if (t->first == NULL)
		return;
	while (&(*at)->next != t->last)
		at = &(*at)->next;
	free(*at);
	*at = NULL;
	t->last = at;
	t->nrecipients--;
}

void
transaction_get(const struct recipient *r, struct ipc_recipient *m)
{
	*m = (struct ipc_recipient){ .notify = r->notify };
	m->address.local_len = r->local_len;
	m->address.len = r->len;
	memcpy(m->address.text, r->text, r->len);
	str_fmt(m->orcpt, sizeof(m->orcpt), "%s", r->text + r->len + 1);
}
