/*
 * HELP STATUS: what a user may know of the own account. Part of postern-auth. Invariant: nothing of another account is said.
 */
#include <stdio.h>

#include "err.h"
#include "io.h"
#include "rates.h"
#include "session.h"

/* Of the account's limit and the credential's the one that has less left. */
static void
put_rate(const struct session *s, struct ipc_status_answer *m)
{
	const struct rates *r = s->auth->rates;
	uint64_t now = io_now_ms(), of_account = s->limits.messages_per_hour, of_credential = s->credential_messages_per_hour;
	uint64_t sent = rates_count(r, RATE_OF_CREDENTIAL, s->credential, now);

	m->messages_max = of_account;
	m->messages = of_account != 0 ? rates_count(r, RATE_OF_ACCOUNT, s->account, now) : 0;
	if (of_credential != 0 && (of_account == 0 || of_credential + m->messages < of_account + sent)) {
		m->messages_max = of_credential;
		m->messages = sent;
	}
}

int
status_request(struct session *s, struct wire_in *body)
{
	struct ipc_status_answer m = { .ok = false };
	uint8_t data[IPC_TEXT_MAX + 128];
	struct wire_out w;
	int err;

	if ((err = ipc_get_empty(body)) != ERR_OK)
		return err;
	err = session_check_login(s);
	m.login_void = err == ERR_DENIED;
	if (err == ERR_OK) {
		m.ok = true;
		snprintf(m.name, sizeof(m.name), "%s", s->name);
		m.sessions = counters_count(&s->auth->counters, s->account);
		m.sessions_max = s->limits.sessions;
		m.recipients = s->limits.recipients;
		m.message_size = s->limits.message_size;
		put_rate(s, &m);
		usage_get(&s->auth->usage, s->name, &m.queued_messages, &m.queued_octets);
	}
	wire_out_init(&w, data, sizeof(data));
	ipc_put_status_answer(&w, &m);
	return session_answer(s, &w, -1);
}
