/*
 * One delivery in the words of SMTP or LMTP: MAIL, RCPT, DATA, and what the server says to each recipient. Run by session processes.
 * Invariant: the final dot is sent only when a recipient was accepted, the whole message was read, and the spool still listens;
 * every recipient has an outcome when dialogue_run() returns.
 */
#include <string.h>

#include "err.h"
#include "original.h"
#include "session.h"
#include "str.h"

/* RFC 5321, 4.5.3.2. */
#define MAIL_MS 300000
#define RCPT_MS 300000
#define DATA_MS 120000
#define END_MS 600000

struct transaction {
	bool	is_piped;
	bool	was_answered;	/* a reply to it has come */
	bool	is_mail_ok, is_data_ok;
	size_t	naccepted;
};

static void
settle_all(struct session *s, const struct ipc_outcome_of *o)
{
	for (size_t i = 0; i < s->job.n; i++) {
		struct job_recipient *r = &s->job.recipients[i];

		if (!r->is_done) {
			r->outcome = *o;
			r->is_done = true;
			r->is_put_back = false;
		}
	}
}

/* Whether the server can take the message at all; false: all is settled. */
static bool
is_possible(struct session *s)
{
	struct job *j = &s->job;
	const struct capability *c = &s->capability;
	const char *host = s->facts->host;
	uint64_t size = j->deliver.sender.size + j->deliver.signatures_len;
	struct ipc_outcome_of o;
	bool is_8bit = false;
	int err = ERR_OK;

	if (c->size && c->size_max != 0 && size > c->size_max) {
		outcome_set(&o, DELIVERY_FAILED, DELIVERY_MAIL, "5.3.4", "the message has %llu octets, and %s takes %llu at most",
		    (unsigned long long)size, host, (unsigned long long)c->size_max);
		settle_all(s, &o);
		return false;
	}
	/* Clients say SMTPUTF8 for messages that have no need of it: what counts is what stands in addresses and header. */
	if (!c->smtputf8 && !j->is_utf8 && j->deliver.sender.smtputf8)
		err = payload_is_8bit(j, true, &is_8bit);
	if (err == ERR_OK && !c->smtputf8 && (j->is_utf8 || is_8bit)) {
		outcome_set(&o, DELIVERY_FAILED, DELIVERY_MAIL, "5.6.7", "%s can't take addresses or header fields beyond ASCII (it does "
		    "not offer SMTPUTF8)", host);
		settle_all(s, &o);
		return false;
	}
	if (err == ERR_OK && !c->eightbit && (err = payload_is_8bit(j, false, &is_8bit)) == ERR_OK && is_8bit) {
		outcome_set(&o, DELIVERY_FAILED, DELIVERY_MAIL, "5.6.3", "the message holds 8-bit octets, and %s can't take those (it does "
		    "not offer 8BITMIME)", host);
		settle_all(s, &o);
		return false;
	}
	if (err != ERR_OK) {
		outcome_set(&o, DELIVERY_DEFERRED, DELIVERY_MAIL, "4.3.0", "the message could not be read from the spool");
		settle_all(s, &o);
	}
	return err == ERR_OK;
}

/* The last guard: parameters came from a client, through programs that checked them. */
static bool
is_plain(const char *text)
{
	for (; *text != 0; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

/* The server has been told SMTPUTF8. */
static bool
is_utf8_said(const struct session *s)
{
	return s->capability.smtputf8 && (s->job.deliver.sender.smtputf8 || s->job.is_utf8);
}

static int
put_mail(struct session *s, uint64_t deadline)
{
	const struct ipc_deliver *d = &s->job.deliver;
	const struct capability *c = &s->capability;
	char size[32] = "", ret[16] = "", envid[IPC_ENVID_MAX + 8] = "";

	if (c->size)
		str_fmt(size, sizeof(size), " SIZE=%llu", (unsigned long long)(d->sender.size + d->signatures_len));
	if (c->dsn && d->sender.ret != DSN_RET_NONE)
		str_fmt(ret, sizeof(ret), " RET=%s", d->sender.ret == DSN_RET_FULL ? "FULL" : "HDRS");
	if (c->dsn && d->sender.envid[0] != 0 && is_plain(d->sender.envid))
		str_fmt(envid, sizeof(envid), " ENVID=%s", d->sender.envid);
	return stream_put_fmt(&s->stream, deadline, "MAIL FROM:<%s>%s%s%s%s%s\r\n", d->sender.address.text, size,
	    c->eightbit && (d->sender.body == BODY_8BITMIME || d->sender.smtputf8 || s->job.is_utf8) ? " BODY=8BITMIME" : "",
	    is_utf8_said(s) ? " SMTPUTF8" : "", ret, envid);
}

static int
put_rcpt(struct session *s, const struct ipc_recipient *r, uint64_t deadline)
{
	static const struct {
		enum dsn_notify	 bit;
		const char	*word;
	} words[] = {
		{ DSN_NOTIFY_NEVER, "NEVER" }, { DSN_NOTIFY_SUCCESS, "SUCCESS" }, { DSN_NOTIFY_FAILURE, "FAILURE" },
		{ DSN_NOTIFY_DELAY, "DELAY" },
	};
	char notify[48] = "", text[IPC_ORCPT_MAX], orcpt[IPC_ORCPT_MAX + 8] = "";
	size_t used = 0;

	for (size_t i = 0; s->capability.dsn && i < sizeof(words) / sizeof(words[0]); i++)
		if ((r->notify & words[i].bit) != 0 && str_fmt(notify + used, sizeof(notify) - used, "%s%s", used == 0 ?
		    " NOTIFY=" : ",", words[i].word) == ERR_OK)
			used += strlen(notify + used);
	if (s->capability.dsn && r->orcpt[0] != 0 && original_put(text, r->orcpt, is_utf8_said(s)) == ERR_OK)
		str_fmt(orcpt, sizeof(orcpt), " ORCPT=%s", text);
	return stream_put_fmt(&s->stream, deadline, "RCPT TO:<%s>%s%s\r\n", r->address.text, notify, orcpt);
}

/* A reply that failed to come settles all that were still open. Returns false, for the caller to pass on. */
static bool
lose(struct session *s, const struct transaction *t, enum delivery_stage stage, int err)
{
	struct ipc_outcome_of o;

	outcome_from_error(s, &o, stage, err);
	/* Servers close sessions that were idle, or had their share: what was not begun is no failed attempt. */
	if (!t->was_answered && s->deliveries != 0 && err == ERR_CLOSED)
		o.verdict = DELIVERY_RETURNED;
	settle_all(s, &o);
	return false;
}

static void
take_mail(struct session *s, struct transaction *t)
{
	struct ipc_outcome_of o;

	if (s->reply.code / 100 == 2) {
		t->is_mail_ok = s->needs_reset = true;
		return;
	}
	outcome_from_reply(s, &o, DELIVERY_MAIL);
	if (o.code == 421 && s->deliveries != 0)
		o.verdict = DELIVERY_RETURNED;
	settle_all(s, &o);
}

/* RFC 5321, 4.5.3.1.10: 452, or 552 from older servers, when there are more recipients than the server takes at once. */
static bool
is_too_many(const struct remote_reply *r)
{
	return (r->code == 452 || r->code == 552) && (r->enhanced[0] == 0 || strcmp(r->enhanced + 1, ".5.3") == 0);
}

static void
take_rcpt(struct session *s, struct transaction *t, struct job_recipient *r)
{
	if (r->is_done)
		return;
	if (s->reply.code / 100 == 2) {
		r->is_accepted = true;
		t->naccepted++;
		return;
	}
	outcome_from_reply(s, &r->outcome, DELIVERY_RCPT);
	r->is_done = true;
	if ((r->is_put_back = is_too_many(&s->reply)))
		r->outcome.verdict = DELIVERY_DEFERRED;
}

static void
take_data(struct session *s, struct transaction *t)
{
	struct ipc_outcome_of o;

	if ((t->is_data_ok = s->reply.code == 354))
		return;
	outcome_from_reply(s, &o, DELIVERY_DATA);
	if (o.verdict == DELIVERY_DELIVERED)
		o.verdict = DELIVERY_DEFERRED;
	settle_all(s, &o);
}

/*
 * The reply to a command that was just put, unless all were sent together. False: the session is over, and all is settled. After a
 * 421 nothing more is to be heard: what is open shares its fate.
 */
static bool
hear(struct session *s, struct transaction *t, enum delivery_stage stage, uint64_t ms)
{
	int err = t->is_piped ? ERR_OK : stream_flush(&s->stream, session_deadline(s, ms));

	if (err == ERR_OK)
		err = session_read_reply(s, ms);
	if (err != ERR_OK)
		return lose(s, t, stage, err);
	t->was_answered = true;
	return true;
}

static bool
goes_on(struct session *s, enum delivery_stage stage)
{
	struct ipc_outcome_of o;

	if (s->reply.code != 421)
		return true;
	outcome_from_reply(s, &o, stage);
	settle_all(s, &o);
	return false;
}

/* All commands in one write (RFC 2920). */
static int
put_all(struct session *s)
{
	uint64_t deadline = session_deadline(s, MAIL_MS);
	int err = ERR_OK;

	if (s->needs_reset)
		err = stream_put(&s->stream, "RSET\r\n", 6, deadline);
	if (err == ERR_OK)
		err = put_mail(s, deadline);
	for (size_t i = 0; i < s->job.n && err == ERR_OK; i++)
		if (!s->job.recipients[i].is_done)
			err = put_rcpt(s, &s->job.recipients[i].recipient, deadline);
	if (err == ERR_OK)
		err = stream_put(&s->stream, "DATA\r\n", 6, deadline);
	return err == ERR_OK ? stream_flush(&s->stream, deadline) : err;
}

static bool
reset(struct session *s, struct transaction *t)
{
	int err = t->is_piped ? ERR_OK : stream_put(&s->stream, "RSET\r\n", 6, session_deadline(s, MAIL_MS));

	if (err != ERR_OK)
		return lose(s, t, DELIVERY_MAIL, err);
	if (!hear(s, t, DELIVERY_MAIL, MAIL_MS))
		return false;
	s->needs_reset = false;
	return goes_on(s, DELIVERY_MAIL);
}

static bool
mail(struct session *s, struct transaction *t)
{
	int err = t->is_piped ? ERR_OK : put_mail(s, session_deadline(s, MAIL_MS));

	if (err != ERR_OK)
		return lose(s, t, DELIVERY_MAIL, err);
	if (!hear(s, t, DELIVERY_MAIL, MAIL_MS))
		return false;
	take_mail(s, t);
	/* What was sent together is answered, too. */
	return !s->is_over && (t->is_mail_ok || t->is_piped);
}

static bool
recipients(struct session *s, struct transaction *t, const bool *asked)
{
	for (size_t i = 0; i < s->job.n; i++) {
		struct job_recipient *r = &s->job.recipients[i];
		int err = ERR_OK;

		if (!asked[i])
			continue;
		if (!t->is_piped)
			err = put_rcpt(s, &r->recipient, session_deadline(s, RCPT_MS));
		if (err != ERR_OK)
			return lose(s, t, DELIVERY_RCPT, err);
		if (!hear(s, t, DELIVERY_RCPT, RCPT_MS))
			return false;
		take_rcpt(s, t, r);
		if (!goes_on(s, DELIVERY_RCPT))
			return false;
	}
	return t->naccepted != 0 || t->is_piped;
}

static bool
data(struct session *s, struct transaction *t)
{
	int err = t->is_piped ? ERR_OK : stream_put(&s->stream, "DATA\r\n", 6, session_deadline(s, DATA_MS));

	if (err != ERR_OK)
		return lose(s, t, DELIVERY_DATA, err);
	if (!hear(s, t, DELIVERY_DATA, DATA_MS))
		return false;
	take_data(s, t);
	return t->is_data_ok;
}

/* The replies to the final dot: one, or in LMTP one for each accepted recipient (RFC 2033, 4.2). */
static void
hear_end(struct session *s)
{
	struct ipc_outcome_of o;
	bool is_last = false;
	int err;

	for (size_t i = 0; i < s->job.n && !is_last; i++) {
		struct job_recipient *r = &s->job.recipients[i];

		if (r->is_done)
			continue;
		if ((err = session_read_reply(s, END_MS)) != ERR_OK) {
			outcome_from_error(s, &o, DELIVERY_END, err);
			outcome_set(&o, DELIVERY_DEFERRED, DELIVERY_END, "4.4.2", "the message was sent, but %s did not confirm it (%s): it "
			    "may have arrived, and will be sent again", s->facts->host, err_text(err));
			settle_all(s, &o);
			return;
		}
		outcome_from_reply(s, &o, DELIVERY_END);
		if (s->reply.code / 100 == 3)
			o.verdict = DELIVERY_DEFERRED;
		is_last = s->facts->kind != ROUTE_LMTP || s->is_over;
		if (is_last) {
			settle_all(s, &o);
		} else {
			r->outcome = o;
			r->is_done = true;
		}
	}
}

static void
send_message(struct session *s, struct transaction *t)
{
	uint64_t deadline;
	int err = payload_send(s);

	stream_look(&s->stream);
	if (err == ERR_OK && s->stream.wish == STREAM_STOP)
		err = ERR_BUSY;
	if (err != ERR_OK) {
		lose(s, t, DELIVERY_DATA, err);
		s->is_lost = true;	/* anything that is said now would be read as part of the message */
		return;
	}
	if (!report_is_heard(s)) {
		struct ipc_outcome_of o;

		outcome_set(&o, DELIVERY_RETURNED, DELIVERY_DATA, "4.3.0", "the spool was started again");
		settle_all(s, &o);
		s->is_over = s->is_lost = true;
		return;
	}
	s->stream.is_final = true;
	deadline = session_deadline(s, END_MS);
	if (stream_put(&s->stream, ".\r\n", 3, deadline) == ERR_OK)
		(void)stream_flush(&s->stream, deadline);	/* if it failed, so does the reading */
	s->needs_reset = false;
	hear_end(s);
	s->stream.is_final = false;
}

/* No recipient was accepted, and yet DATA was: an empty message is all that can be sent (RFC 2920, 3.1). */
static void
send_nothing(struct session *s)
{
	if (session_ask(s, END_MS, ".\r\n") != ERR_OK)
		s->is_over = s->is_lost = true;
	else if (s->reply.code == 421)
		s->is_over = true;
	s->needs_reset = false;
}

static void
transact(struct session *s)
{
	struct transaction t = { .is_piped = s->capability.pipelining };
	bool asked[RELAY_RECIPIENTS_MAX], has_reset = s->needs_reset;
	int err;

	for (size_t i = 0; i < s->job.n; i++) {
		asked[i] = !s->job.recipients[i].is_done;
		s->job.recipients[i].is_accepted = false;
	}
	if (t.is_piped && (err = put_all(s)) != ERR_OK) {
		lose(s, &t, DELIVERY_MAIL, err);
		return;
	}
	if ((has_reset && !reset(s, &t)) || !mail(s, &t) || !recipients(s, &t, asked) || !data(s, &t))
		return;
	if (t.naccepted != 0)
		send_message(s, &t);
	else
		send_nothing(s);
}

/* After a message went out, those that were too many for it are tried in another transaction. */
static bool
take_put_back(struct session *s)
{
	bool has_delivered = false, has_more = false;

	for (size_t i = 0; i < s->job.n; i++) {
		const struct job_recipient *r = &s->job.recipients[i];

		has_delivered = has_delivered || (r->is_accepted && r->outcome.verdict == DELIVERY_DELIVERED);
		has_more = has_more || r->is_put_back;
	}
	if (!has_delivered || !has_more || s->is_over || s->stream.wish != STREAM_GO_ON)
		return false;
	for (size_t i = 0; i < s->job.n; i++) {
		struct job_recipient *r = &s->job.recipients[i];

		r->is_done = r->is_done && !r->is_put_back;
		r->is_put_back = false;
	}
	return true;
}

void
dialogue_run(struct session *s)
{
	if (!is_possible(s))
		return;
	do {
		transact(s);
	} while (take_put_back(s));
	s->is_dead = s->is_over && s->deliveries == 0 && s->job.recipients[0].outcome.verdict == DELIVERY_DEFERRED &&
	    s->job.recipients[0].outcome.stage == DELIVERY_MAIL;
}
