/*
 * HELP STATUS: what a user may know of the own account. Part of postern-auth. Invariant: nothing of another account is said.
 */
#include <stdio.h>

#include "err.h"
#include "session.h"

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
		usage_get(&s->auth->usage, s->name, &m.queued_messages, &m.queued_octets);
	}
	wire_out_init(&w, data, sizeof(data));
	ipc_put_status_answer(&w, &m);
	return session_answer(s, &w, -1);
}
