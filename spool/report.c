/*
 * Reports on delivery: a multipart/report for people, for programs, and with what it is about (RFC 3461, 3464, 6522, 6533). Pure; run
 * by postern-spool's commit threads on what senders and remote servers have said. Invariant: whatever these hold, no line of a
 * header or of the machine's part is anything but what is meant here, and the parts end where they should.
 */
#include "report.h"

#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "report_words.h"
#include "str.h"

#define PART_MAX (32u << 20)
#define ENCODED_WIDTH 74

size_t
report_quote_size(const struct spool_envelope *e)
{
	return e->message_size < REPORT_QUOTE_MAX ? (size_t)e->message_size : REPORT_QUOTE_MAX;
}

static bool
is_ascii(const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((const uint8_t *)p)[i] >= 0x80)
			return false;
	return true;
}

/* RFC 2045, 6.7. Lines end with CRLF. */
static int
put_quoted_printable(struct buf *b, const uint8_t *p, size_t n)
{
	size_t column = 0;
	int err = ERR_OK;

	for (size_t i = 0; i < n && err == ERR_OK; i++) {
		bool is_end = i + 1 < n && p[i] == '\r' && p[i + 1] == '\n';
		bool at_end = i + 1 == n || p[i + 1] == '\r';

		if (is_end) {
			err = buf_put(b, "\r\n", 2);
			i++;
			column = 0;
			continue;
		}
		if (column >= ENCODED_WIDTH - 3) {
			err = buf_put(b, "=\r\n", 3);
			column = 0;
		}
		if (err != ERR_OK)
			break;
		if ((p[i] > ' ' && p[i] <= '~' && p[i] != '=') || ((p[i] == ' ' || p[i] == '\t') && !at_end)) {
			err = buf_put(b, &p[i], 1);
			column++;
		} else {
			err = buf_put_fmt(b, "=%02X", p[i]);
			column += 3;
		}
	}
	return err;
}

/* xtext (RFC 3461, 4) as it is meant; what is no printable ASCII becomes a question mark. */
static void
decode_xtext(char *to, size_t size, const char *text)
{
	size_t used = 0;

	for (; *text != 0 && used + 1 < size; text++) {
		unsigned value = (uint8_t)*text;

		if (*text == '+' && sscanf(text, "+%2X", &value) == 1 && text[1] != 0 && text[2] != 0)
			text += 2;
		to[used++] = value >= ' ' && value <= '~' ? (char)value : '?';
	}
	to[used] = 0;
}

/* Octets of the UTF-8 sequence that c begins, and its first bits. */
static size_t
sequence(uint8_t c, uint32_t *bits)
{
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	*bits = n == 1 ? c : c & (0x7fU >> n);
	return n;
}

/* RFC 6533, 3: utf-8-addr-xtext, for a part of seven bits. */
static int
put_utf8_address(struct buf *b, const char *address)
{
	const uint8_t *p = (const uint8_t *)address;
	size_t left = strlen(address);
	int err = ERR_OK;

	while (left != 0 && err == ERR_OK) {
		uint32_t value;
		size_t n = sequence(*p, &value);

		if (n > left)
			return ERR_SYNTAX;
		for (size_t i = 1; i < n; i++)
			value = value << 6 | (p[i] & 0x3fU);
		if (n == 1 && *p > ' ' && *p <= '~' && *p != '\\' && *p != '+' && *p != '=')
			err = buf_put(b, p, 1);
		else
			err = buf_put_fmt(b, "\\x{%02X}", value);
		p += n;
		left -= n;
	}
	return err;
}

static int
put_address_field(struct buf *b, const char *field, const char *address)
{
	int err;

	if (is_ascii(address, strlen(address)))
		return buf_put_fmt(b, "%s: rfc822; %s\r\n", field, address);
	if ((err = buf_put_fmt(b, "%s: utf-8; ", field)) != ERR_OK || (err = put_utf8_address(b, address)) != ERR_OK)
		return err;
	return buf_put_str(b, "\r\n");
}

/* ORCPT=type;xtext. What is in UTF-8 has a form of its own and stays as it is (RFC 6533, 3). */
static int
put_original(struct buf *b, const char *orcpt)
{
	const char *address = strchr(orcpt, ';');
	char text[512];

	if (address == NULL || address == orcpt)
		return ERR_OK;
	address++;
	if (!is_ascii(orcpt, strlen(orcpt)))
		return put_address_field(b, "Original-Recipient", address);
	if ((size_t)(address - orcpt) == 6 && str_is_equal_nocase(orcpt, 6, "utf-8;", 6))
		return buf_put_fmt(b, "Original-Recipient: utf-8; %s\r\n", address);
	decode_xtext(text, sizeof(text), address);
	return buf_put_fmt(b, "Original-Recipient: %.*s %s\r\n", (int)(address - orcpt), orcpt, text);
}

static const char *
action_of(const struct report *r, const struct state_recipient *s)
{
	return r->kind == REPORT_FAILURE ? "failed" : r->kind == REPORT_DELAY ? "delayed" : s->is_relayed ? "relayed" : "delivered";
}

/* RFC 3463. One that was given up after refusals for now has run out of time. */
static const char *
status_of(const struct report *r, const struct state_recipient *s)
{
	const char *enhanced = s->enhanced;

	if (r->kind == REPORT_SUCCESS)
		return enhanced != NULL && enhanced[0] == '2' ? enhanced : "2.0.0";
	if (r->kind == REPORT_DELAY)
		return enhanced != NULL && enhanced[0] == '4' ? enhanced : "4.0.0";
	if (enhanced != NULL && enhanced[0] == '5')
		return enhanced;
	return (s->code >= 400 && s->code < 500) || (enhanced != NULL && enhanced[0] == '4') ? "4.4.7" : "5.0.0";
}

/* RFC 3464, 2.3.5: an address stands in brackets; a socket has no name in the DNS. */
static int
put_host(struct buf *b, const char *host)
{
	int n = (int)strcspn(host, " \t\r\n");
	bool is_path = host[0] == '/', is_ipv6 = !is_path && host[0] != '[' && memchr(host, ':', (size_t)n) != NULL;
	bool is_address = is_ipv6 || strspn(host, "0123456789.") == (size_t)n;

	return buf_put_fmt(b, "Remote-MTA: %s; %s%s%.*s%s\r\n", is_path ? "x-unix" : "dns", is_address ? "[" : "",
	    is_ipv6 ? "IPv6:" : "", n, host, is_address ? "]" : "");
}

/* The other server's name, and what it said last. */
static int
put_remote(struct buf *b, const struct state_recipient *s)
{
	char text[RELAY_REPLY_MAX + 64];
	int err = ERR_OK;

	if (s->host != NULL && s->host[0] != 0)
		err = put_host(b, s->host);
	if (err != ERR_OK || s->reply == NULL || s->reply[0] == 0)
		return err;
	if (s->code != 0)
		snprintf(text, sizeof(text), "Diagnostic-Code: smtp; %u %s", (unsigned)s->code, s->reply);
	else
		snprintf(text, sizeof(text), "Diagnostic-Code: x-postern; %s", s->reply);
	for (char *p = text; *p != 0; p++)
		if ((uint8_t)*p >= 0x80)
			*p = '?';
	return report_put_wrapped(b, "", "    ", text);
}

static int
put_status_of(const struct report *r, struct buf *b, size_t index)
{
	const struct spool_recipient *e = &r->envelope->recipients[index];
	const struct state_recipient *s = &r->state->recipients[index];
	char date[40];
	int err = buf_put_str(b, "\r\n");

	if (err == ERR_OK && e->orcpt != NULL)
		err = put_original(b, e->orcpt);
	if (err == ERR_OK)
		err = put_address_field(b, "Final-Recipient", e->address);
	if (err == ERR_OK)
		err = buf_put_fmt(b, "Action: %s\r\nStatus: %s\r\n", action_of(r, s), status_of(r, s));
	if (err == ERR_OK)
		err = put_remote(b, s);
	if (err == ERR_OK && s->time_us != 0)
		err = buf_put_fmt(b, "Last-Attempt-Date: %s\r\n", report_put_date(date, s->time_us));
	if (err == ERR_OK && r->kind == REPORT_DELAY)
		err = buf_put_fmt(b, "Will-Retry-Until: %s\r\n", report_put_date(date, r->until_us));
	return err;
}

static int
put_status(const struct report *r, struct buf *b)
{
	char date[40], envid[128];
	int err = buf_put_fmt(b, "Reporting-MTA: dns; %s\r\n", r->hostname);

	if (err == ERR_OK && r->envelope->envid != NULL) {
		decode_xtext(envid, sizeof(envid), r->envelope->envid);
		err = buf_put_fmt(b, "Original-Envelope-Id: %s\r\n", envid);
	}
	if (err == ERR_OK)
		err = buf_put_fmt(b, "X-Postern-Queue-Id: %s\r\nArrival-Date: %s\r\n", r->envelope->id,
		    report_put_date(date, r->envelope->arrival_us));
	for (size_t i = 0; i < r->n && err == ERR_OK; i++)
		err = put_status_of(r, b, r->indexes[i]);
	return err;
}

/* A part of the report while it is made. */
struct part {
	const char	*type, *encoding;
	struct buf	 body;
};

/* How many octets of the message are its header, whole lines. */
static size_t
header_size(const struct report *r)
{
	const uint8_t *end = memmem(r->message, r->message_len, "\r\n\r\n", 4);
	size_t n;

	if (end != NULL)
		return (size_t)(end - r->message) + 2;
	for (n = r->message_len; n != 0 && r->message[n - 1] != '\n'; n--)
		continue;
	return n;
}

/* What it is about: the whole message if it failed, is small and was wanted back (RFC 3461, 4.3), else its header. */
static int
make_quote(const struct report *r, struct part *p)
{
	const struct spool_envelope *e = r->envelope;
	bool is_full = r->kind == REPORT_FAILURE && !r->is_copy && e->ret != NULL && strcmp(e->ret, "FULL") == 0 &&
	    r->message_len == e->message_size;
	size_t n = is_full ? r->message_len : header_size(r);
	bool is_plain = is_ascii(r->message, n);

	p->encoding = is_plain ? "7bit" : is_full ? "8bit" : "quoted-printable";
	if (is_full)
		p->type = e->smtputf8 ? "message/global" : "message/rfc822";
	else
		p->type = e->smtputf8 && !is_plain ? "message/global-headers" : "text/rfc822-headers";
	return is_plain || is_full ? buf_put(&p->body, r->message, n) : put_quoted_printable(&p->body, r->message, n);
}

static int
make_words(const struct report *r, struct part *p)
{
	struct buf text;
	int err;

	buf_init(&text, PART_MAX);
	if ((err = report_put_words(r, &text)) == ERR_OK) {
		bool is_plain = is_ascii(text.data, text.len);

		p->type = is_plain ? "text/plain; charset=us-ascii" : "text/plain; charset=utf-8";
		p->encoding = is_plain ? "7bit" : "quoted-printable";
		err = is_plain ? buf_put(&p->body, text.data, text.len) : put_quoted_printable(&p->body, text.data, text.len);
	}
	buf_free(&text);
	return err;
}

/* One that is in none of the parts, whatever they hold. */
static void
find_boundary(const struct report *r, const struct part *parts, size_t n, char to[64])
{
	bool is_free = false;

	for (unsigned k = 0; !is_free; k++) {
		snprintf(to, 64, "=_%.32s_%u", r->id, k);
		is_free = true;
		for (size_t i = 0; i < n; i++)
			is_free &= parts[i].body.len == 0 || memmem(parts[i].body.data, parts[i].body.len, to, strlen(to)) == NULL;
	}
}

static int
put_subject(const struct report *r, struct buf *b)
{
	static const char *const happened[] = {
		[REPORT_FAILURE] = "could not be delivered to", [REPORT_DELAY] = "is delayed on its way to",
		[REPORT_SUCCESS] = "was delivered to",
	};
	const char *address = r->envelope->recipients[r->indexes[0]].address;
	const char *whose = r->is_copy ? "Copy: a message" : "Your message";

	if (r->n == 1 && strlen(address) <= 100 && is_ascii(address, strlen(address)))
		return buf_put_fmt(b, "Subject: %s %s\r\n %s\r\n", whose, happened[r->kind], address);
	return buf_put_fmt(b, "Subject: %s %s %zu recipient%s\r\n", whose, happened[r->kind], r->n, r->n == 1 ? "" : "s");
}

static int
put_header(const struct report *r, struct buf *b, const char *boundary, bool body_8bit)
{
	char date[40], message_id[256];
	int err;

	report_get_field(r->message, r->message_len, "Message-ID", message_id, sizeof(message_id));
	err = buf_put_fmt(b, "Date: %s\r\nFrom: Mail Delivery <MAILER-DAEMON@%s>\r\nTo: <%s>\r\n", report_put_date(date, r->now_us),
	    r->hostname, r->to);
	if (err == ERR_OK)
		err = put_subject(r, b);
	if (err == ERR_OK)
		err = buf_put_fmt(b, "Message-ID: <%s@%s>\r\n", r->id, r->hostname);
	if (err == ERR_OK && message_id[0] == '<' && strchr(message_id, ' ') == NULL && is_ascii(message_id, strlen(message_id)))
		err = buf_put_fmt(b, "References: %s\r\n", message_id);
	if (err == ERR_OK)
		err = buf_put_fmt(b, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
		    "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"%s\"\r\n"
		    "Content-Transfer-Encoding: %s\r\n\r\n", boundary, body_8bit ? "8bit" : "7bit");
	return err;
}

static int
put_parts(struct buf *b, const struct part *parts, size_t n, const char *boundary)
{
	int err = buf_put_str(b, "A report on the delivery of a message, in three parts.\r\n");

	for (size_t i = 0; i < n && err == ERR_OK; i++) {
		err = buf_put_fmt(b, "\r\n--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", boundary, parts[i].type,
		    parts[i].encoding);
		if (err == ERR_OK)
			err = buf_put(b, parts[i].body.data, parts[i].body.len);
	}
	return err == ERR_OK ? buf_put_fmt(b, "\r\n--%s--\r\n", boundary) : err;
}

int
report_compose(const struct report *r, struct buf *b, struct report_needs *needs)
{
	struct part parts[3] = { { .encoding = "7bit" }, { .type = "message/delivery-status", .encoding = "7bit" }, { .encoding = "7bit" } };
	const size_t n = sizeof(parts) / sizeof(parts[0]);
	char boundary[64];
	int err;

	for (size_t i = 0; i < n; i++)
		buf_init(&parts[i].body, PART_MAX);
	if ((err = make_words(r, &parts[0])) != ERR_OK || (err = put_status(r, &parts[1].body)) != ERR_OK ||
	    (err = make_quote(r, &parts[2])) != ERR_OK)
		goto out;
	needs->body_8bit = strcmp(parts[2].encoding, "8bit") == 0;
	needs->smtputf8 = !is_ascii(r->to, strlen(r->to));
	find_boundary(r, parts, n, boundary);
	if ((err = put_header(r, b, boundary, needs->body_8bit)) == ERR_OK)
		err = put_parts(b, parts, n, boundary);
out:
	for (size_t i = 0; i < n; i++)
		buf_free(&parts[i].body);
	return err;
}
