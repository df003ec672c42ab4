/*
 * ETRN (RFC 1985): starts delivery of what waits for a domain. The spool does it, and asks auth whether the account
 * may: the worker only carries the question. Run by workers.
 */
#include "command.h"

#include "addr.h"
#include "err.h"
#include "request.h"
#include "session.h"
#include "str.h"

#define SPOOL_WAIT_MS 5000	/* for a spool that is being started again */

static int
ask(struct session *s, const struct ipc_etrn *m, struct ipc_etrn_answer *answer)
{
	if (request_etrn(s, m, answer) == ERR_OK)
		return ERR_OK;
	return request_spool(s, SPOOL_WAIT_MS) == ERR_OK ? request_etrn(s, m, answer) : ERR_CLOSED;
}

enum reply_id
cmd_etrn(struct session *s, struct argument a)
{
	struct ipc_etrn_answer answer;
	struct ipc_etrn m = { .subdomains = a.p[0] == '@' };
	size_t skip = a.p[0] == '@' || a.p[0] == '#' ? 1 : 0;

	if (s->conf->nroutes == 0)
		return REPLY_NOT_IMPLEMENTED;
	if (a.n == skip || str_copy(m.domain, sizeof(m.domain), a.p + skip, a.n - skip) != ERR_OK ||
	    a.p[skip] == '[' || !addr_is_domain(m.domain, a.n - skip, false))
		return REPLY_BAD_ARGUMENT;
	if (a.p[0] == '#') {
		session_put_detail(s, "#%s not allowed: there are no queues with names, use a domain", m.domain);
		return REPLY_ETRN_NOT_ALLOWED;
	}
	if (ask(s, &m, &answer) != ERR_OK)
		answer.verdict = ETRN_UNABLE;
	if (answer.verdict == ETRN_COUNTED)
		session_put_detail(s, "%lu pending messages for node ", (unsigned long)answer.messages);
	session_put_detail(s, "%s%s", m.subdomains ? "@" : "", m.domain);
	switch (answer.verdict) {
	case ETRN_STARTED:
		return REPLY_ETRN_STARTED;
	case ETRN_NONE:
		return REPLY_ETRN_NONE;
	case ETRN_PENDING:
		return REPLY_ETRN_PENDING;
	case ETRN_COUNTED:
		return REPLY_ETRN_COUNTED;
	case ETRN_UNABLE:
		return REPLY_ETRN_UNABLE;
	case ETRN_NOT_ALLOWED:
		session_put_detail(s, " not allowed: your account needs the sender *@%s for it", m.domain);
		return REPLY_ETRN_NOT_ALLOWED;
	case ETRN_LOGIN_VOID:
		s->detail[0] = 0;
		return REPLY_LOGIN_VOID;
	}
	return REPLY_ETRN_UNABLE;
}
