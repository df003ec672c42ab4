/*
 * The trace in words. Pure; runs in smtpadm on what clients and remote servers have said: the caller cleans it for the terminal.
 * Invariant: an event that is not known is shown as it stands.
 */
#include "trace_words.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "show.h"
#include "trace_read.h"

struct text {
	char	*to;
	size_t	 size, len;
	enum time_style style;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->to + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len = t->len + (size_t)n < t->size ? t->len + (size_t)n : t->size - 1;
}

static const char *
value(const struct trace_line *l, const char *key)
{
	const char *v = trace_value(l, key);

	return v != NULL ? v : "";
}

/* "before<value>after", nothing when there is no value. */
static void
put_value(struct text *t, const struct trace_line *l, const char *before, const char *key, const char *after)
{
	const char *v = value(l, key);

	if (v[0] != 0)
		put(t, "%s%s%s", before, v, after);
}

const char *
trace_reason(const char *word)
{
	static const struct {
		const char	*word, *text;
	} reasons[] = {
		{ "no_storage", "the disk has too little room (452)" }, { "too_big", "it is over the limit of its size (552)" },
		{ "bad_octets", "it has a NUL, a bare CR or a bare LF (554)" }, { "malformed", "its header is too long (554)" },
		{ "sender_not_allowed", "its From field has an address that the account may not use (553)" },
		{ "attachment_too_big", "an attachment is over the limit (552)" }, { "bad_mime", "its MIME structure is broken (554)" },
		{ "line_too_long", "it has a line that is too long (554)" },
		{ "no_recipients", "it has no recipient (554)" }, { "two_from_fields", "it has two From fields (554)" },
		{ "bad_from_field", "no address in its From field can be read (554)" }, { "loop", "it goes round in a circle (554)" },
		{ "login_void", "the account or its credential was disabled meanwhile (530)" },
		{ "error", "of trouble of our own, which the log names (451)" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(reasons[i].word, word) == 0)
			return reasons[i].text;
	return word;
}

static void
put_session(struct text *t, const struct trace_line *l)
{
	put(t, "session %016llx begins: from %s, listener %s%s", (unsigned long long)l->session, value(l, "peer"), value(l, "listener"),
	    strcmp(value(l, "tls"), "yes") == 0 ? ", encrypted" : "");
}

static void
put_login(struct text *t, const struct trace_line *l)
{
	put(t, "logged in as %s", value(l, "account"));
	put_value(t, l, " with ", "credential", "");
	put_value(t, l, " (", "mechanism", ")");
}

static void
put_submission(struct text *t, const struct trace_line *l)
{
	bool is_null = strcmp(value(l, "sender"), "<>") == 0;

	put(t, "from <%s>, %s octets, %s recipient%s", is_null ? "" : value(l, "sender"), value(l, "size"), value(l, "recipients"),
	    strcmp(value(l, "recipients"), "1") == 0 ? "" : "s");
	put_value(t, l, ", Message-ID <", "message_id", ">");
	put_value(t, l, ", a report about ", "about", "");
}

static void
put_accepted(struct text *t, const struct trace_line *l)
{
	put(t, "accepted: ");
	put_submission(t, l);
}

static void
put_refused(struct text *t, const struct trace_line *l)
{
	put(t, "refused at its end, because %s: ", trace_reason(value(l, "reason")));
	put_submission(t, l);
}

static void
put_broken_off(struct text *t, const struct trace_line *l)
{
	put(t, "not taken: the client went away or gave up before its end: ");
	put_submission(t, l);
}

static void
put_recipient(struct text *t, const struct trace_line *l)
{
	put(t, "recipient %s", value(l, "to"));
}

/* Where it was tried, and what was said. */
static void
put_attempt(struct text *t, const struct trace_line *l)
{
	put_value(t, l, " by route ", "route", "");
	put_value(t, l, " at ", "host", "");
	put_value(t, l, " [", "address", "]");
	put_value(t, l, ", ", "tls", "");
	put_value(t, l, ", ", "stage", "");
	put(t, ": ");
	if (strcmp(value(l, "code"), "0") != 0)
		put_value(t, l, "", "code", " ");
	put(t, "%s", value(l, "reply"));
}

static void
put_delivered(struct text *t, const struct trace_line *l)
{
	put(t, "delivered to %s", value(l, "to"));
	put_attempt(t, l);
}

/* An age says nothing of what is to come. */
static void
put_next(struct text *t, const struct trace_line *l)
{
	char time[40];
	uint64_t us;

	if (trace_get_time(value(l, "next"), &us) == ERR_OK)
		put(t, "; next try %s", show_time(time, t->style == TIME_REL ? TIME_DEFAULT : t->style, us));
}

static void
put_deferred(struct text *t, const struct trace_line *l)
{
	put(t, "not delivered to %s", value(l, "to"));
	put_attempt(t, l);
	put_next(t, l);
}

static void
put_failed(struct text *t, const struct trace_line *l)
{
	put(t, "failed for good for %s", value(l, "to"));
	put_attempt(t, l);
}

static void
put_expired(struct text *t, const struct trace_line *l)
{
	put(t, "given up for %s: its time is over", value(l, "to"));
	put_value(t, l, ", after ", "tries", strcmp(value(l, "tries"), "1") == 0 ? " try" : " tries");
}

static void
put_reported(struct text *t, const struct trace_line *l)
{
	put(t, "report of %s", value(l, "kind"));
	put_value(t, l, " for ", "to", "");
	put_value(t, l, " is message ", "report", "");
}

static void
put_unreported(struct text *t, const struct trace_line *l)
{
	put(t, "nobody is told");
	put_value(t, l, " about ", "to", "");
	put_value(t, l, ": ", "reason", "");
}

static void
put_signed(struct text *t, const struct trace_line *l)
{
	put(t, "signed (DKIM)");
	put_value(t, l, " for ", "domain", "");
	put_value(t, l, " with ", "selectors", "");
}

static void
put_unsigned(struct text *t, const struct trace_line *l)
{
	put(t, "not signed (DKIM)");
	put_value(t, l, " for ", "domain", "");
	put_value(t, l, ": ", "reason", "");
}

/* What an admin did. */
static void
put_admin(struct text *t, const struct trace_line *l)
{
	static const struct {
		const char	*event, *text;
	} words[] = {
		{ "held", "held" }, { "released", "released" }, { "retried", "to be tried at once" }, { "bounced", "given up" },
		{ "rerouted", "rerouted" }, { "removed", "removed from the queue" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].event, l->event) == 0)
			put(t, "%s", words[i].text);
	put_value(t, l, " to ", "route", "");
	put_value(t, l, " by user ", "by", "");
	put_value(t, l, ": ", "reason", "");
}

static void
put_done(struct text *t, const struct trace_line *l)
{
	bool is_kept = strcmp(value(l, "folder"), "failed") == 0;

	put(t, "finished: it %s", is_kept ? "is kept in failed/" : "has left the queue");
	put_value(t, l, " after ", "tries", strcmp(value(l, "tries"), "1") == 0 ? " try" : " tries");
}

static const struct {
	const char	*event;
	void		(*put)(struct text *t, const struct trace_line *l);
} events[] = {
	{ "session", put_session }, { "login", put_login }, { "accepted", put_accepted }, { "refused", put_refused },
	{ "broken_off", put_broken_off }, { "recipient", put_recipient }, { "delivered", put_delivered }, { "deferred", put_deferred },
	{ "failed", put_failed }, { "expired", put_expired }, { "reported", put_reported }, { "unreported", put_unreported },
	{ "signed", put_signed }, { "unsigned", put_unsigned }, { "held", put_admin }, { "released", put_admin },
	{ "retried", put_admin }, { "bounced", put_admin }, { "rerouted", put_admin }, { "removed", put_admin }, { "done", put_done },
};

char *
trace_words(char *to, size_t size, const struct trace_line *l, enum time_style style)
{
	struct text t = { .to = to, .size = size, .style = style };

	to[0] = 0;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (strcmp(events[i].event, l->event) != 0)
			continue;
		events[i].put(&t, l);
		return to;
	}
	put(&t, "%s", l->event);
	for (size_t i = 0; i < l->npairs; i++)
		put(&t, " %s=%s", l->pairs[i].key, l->pairs[i].value);
	return to;
}
