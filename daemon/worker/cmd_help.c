/*
 * HELP: the commands and their syntax, from the verb table; HELP STATUS: what auth says of the caller's own account. Run by
 * workers.
 */
#include "command.h"

#include <string.h>

#include "err.h"
#include "local.h"
#include "request.h"
#include "session.h"
#include "str.h"

/* On the local socket nobody logs in; without routes nothing is delivered. */
static bool
is_offered(const struct session *s, const struct verb *v)
{
	return v->help != NULL && !(s->conf->nroutes == 0 && v->handle == cmd_etrn) &&
	    !(s->facts.listener == LISTENER_LOCAL && (v->handle == cmd_auth || v->handle == cmd_starttls));
}

static enum reply_id
list(struct session *s)
{
	size_t n;
	const struct verb *verbs = command_verbs(&n);

	session_put_detail(s, "Help message\nCommands:");
	for (size_t i = 0; i < n; i++)
		if (is_offered(s, &verbs[i]))
			session_put_detail(s, " %s", verbs[i].name);
	session_put_detail(s, "\nHELP command explains one; HELP STATUS shows your account after login.");
	return REPLY_HELP;
}

static enum reply_id
status(struct session *s)
{
	struct ipc_status_answer a;

	if (session_needs_tls(s))
		return REPLY_TLS_REQUIRED;
	if (!s->login)
		return local_auth_required(s);
	if (request_status(s, &a) != ERR_OK) {
		s->ending = true;
		s->end = SESSION_SERVICE_LOST;
		return REPLY_SHUTDOWN;
	}
	if (!a.ok)
		return a.login_void ? REPLY_LOGIN_VOID : REPLY_LOCAL_ERROR;
	session_put_detail(s, "System status, or system help reply\nAccount: %s\nSessions: %llu of %llu", a.name,
	    (unsigned long long)a.sessions, (unsigned long long)a.sessions_max);
	session_put_detail(s, "\nRecipients of a message: at most %llu\nSize of a message: at most %llu octets",
	    (unsigned long long)a.recipients, (unsigned long long)a.message_size);
	if (a.messages_max != 0)
		session_put_detail(s, "\nMessages of the last hour: %llu of %llu", (unsigned long long)a.messages,
		    (unsigned long long)a.messages_max);
	session_put_detail(s, "\nWaiting in the queue: %llu message%s, %llu octet%s", (unsigned long long)a.queued_messages,
	    a.queued_messages == 1 ? "" : "s", (unsigned long long)a.queued_octets, a.queued_octets == 1 ? "" : "s");
	return REPLY_STATUS;
}

enum reply_id
cmd_help(struct session *s, struct argument a)
{
	size_t n;
	const struct verb *verbs = command_verbs(&n);

	if (a.n == 0)
		return list(s);
	if (str_is_equal_nocase(a.p, a.n, "STATUS", 6))
		return status(s);
	for (size_t i = 0; i < n; i++) {
		if (!is_offered(s, &verbs[i]) || !str_is_equal_nocase(a.p, a.n, verbs[i].name, strlen(verbs[i].name)))
			continue;
		session_put_detail(s, "Help message\n%s", verbs[i].help);
		return REPLY_HELP;
	}
	return REPLY_UNKNOWN_TOPIC;
}
