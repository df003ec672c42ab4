/*
 * The verbs and the one gate before them. Run by workers. Invariant: no handler runs unless its verb's row permits
 * it here and now, and no other place decides that.
 */
#include "command.h"

#include <string.h>

#include "local.h"
#include "mem.h"
#include "session.h"
#include "str.h"

#define START (1u << PHASE_START)
#define READY (1u << PHASE_READY)
#define MAIL (1u << PHASE_MAIL)
#define RCPT (1u << PHASE_RCPT)
#define BDAT (1u << PHASE_BDAT)
#define GREETED (READY | MAIL | RCPT | BDAT)
#define ALWAYS (START | GREETED)

static const struct verb verbs[] = {
	{ "EHLO", cmd_ehlo, ALWAYS, VERB_ARGUMENT, REPLY_BAD_SEQUENCE,
	    "EHLO hostname\nBegins the session and lists what is offered." },
	{ "HELO", cmd_helo, ALWAYS, VERB_ARGUMENT, REPLY_BAD_SEQUENCE,
	    "HELO hostname\nBegins the session without extensions." },
	{ "AUTH", cmd_auth, READY, VERB_ARGUMENT | VERB_SECRET, REPLY_BAD_SEQUENCE,
	    "AUTH PLAIN [credentials] or AUTH LOGIN [user name]\nLogs in; on port 587 after STARTTLS. Base64; * cancels." },
	{ "STARTTLS", cmd_starttls, READY, VERB_NO_ARGUMENT, REPLY_BAD_SEQUENCE,
	    "STARTTLS\nEncrypts the session, which then begins anew with EHLO." },
	{ "MAIL", cmd_mail, READY, VERB_ARGUMENT | VERB_TLS | VERB_LOGIN, REPLY_BAD_SEQUENCE,
	    "MAIL FROM:<address> [SIZE=octets] [BODY=7BIT|8BITMIME] [SMTPUTF8] [RET=FULL|HDRS] [ENVID=id]\n"
	    "Begins a message; the address must be registered for your account." },
	{ "RCPT", cmd_rcpt, MAIL | RCPT, VERB_ARGUMENT | VERB_TLS | VERB_LOGIN, REPLY_BAD_SEQUENCE,
	    "RCPT TO:<address> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;address]\nNames one recipient." },
	{ "DATA", cmd_data, RCPT, VERB_NO_ARGUMENT | VERB_TLS | VERB_LOGIN, REPLY_BAD_SEQUENCE,
	    "DATA\nThe message follows, ended by a line of one dot." },
	{ "BDAT", cmd_bdat, RCPT | BDAT, VERB_ARGUMENT | VERB_TLS | VERB_LOGIN | VERB_CHUNK, REPLY_BAD_SEQUENCE,
	    "BDAT octets [LAST]\nThat many octets of the message follow." },
	{ "RSET", cmd_rset, ALWAYS, VERB_NO_ARGUMENT, REPLY_BAD_SEQUENCE,
	    "RSET\nForgets the message begun, not the login." },
	{ "NOOP", cmd_noop, ALWAYS, 0, REPLY_BAD_SEQUENCE,
	    "NOOP [anything]\nDoes nothing." },
	{ "QUIT", cmd_quit, ALWAYS, VERB_NO_ARGUMENT, REPLY_BAD_SEQUENCE,
	    "QUIT\nEnds the session." },
	{ "HELP", cmd_help, ALWAYS, 0, REPLY_BAD_SEQUENCE,
	    "HELP [command | STATUS]\nExplains; STATUS shows your sessions, limits and queue after login." },
	{ "VRFY", cmd_vrfy, GREETED, VERB_ARGUMENT | VERB_TLS | VERB_LOGIN, REPLY_BAD_SEQUENCE,
	    "VRFY address\nAddresses are not verified before delivery." },
	{ "EXPN", NULL, GREETED, VERB_ARGUMENT | VERB_TLS | VERB_LOGIN, REPLY_BAD_SEQUENCE, NULL },
	{ "ETRN", cmd_etrn, READY, VERB_ARGUMENT | VERB_TLS | VERB_LOGIN, REPLY_BAD_SEQUENCE,
	    "ETRN domain\nStarts delivery of what waits for a domain of yours; @domain: for those below it, too." },
	{ "ATRN", NULL, ALWAYS, 0, REPLY_BAD_SEQUENCE, NULL },
	{ "TURN", NULL, ALWAYS, 0, REPLY_BAD_SEQUENCE, NULL },
	{ "SEND", NULL, ALWAYS, 0, REPLY_BAD_SEQUENCE, NULL },
	{ "SOML", NULL, ALWAYS, 0, REPLY_BAD_SEQUENCE, NULL },
	{ "SAML", NULL, ALWAYS, 0, REPLY_BAD_SEQUENCE, NULL },
};

#define NVERBS (sizeof(verbs) / sizeof(verbs[0]))

/* First words of a request that is meant for a web server or a proxy. */
static const char *const foreign[] = {
	"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE", "PRI",
};

const struct verb *
command_verbs(size_t *n)
{
	*n = NVERBS;
	return verbs;
}

static const struct verb *
find(const uint8_t *word, size_t n)
{
	for (size_t i = 0; i < NVERBS; i++)
		if (str_is_equal_nocase(word, n, verbs[i].name, strlen(verbs[i].name)))
			return &verbs[i];
	return NULL;
}

static bool
is_foreign(const uint8_t *word, size_t n)
{
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (str_is_equal_nocase(word, n, foreign[i], strlen(foreign[i])))
			return true;
	return false;
}

static enum reply_id
unknown(struct session *s, const uint8_t *word, size_t n)
{
	if (s->phase == PHASE_START && is_foreign(word, n)) {
		s->end = SESSION_NOT_SMTP;
		s->ending = true;
		return REPLY_NONE;
	}
	return REPLY_UNKNOWN_COMMAND;
}

/* The gate: why this verb must not run here and now, or REPLY_NONE. */
static enum reply_id
refusal(struct session *s, const struct verb *v, struct argument a)
{
	if ((v->traits & VERB_NO_ARGUMENT) != 0 && a.n != 0)
		return REPLY_NO_ARGUMENT_ALLOWED;
	if ((v->traits & VERB_ARGUMENT) != 0 && a.n == 0)
		return REPLY_BAD_ARGUMENT;
	if (s->phase == PHASE_START && (v->phases & START) == 0)
		return v->too_early;
	if ((v->traits & VERB_TLS) != 0 && session_needs_tls(s))
		return REPLY_TLS_REQUIRED;
	if ((v->traits & VERB_LOGIN) != 0 && !s->login)
		return local_auth_required(s);
	if ((v->phases & 1u << s->phase) == 0)
		return v->handle == cmd_auth && s->login ? REPLY_ALREADY_AUTHENTICATED : v->too_early;
	return v->handle == NULL ? REPLY_NOT_IMPLEMENTED : REPLY_NONE;
}

enum reply_id
command_run(struct session *s, uint8_t *line, size_t len)
{
	struct argument a = { line, len };
	const struct verb *v;
	enum reply_id reply;
	size_t n = 0;

	while (a.n != 0 && (a.p[a.n - 1] == ' ' || a.p[a.n - 1] == '\t'))
		a.n--;
	while (n < a.n && a.p[n] != ' ' && a.p[n] != '\t')
		n++;
	if ((v = find(a.p, n)) == NULL)
		return unknown(s, a.p, n);
	while (n < a.n && (a.p[n] == ' ' || a.p[n] == '\t'))
		n++;
	a.p += n;
	a.n -= n;
	/* A handler that runs wipes a secret itself: once it has read on, the line's place may hold what the client sent since. */
	reply = refusal(s, v, a);
	if (reply == REPLY_NONE)
		return v->handle(s, a);
	if ((v->traits & VERB_CHUNK) != 0)
		return cmd_bdat_skip(s, a, reply);
	if ((v->traits & VERB_SECRET) != 0)
		mem_wipe(line, len);
	return reply;
}
