/*
 * A message's header: where it ends, what it says, and its repair. Pure; run by postern-spool on a client's octets. Invariant:
 * what it writes is a well-formed header with Received on top, no Bcc and no Return-Path, one Date, Message-ID and From at
 * least, and a blank line; every other octet comes out as it went in.
 */
#include "header.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "err.h"
#include "mailbox_list.h"
#include "str.h"

enum line_state {
	LINE_START,
	LINE_NAME,		/* in what may be a field's name */
	LINE_BLANK,		/* in blanks between name and colon (RFC 5322, 4.5) */
	LINE_FIELD,		/* a field or its continuation, to the line's end */
	LINE_EMPTY,		/* the CR of the blank line */
};

struct field {
	size_t	start, name_len, value, end;	/* offsets in raw */
};

void
header_init(struct header *h)
{
	*h = (struct header){ .line = 0 };
	/* One line may pass the limit before it is judged. */
	buf_init(&h->raw, 2 * HEADER_MAX);
}

void
header_free(struct header *h)
{
	buf_free(&h->raw);
}

static bool
is_ftext(uint8_t c)
{
	return c > ' ' && c < 0x7f && c != ':';
}

static bool
is_name(const struct header *h, const struct field *f, const char *name)
{
	return str_is_equal_nocase(h->raw.data + f->start, f->name_len, name, strlen(name));
}

/* The field at offset `at`, which must be below fields_len, with its continuation lines. */
static void
get_field(const struct header *h, size_t at, struct field *f)
{
	const uint8_t *raw = h->raw.data;

	*f = (struct field){ .start = at };
	while (is_ftext(raw[at + f->name_len]))
		f->name_len++;
	f->value = at + f->name_len;
	while (raw[f->value] != ':')
		f->value++;
	f->value++;
	f->end = f->value;
	do {
		const uint8_t *lf = memchr(raw + f->end, '\n', h->fields_len - f->end);

		f->end = lf != NULL ? (size_t)(lf - raw) + 1 : h->fields_len;
	} while (f->end < h->fields_len && (raw[f->end] == ' ' || raw[f->end] == '\t'));
}

static void
complete(struct header *h)
{
	struct field f;

	h->is_complete = true;
	h->fields_len = h->line;
	for (size_t at = 0; at < h->fields_len; at = f.end) {
		get_field(h, at, &f);
		if (is_name(h, &f, "From")) {
			if (h->nfrom++ == 0) {
				h->from = f.value;
				h->from_len = f.end - f.value;
			}
		}
		h->nreceived += is_name(h, &f, "Received");
		h->has_date |= is_name(h, &f, "Date");
		if (!h->has_message_id && is_name(h, &f, "Message-ID")) {
			h->has_message_id = true;
			h->message_id = f.value;
			h->message_id_len = f.end - f.value;
		}
	}
}

/* Takes the octets of a line that belong to its state; the octet that ends it is judged by the caller. */
static size_t
span(const struct header *h, const uint8_t *p, size_t n)
{
	const uint8_t *lf;
	size_t len = 0;

	switch (h->state) {
	case LINE_NAME:
		while (len < n && is_ftext(p[len]))
			len++;
		return len;
	case LINE_BLANK:
		while (len < n && (p[len] == ' ' || p[len] == '\t'))
			len++;
		return len;
	case LINE_FIELD:
		lf = memchr(p, '\n', n);
		return lf != NULL ? (size_t)(lf - p) + 1 : n;
	default:
		return 0;
	}
}

/* The state that an octet leads to from the start of a line, a name, or the blanks behind it; LINE_START: this is no field. */
static enum line_state
next_state(const struct header *h, uint8_t c)
{
	if (h->state == LINE_START) {
		if (c == '\r')
			return LINE_EMPTY;
		if (c == ' ' || c == '\t')
			return h->line != 0 ? LINE_FIELD : LINE_START;
		return is_ftext(c) ? LINE_NAME : LINE_START;
	}
	if (c == ':')
		return LINE_FIELD;
	return h->state == LINE_NAME && (c == ' ' || c == '\t') ? LINE_BLANK : LINE_START;
}

int
header_feed(struct header *h, const uint8_t *p, size_t n, size_t *used)
{
	for (*used = 0; *used < n && !h->is_complete;) {
		size_t len = span(h, p + *used, n - *used);
		int err;

		if ((err = buf_put(&h->raw, p + *used, len)) != ERR_OK)
			return err;
		*used += len;
		if (h->raw.len > HEADER_MAX)
			return ERR_TOOBIG;
		if (h->state == LINE_FIELD) {
			if (h->raw.data[h->raw.len - 1] == '\n') {
				h->line = h->raw.len;
				h->state = LINE_START;
			}
		} else if (h->state == LINE_EMPTY) {
			++*used;
			complete(h);
		} else if (*used < n) {
			h->state = next_state(h, p[*used]);
			if (h->state == LINE_START)
				complete(h);
			else if (h->state == LINE_EMPTY)
				++*used;
		}
	}
	return ERR_OK;
}

int
header_end(struct header *h)
{
	int err;

	if (h->is_complete)
		return ERR_OK;
	if (h->state == LINE_FIELD) {
		if ((err = buf_put_str(&h->raw, "\r\n")) != ERR_OK)
			return err;
		h->line = h->raw.len;
	}
	complete(h);
	return ERR_OK;
}

int
header_get_from(const struct header *h, struct addr *addresses, size_t max, size_t *count)
{
	return mailbox_list_get(h->raw.data + h->from, h->from_len, addresses, max, count);
}

/* RFC 5322, 3.3, in UTC. */
static void
put_date(char to[96], uint64_t us)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)(us / 1000000);
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL)
		tm = (struct tm){ .tm_mday = 1, .tm_year = 70, .tm_wday = 4 };
	snprintf(to, 96, "%s, %d %s %d %02d:%02d:%02d +0000", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
	    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static int
put_fields(const struct header *h, struct buf *out)
{
	size_t kept = 0;
	struct field f;
	int err;

	for (size_t at = 0; at < h->fields_len; at = f.end) {
		get_field(h, at, &f);
		/* Return-Path is written at final delivery, by who does that (RFC 5321, 4.4). */
		if (!is_name(h, &f, "Bcc") && !is_name(h, &f, "Resent-Bcc") && !is_name(h, &f, "Return-Path"))
			continue;
		if ((err = buf_put(out, h->raw.data + kept, f.start - kept)) != ERR_OK)
			return err;
		kept = f.end;
	}
	return h->fields_len == 0 ? ERR_OK : buf_put(out, h->raw.data + kept, h->fields_len - kept);
}

int
header_put(const struct header *h, struct buf *out, const struct header_repair *r)
{
	char date[96];
	int err;

	put_date(date, r->arrival_us);
	/* RFC 3848, RFC 6531. The client's address stays out of the mail unless it is wanted. */
	if (r->local)
		err = buf_put_fmt(out, "Received: (from %s of this machine)\r\n\tby %s (Postern) id %s;\r\n\t%s\r\n",
		    r->client != NULL ? r->client : "a program", r->host, r->id, date);
	else
		err = buf_put_fmt(out, "Received: from %s (authenticated)\r\n\tby %s (Postern) with %s id %s;\r\n\t%s\r\n",
		    r->client != NULL ? r->client : "unknown", r->host,
		    r->smtputf8 ? (r->tls ? "UTF8SMTPSA" : "UTF8SMTPA") : (r->tls ? "ESMTPSA" : "ESMTPA"), r->id, date);
	if (err != ERR_OK || (err = put_fields(h, out)) != ERR_OK)
		return err;
	if (!h->has_date && (err = buf_put_fmt(out, "Date: %s\r\n", date)) != ERR_OK)
		return err;
	if (!h->has_message_id && (err = buf_put_fmt(out, "Message-ID: <%s@%s>\r\n", r->id, r->host)) != ERR_OK)
		return err;
	if (h->nfrom == 0 && r->sender[0] != 0)
		err = buf_put_fmt(out, "From: <%s>\r\n", r->sender);
	else if (h->nfrom == 0)
		err = buf_put_fmt(out, "From: <MAILER-DAEMON@%s>\r\n", r->host);
	if (err != ERR_OK || (err = buf_put_str(out, "\r\n")) != ERR_OK)
		return err;
	return h->raw.len == h->fields_len ? ERR_OK :
	    buf_put(out, h->raw.data + h->fields_len, h->raw.len - h->fields_len);
}
