/*
 * The dialogue of a route's trial: greeting, hello, TLS and login as every session has them, then at most a recipient that is asked
 * about and taken back. Run in a process of its own, sealed like a session process. Invariant: DATA is never said.
 */
#include "trial.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "err.h"
#include "session.h"
#include "tls.h"

#define ANSWER_MS 30000

static struct session session;

static void
put_offers(char *to, size_t size, const struct capability *c)
{
	static const struct {
		unsigned	bit;
		const char	*word;
	} mechanisms[] = {
		{ LOGIN_MECHANISM_SCRAM_SHA_256, "SCRAM-SHA-256" }, { LOGIN_MECHANISM_SCRAM_SHA_1, "SCRAM-SHA-1" },
		{ LOGIN_MECHANISM_PLAIN, "PLAIN" }, { LOGIN_MECHANISM_LOGIN, "LOGIN" },
	};
	size_t used = (size_t)snprintf(to, size, "offers%s%s%s%s%s%s", c->pipelining ? " PIPELINING" : "", c->eightbit ? " 8BITMIME" : "",
	    c->smtputf8 ? " SMTPUTF8" : "", c->dsn ? " DSN" : "", c->starttls ? " STARTTLS" : "", c->size ? " SIZE" : "");

	if (c->size && c->size_max != 0)
		used += (size_t)snprintf(to + used, size - used, "=%llu", (unsigned long long)c->size_max);
	if (c->mechanisms != 0)
		used += (size_t)snprintf(to + used, size - used, " AUTH");
	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
		if ((c->mechanisms & mechanisms[i].bit) != 0)
			used += (size_t)snprintf(to + used, size - used, " %s", mechanisms[i].word);
}

static void
say_outcome(const char *step, const char *verdict, const struct ipc_outcome_of *o)
{
	bool is_told = strncmp(o->reply, o->enhanced, strlen(o->enhanced)) == 0;

	if (o->code != 0)
		trial_say(step, verdict, "%u %s%s%s", o->code, is_told ? "" : o->enhanced, is_told ? "" : " ", o->reply);
	else
		trial_say(step, verdict, "%s", o->reply);
}

/* The steps up to the one that failed, or all. */
static void
say_steps(const struct session *s, enum delivery_stage failed)
{
	const struct session_facts *f = s->facts;
	char text[400];

	if (failed > DELIVERY_GREETING)
		trial_say("greeting", "ok", "220");
	put_offers(text, sizeof(text), &s->capability);
	if (failed > DELIVERY_HELLO)
		trial_say("hello", "ok", "%s", text);
	if (failed > DELIVERY_TLS && f->tls != ROUTE_TLS_NONE)
		trial_say("tls", "ok", "%s", s->stream.tls != NULL ? s->tls_text : s->tls_text[0] != 0 ? s->tls_text :
		    "none: the server does not offer it");
	if (failed > DELIVERY_TLS && s->stream.tls != NULL && tls_put_certificate(text, sizeof(text), s->stream.tls) == ERR_OK)
		trial_say("certificate", "ok", "%s", text);
	if (failed > DELIVERY_LOGIN && f->user[0] != 0)
		trial_say("login", "ok", "as %s", f->user);
}

/* MAIL and RCPT, taken back by RSET. */
static int
ask_recipient(struct session *s)
{
	const char *steps[] = { "mail", "rcpt" };
	struct ipc_outcome_of o;

	for (size_t i = 0; i < 2; i++) {
		enum delivery_stage stage = i == 0 ? DELIVERY_MAIL : DELIVERY_RCPT;
		int err = i == 0 ? session_ask(s, ANSWER_MS, "MAIL FROM:<%s>\r\n", trial_sender()) :
		    session_ask(s, ANSWER_MS, "RCPT TO:<%s>\r\n", trial_recipient());

		if (err != ERR_OK)
			outcome_from_error(s, &o, stage, err);
		else
			outcome_from_reply(s, &o, stage);
		say_outcome(steps[i], o.verdict == DELIVERY_DELIVERED ? "ok" : err == ERR_OK ? "refused" : "failed", &o);
		if (o.verdict != DELIVERY_DELIVERED)
			return err == ERR_OK ? 1 : EX_NOHOST;
	}
	session_ask(s, ANSWER_MS, "RSET\r\n");
	return EX_OK;
}

int
trial_session(const struct session_facts *facts, int fd, int control_fd)
{
	struct session *s = &session;
	struct ipc_outcome_of o;
	int code = EX_OK;

	s->facts = facts;
	s->job.file_fd = s->job.result_fd = -1;
	stream_init(&s->stream, fd, control_fd);
	if (!hello_open(s, &o)) {
		say_steps(s, o.stage);
		say_outcome(ipc_delivery_stage(o.stage), "failed", &o);
		hello_quit(s);
		return EX_NOHOST;
	}
	say_steps(s, DELIVERY_MAIL);
	if (trial_recipient()[0] != 0)
		code = ask_recipient(s);
	hello_quit(s);
	if (code == EX_OK)
		trial_say("quit", "ok", "nothing was sent");
	return code;
}
