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
	return err;
}

/* No message came of it. Without the check of header addresses nobody says whether one did: then recipients count as one. */
static void
uncount(struct session *s, const struct transaction *t)
{
	uint64_t now = io_now_ms();

	if (t->is_message || (s->conf->conf.senders_check_header == 0 && t->nrecipients != 0))
		return;
	rates_give_back(s->auth->rates, RATE_OF_ACCOUNT, s->account, t->counted_ms, now);
	rates_give_back(s->auth->rates, RATE_OF_CREDENTIAL, s->credential, t->counted_ms, now);
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
	uncount(s, t);
	for (struct recipient *r = t->first; r != NULL; r = next) {
		next = r->next;
		free(r);
	}
	free(t);
	s->transaction = NULL;
	s->state = IPC_STATE_USER;
}

bool
transaction_has(const struct transaction *t, const struct addr *address)
{
	for (const struct recipient *r = t->first; r != NULL; r = r->next) {
		/* As addr_is_same_recipient(): the domain without case, the local part exactly. */
		if (r->len == address->len && r->local_len == address->local_len &&
		    memcmp(r->text, address->text, r->local_len) == 0 &&
		    str_is_equal_nocase(r->text + r->local_len, (size_t)r->len - r->local_len,
		    address->text + r->local_len, (size_t)r->len - r->local_len))
			return true;
	}
	return false;
}

int
transaction_add(struct transaction *t, const struct ipc_recipient *m)
{
	size_t orcpt_len = strlen(m->orcpt);
	struct recipient *r = calloc(1, sizeof(*r) + m->address.len + 1 + orcpt_len + 1);

	if (r == NULL)
		return ERR_NOMEM;
	r->local_len = (uint16_t)m->address.local_len;
	r->len = (uint16_t)m->address.len;
	r->notify = m->notify;
	memcpy(r->text, m->address.text, m->address.len);
	memcpy(r->text + m->address.len + 1, m->orcpt, orcpt_len);
	*t->last = r;
	t->last = &r->next;
	t->nrecipients++;
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
