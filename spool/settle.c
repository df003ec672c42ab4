/*
 * What becomes of a recipient after an attempt, and when the next one is due. Pure; run by postern-spool's loop. Invariant: a recipient
 * leaves the state "waiting" by an outcome that is final, and never comes back to it.
 */
#include "settle.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf.h"
#include "err.h"

bool
settle_asks(const char *notify, enum dsn_notify what)
{
	static const struct {
		enum dsn_notify	 what;
		const char	*word;
	} words[] = { { DSN_NOTIFY_SUCCESS, "SUCCESS" }, { DSN_NOTIFY_FAILURE, "FAILURE" }, { DSN_NOTIFY_DELAY, "DELAY" } };

	/* RFC 3461, 4.1: the default is FAILURE, and DELAY as the server likes. */
	if (notify == NULL || notify[0] == 0)
		return what != DSN_NOTIFY_SUCCESS;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i].word);

		if (words[i].what != what)
			continue;
		for (const char *p = notify; p != NULL; p = strchr(p, ',')) {
			p += *p == ',';
			if (strncasecmp(p, words[i].word, n) == 0 && (p[n] == 0 || p[n] == ','))
				return true;
		}
	}
	return false;
}

static void
set_text(char **to, const char *text)
{
	free(*to);
	*to = text != NULL && text[0] != 0 ? strdup(text) : NULL;
}

static void
note(struct state_recipient *r, const struct ipc_outcome_of *o, const struct settling *s)
{
	r->stage = o->stage;
	r->code = o->code;
	r->time_us = s->now_us;
	set_text(&r->enhanced, o->enhanced);
	set_text(&r->reply, o->reply);
	set_text(&r->host, s->finished != NULL ? s->finished->host : NULL);
	set_text(&r->tls, s->finished != NULL ? s->finished->tls : NULL);
}

enum settled
settle_recipient(struct state_recipient *r, const struct ipc_outcome_of *o, const struct settling *s)
{
	bool tells = !s->is_null_sender && settle_asks(s->notify, DSN_NOTIFY_FAILURE);

	note(r, o, s);
	switch (o->verdict) {
	case DELIVERY_DELIVERED:
		r->status = RECIPIENT_DELIVERED;
		r->is_success_due = !s->is_null_sender && settle_asks(s->notify, DSN_NOTIFY_SUCCESS) &&
		    (s->finished == NULL || !s->finished->relayed_dsn);
		r->is_relayed = !s->is_last_hop;
		return SETTLED_DELIVERED;
	case DELIVERY_FAILED:
		r->status = tells ? RECIPIENT_BOUNCED : RECIPIENT_REPORTED;
		return SETTLED_FAILED;
	case DELIVERY_DEFERRED:
	case DELIVERY_RETURNED:
		break;
	}
	if (!s->is_expired)
		return SETTLED_DEFERRED;
	/* RFC 3463, 3.5: delivery time expired. The words stay those of the last attempt. */
	set_text(&r->enhanced, "4.4.7");
	r->status = tells ? RECIPIENT_BOUNCED : RECIPIENT_REPORTED;
	return SETTLED_EXPIRED;
}

uint64_t
settle_due_ms(const struct conf *c, unsigned tries, uint64_t now_ms, int64_t warn_ms, int64_t expires_ms)
{
	uint64_t due = now_ms + conf_retry_ms(c, tries);

	if (warn_ms > (int64_t)now_ms && warn_ms < (int64_t)due)
		due = (uint64_t)warn_ms;
	if (expires_ms > (int64_t)now_ms && expires_ms < (int64_t)due)
		due = (uint64_t)expires_ms;
	return due;
}

uint64_t
settle_wait_ms(const struct conf *c, unsigned tries, uint64_t next_us, uint64_t now_us)
{
	uint64_t wait = next_us > now_us ? (next_us - now_us + 999) / 1000 : 0, step = conf_retry_ms(c, tries != 0 ? tries : 1);

	return wait < step ? wait : step;
}
