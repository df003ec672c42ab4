/*
 * The words of a report: what happened to whom, why, and what to do about it. Pure; run by postern-spool. Invariant: what others
 * said stands in the text only behind an indent, bounded and without controls, so that it can pass for no word of ours.
 */
#include "report_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "buf.h"
#include "err.h"
#include "str.h"

#define WIDTH 76

/* Who is to blame is found in three steps: what the enhanced code says, how far it came, what the code says. */
enum cause {
	CAUSE_NO_MAILBOX, CAUSE_NO_DOMAIN, CAUSE_NO_MAIL, CAUSE_DISABLED, CAUSE_FULL, CAUSE_TOO_BIG, CAUSE_SENDER, CAUSE_LOOP,
	CAUSE_CONTENT, CAUSE_NAMES, CAUSE_ENCRYPTION, CAUSE_LOGIN, CAUSE_POLICY, CAUSE_UNREACHABLE, CAUSE_DNS, CAUSE_ROUTE,
	CAUSE_ADMIN, CAUSE_BUSY, CAUSE_PROOF, CAUSE_OTHER,
};

static const struct report_cause causes[] = {
	[CAUSE_NO_MAILBOX] = { "There is no such mailbox.",
	    "Check the address for a typing error, or ask the person for the present one, and send the message again." },
	[CAUSE_NO_DOMAIN] = { "The domain of the address does not exist.",
	    "Check what stands behind the @ for a typing error, and send the message again." },
	[CAUSE_NO_MAIL] = { "The domain of the address takes no mail.", "Ask the person for another address." },
	[CAUSE_DISABLED] = { "The mailbox is not in use.", "Ask the person for the present address." },
	[CAUSE_FULL] = { "The mailbox is full.", "Tell the person in another way, and send the message again later." },
	[CAUSE_TOO_BIG] = { "The message is too big for the mailbox or its server.",
	    "Send a smaller one: leave attachments out, or pass them on in another way." },
	[CAUSE_SENDER] = { "The server refuses your sender address.",
	    "Whoever looks after your mail can find out why: pass this report on to them." },
	[CAUSE_LOOP] = { "The message went round in a circle.",
	    "A forwarding is set up wrongly there: pass this report on to the person or to whoever looks after their mail." },
	[CAUSE_CONTENT] = { "The server does not take a message of this form.",
	    "Send it as plain text without special attachments, or pass its content on in another way." },
	[CAUSE_NAMES] = { "The server does not take addresses with letters outside ASCII.",
	    "Use an address of plain letters, for the person and for yourself." },
	[CAUSE_ENCRYPTION] = { "No safely encrypted connection to the server could be had, and this message may not travel without.",
	    "Whoever looks after your mail can see what is wrong: pass this report on to them." },
	[CAUSE_LOGIN] = { "Our server could not log in at the next server.",
	    "This is for whoever looks after your mail: pass this report on to them." },
	[CAUSE_POLICY] = { "The server refuses the message, by its rules or because it takes it for spam.",
	    "Read what it said below; if it is no spam, ask the person to have you allowed, or write in another way." },
	[CAUSE_UNREACHABLE] = { "The server for this address could not be reached.",
	    "Check the domain of the address; if it is right, tell the person that their mail server does not answer." },
	[CAUSE_DNS] = { "It could not be found out which server takes mail for this address.",
	    "Check the domain of the address; if it is right, tell the person that their domain does not answer." },
	[CAUSE_ROUTE] = { "Our server has no way to send mail there.",
	    "This is for whoever looks after your mail: pass this report on to them." },
	[CAUSE_ADMIN] = { "The message was returned by the administrator of our server.",
	    "Ask whoever looks after your mail." },
	[CAUSE_BUSY] = { "The server did not take the message for now, each time it was tried.",
	    "Send it again later, or tell the person that their mail server has trouble." },
	[CAUSE_PROOF] = { "The server could not make sure that the message comes from your domain.",
	    "This is for whoever looks after your mail, and the domain's records SPF, DKIM and DMARC: pass this report on to them." },
	[CAUSE_OTHER] = { "The server does not take the message.",
	    "Read what it said below; if that does not help, pass this report on to whoever looks after your mail." },
};

/* RFC 3463 and its registry: subject and detail; detail -1: any other. */
static const struct {
	int		subject, detail;
	enum cause	cause;
} by_enhanced[] = {
	{ 1, 1, CAUSE_NO_MAILBOX }, { 1, 2, CAUSE_NO_DOMAIN }, { 1, 3, CAUSE_NO_MAILBOX }, { 1, 4, CAUSE_NO_MAILBOX },
	{ 1, 6, CAUSE_DISABLED }, { 1, 7, CAUSE_SENDER }, { 1, 8, CAUSE_SENDER }, { 1, 10, CAUSE_NO_MAIL },
	{ 2, 1, CAUSE_DISABLED }, { 2, 2, CAUSE_FULL }, { 2, 3, CAUSE_TOO_BIG }, { 3, 4, CAUSE_TOO_BIG },
	{ 4, 1, CAUSE_UNREACHABLE }, { 4, 3, CAUSE_DNS }, { 4, 4, CAUSE_ROUTE }, { 4, 6, CAUSE_LOOP },
	{ 6, 7, CAUSE_NAMES }, { 6, -1, CAUSE_CONTENT },
	{ 7, 4, CAUSE_ENCRYPTION }, { 7, 5, CAUSE_ENCRYPTION }, { 7, 10, CAUSE_ENCRYPTION }, { 7, 8, CAUSE_LOGIN },
	/* RFC 7372. */
	{ 7, 20, CAUSE_PROOF }, { 7, 21, CAUSE_PROOF }, { 7, 22, CAUSE_PROOF }, { 7, 23, CAUSE_PROOF }, { 7, 24, CAUSE_PROOF },
	{ 7, 26, CAUSE_PROOF },
	{ 7, -1, CAUSE_POLICY },
};

static enum cause
cause_of_enhanced(const char *enhanced)
{
	int class, subject, detail;

	if (enhanced == NULL || sscanf(enhanced, "%1d.%3d.%3d", &class, &subject, &detail) != 3)
		return CAUSE_OTHER;
	for (size_t i = 0; i < sizeof(by_enhanced) / sizeof(by_enhanced[0]); i++)
		if (by_enhanced[i].subject == subject && (by_enhanced[i].detail == detail || by_enhanced[i].detail < 0))
			return by_enhanced[i].cause;
	return CAUSE_OTHER;
}

static enum cause
cause_of_stage(const struct state_recipient *r)
{
	switch (r->stage) {
	case DELIVERY_ROUTE:
		return CAUSE_ROUTE;
	case DELIVERY_RESOLVE:
		return CAUSE_DNS;
	case DELIVERY_CONNECT:
	case DELIVERY_GREETING:
	case DELIVERY_HELLO:
		return r->code >= 500 ? CAUSE_POLICY : CAUSE_UNREACHABLE;
	case DELIVERY_TLS:
		return CAUSE_ENCRYPTION;
	case DELIVERY_LOGIN:
		return CAUSE_LOGIN;
	case DELIVERY_MAIL:
		return r->code == 552 ? CAUSE_TOO_BIG : r->code >= 500 ? CAUSE_SENDER : CAUSE_BUSY;
	case DELIVERY_RCPT:
		return r->code == 552 ? CAUSE_FULL : r->code == 550 || r->code == 553 || r->code == 551 ? CAUSE_NO_MAILBOX :
		    r->code >= 500 ? CAUSE_OTHER : CAUSE_BUSY;
	case DELIVERY_DATA:
	case DELIVERY_END:
		return r->code == 552 ? CAUSE_TOO_BIG : r->code >= 500 ? CAUSE_POLICY : r->code == 0 ? CAUSE_UNREACHABLE : CAUSE_BUSY;
	}
	return CAUSE_OTHER;
}

const struct report_cause *
report_find_cause(const struct state_recipient *r)
{
	enum cause cause = CAUSE_OTHER;

	if (r->code == 0 && r->reply != NULL && strcmp(r->reply, STATE_RETURNED_REPLY) == 0)
		return &causes[CAUSE_ADMIN];
	if (r->stage == DELIVERY_TLS || r->stage == DELIVERY_LOGIN)
		cause = cause_of_stage(r);
	if (cause == CAUSE_OTHER)
		cause = cause_of_enhanced(r->enhanced);
	if (cause == CAUSE_OTHER)
		cause = cause_of_stage(r);
	/* A refusal for now that lasted for days: the server is busy, or does not know us (greylisting), not the mailbox. */
	if (cause == CAUSE_POLICY && r->code >= 400 && r->code < 500)
		cause = CAUSE_BUSY;
	return &causes[cause];
}

char *
report_put_date(char *to, uint64_t us)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)(us / 1000000);
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL)
		tm = (struct tm){ .tm_mday = 1, .tm_year = 70, .tm_wday = 4 };
	snprintf(to, 40, "%.3s, %u %.3s %u %02u:%02u:%02u +0000", days[tm.tm_wday], (unsigned)tm.tm_mday % 100u, months[tm.tm_mon],
	    (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)tm.tm_hour % 100u, (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u);
	return to;
}

void
report_get_field(const uint8_t *p, size_t n, const char *name, char *to, size_t size)
{
	size_t len = strlen(name), used = 0;
	const uint8_t *end = p + n, *next;

	to[0] = 0;
	for (; p < end && *p != '\r' && *p != '\n'; p = next) {
		next = memchr(p, '\n', (size_t)(end - p));
		next = next != NULL ? next + 1 : end;
		if ((size_t)(next - p) <= len || strncasecmp((const char *)p, name, len) != 0 || p[len] != ':')
			continue;
		for (p += len + 1; p < end && !(p == next && *p != ' ' && *p != '\t') && used + 1 < size; p++) {
			if (p == next)
				next = (next = memchr(p, '\n', (size_t)(end - p))) != NULL ? next + 1 : end;
			if (*p == '\r' || *p == '\n' || ((*p == ' ' || *p == '\t') && (used == 0 || to[used - 1] == ' ')))
				continue;
			to[used++] = *p < ' ' || *p == 0x7f ? ' ' : (char)*p;
		}
		while (used != 0 && to[used - 1] == ' ')
			used--;
		to[used + 1 < size ? used : 0] = 0;
		return;
	}
}

/* Octets of the next word of a line, blanks before it not counted in. */
static size_t
next_word(const char *text, size_t *blanks)
{
	size_t n = 0;

	for (*blanks = 0; text[*blanks] == ' '; ++*blanks)
		continue;
	while (text[*blanks + n] != 0 && text[*blanks + n] != ' ')
		n++;
	return n;
}

int
report_put_wrapped(struct buf *b, const char *indent, const char *next_indent, const char *text)
{
	size_t column = strlen(indent), blanks, n;
	bool is_first = true;
	int err = buf_put_str(b, indent);

	for (; err == ERR_OK && (n = next_word(text, &blanks)) != 0; text += blanks + n) {
		if (!is_first && column + 1 + n > WIDTH) {
			if ((err = buf_put_str(b, "\r\n")) == ERR_OK)
				err = buf_put_str(b, next_indent);
			column = strlen(next_indent);
		} else if (!is_first) {
			err = buf_put(b, " ", 1);
			column++;
		}
		is_first = false;
		column += n;
		for (size_t i = 0; i < n && err == ERR_OK; i++) {
			uint8_t c = (uint8_t)text[blanks + i];

			err = buf_put(b, c < ' ' || c == 0x7f ? "?" : (const char *)&text[blanks + i], 1);
		}
	}
	return err == ERR_OK ? buf_put_str(b, "\r\n") : err;
}

static int
put_line(struct buf *b, const char *one, const char *two, const char *three)
{
	char text[1600];

	snprintf(text, sizeof(text), "%s%s%s", one, two, three);
	return report_put_wrapped(b, "", "", text);
}

/* What the other side said, or what we met. */
static int
put_said(struct buf *b, const struct state_recipient *s)
{
	char said[700];

	if (s->reply == NULL || s->reply[0] == 0 || strcmp(s->reply, STATE_RETURNED_REPLY) == 0)
		return ERR_OK;
	if (s->code == 0)
		snprintf(said, sizeof(said), "%s%s%s", s->reply, s->host != NULL ? ", at " : "", s->host != NULL ? s->host : "");
	else
		snprintf(said, sizeof(said), "%s said: %u %s", s->host != NULL ? s->host : "The server", (unsigned)s->code, s->reply);
	if (!str_is_utf8(said, strlen(said)))
		for (char *p = said; *p != 0; p++)
			if ((uint8_t)*p >= 0x80)
				*p = '?';
	return report_put_wrapped(b, "      ", "      ", said);
}

static int
put_recipient(const struct report *r, struct buf *b, size_t index)
{
	int err = report_put_wrapped(b, "    ", "    ", r->envelope->recipients[index].address);

	return err != ERR_OK || r->kind == REPORT_SUCCESS ? err : put_said(b, &r->state->recipients[index]);
}

static int
put_cause(const struct report *r, struct buf *b, uint8_t group)
{
	const struct report_cause *cause = &causes[group];

	if (r->kind == REPORT_SUCCESS)
		return report_put_wrapped(b, "", "", group != 0 ?
		    "Handed on to a server that does not confirm delivery itself; no further report will follow:" : "Delivered to:");
	if (r->kind == REPORT_DELAY)
		return put_line(b, cause->what, " That may pass by itself:", "");
	return put_line(b, cause->what, " ", cause->todo);
}

/* One cause, and all whom it has met. */
static int
put_group(const struct report *r, struct buf *b, const uint8_t *groups, uint8_t group)
{
	int err = put_cause(r, b, group);

	for (size_t i = 0; i < r->n && err == ERR_OK; i++)
		if (groups[i] == group && (err = buf_put_str(b, "\r\n")) == ERR_OK)
			err = put_recipient(r, b, r->indexes[i]);
	return err == ERR_OK ? buf_put_str(b, "\r\n") : err;
}

/* In the order in which they come first. */
static int
put_groups(const struct report *r, struct buf *b)
{
	bool is_put[CAUSE_OTHER + 1] = { false };
	uint8_t *groups = malloc(r->n);
	int err = groups != NULL ? ERR_OK : ERR_NOMEM;

	for (size_t i = 0; i < r->n && err == ERR_OK; i++) {
		const struct state_recipient *s = &r->state->recipients[r->indexes[i]];

		groups[i] = (uint8_t)(r->kind == REPORT_SUCCESS ? s->is_relayed : report_find_cause(s) - causes);
	}
	for (size_t i = 0; i < r->n && err == ERR_OK; i++) {
		if (!is_put[groups[i]])
			err = put_group(r, b, groups, groups[i]);
		is_put[groups[i]] = true;
	}
	free(groups);
	return err;
}

static bool
is_ascii_text(const char *s)
{
	for (; *s != 0; s++)
		if ((uint8_t)*s < ' ' || (uint8_t)*s > '~')
			return false;
	return true;
}

/* How long it was tried: "5 days". */
static char *
put_span(char to[32], uint64_t us)
{
	uint64_t minutes = us / 60000000, n = minutes >= 2880 ? minutes / 1440 : minutes >= 120 ? minutes / 60 : minutes;
	const char *unit = minutes >= 2880 ? "days" : minutes >= 120 ? "hours" : "minutes";

	snprintf(to, 32, "%llu %.*s", (unsigned long long)n, n == 1 ? (int)strlen(unit) - 1 : (int)strlen(unit), unit);
	return to;
}

static int
put_opening(const struct report *r, struct buf *b)
{
	static const char *const happened[] = {
		[REPORT_FAILURE] = "could not be delivered to the recipients named below. It will not be tried again.",
		[REPORT_DELAY] = "has not yet been delivered to the recipients named below. You need not send it again: it is still being tried, until ",
		[REPORT_SUCCESS] = "has reached the end of its way here.",
	};
	char arrival[40], until[40], subject[160], span[32], text[900];
	uint64_t age = r->now_us > r->envelope->arrival_us ? r->now_us - r->envelope->arrival_us : 0;
	bool has_subject;

	report_get_field(r->message, r->message_len, "Subject", subject, sizeof(subject));
	has_subject = subject[0] != 0 && is_ascii_text(subject) && strstr(subject, "=?") == NULL;
	snprintf(text, sizeof(text), "This is the mail server %s. %s message of %s%s%s%s %s%s%s", r->hostname,
	    r->is_copy ? "A" : "Your", report_put_date(arrival, r->envelope->arrival_us), has_subject ? ", with the subject \"" : "",
	    has_subject ? subject : "", has_subject ? "\"," : "", happened[r->kind],
	    r->kind == REPORT_DELAY ? report_put_date(until, r->until_us) : "", r->kind == REPORT_DELAY ? "." : "");
	if (r->kind != REPORT_SUCCESS && age >= 60000000)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " It has been tried for %s.", put_span(span, age));
	return report_put_wrapped(b, "", "", text);
}

int
report_put_words(const struct report *r, struct buf *b)
{
	int err;

	if ((err = put_opening(r, b)) != ERR_OK || (err = buf_put_str(b, "\r\n")) != ERR_OK)
		return err;
	err = put_groups(r, b);
	if (err == ERR_OK && r->is_copy)
		err = put_line(b, "Its sender is ", r->envelope->sender, ".");
	if (err == ERR_OK)
		err = put_line(b, "Its number here is ", r->envelope->id,
		    ". Whoever looks after this server finds by it all that happened to the message.");
	return err;
}
