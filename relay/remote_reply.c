/*
 * The replies of remote servers (RFC 5321, 4.2). Run by session processes; pure. Invariant: whatever octets come, in whatever
 * pieces, the text is printable ASCII and bounded, and no reply is complete before a line of three digits and no hyphen.
 */
#include "remote_reply.h"

#include <string.h>

#include "err.h"

static const char separator[] = " / ";

void
remote_reply_init(struct remote_reply *r)
{
	r->code = 0;
	r->enhanced[0] = r->text[0] = 0;
	r->lines = 0;
	r->octets = r->line_octets = r->line_len = r->text_len = 0;
	r->is_text_full = false;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void
add_text(struct remote_reply *r, const char *p, size_t n)
{
	size_t from = r->text_len;

	if (r->text_len != 0 && n != 0 && !r->is_text_full) {
		if (from + sizeof(separator) >= sizeof(r->text)) {
			r->is_text_full = true;
			return;
		}
		memcpy(r->text + from, separator, sizeof(separator) - 1);
		r->text_len += sizeof(separator) - 1;
	}
	for (size_t i = 0; i < n && !r->is_text_full; i++) {
		if (r->text_len + 1 == sizeof(r->text))
			r->is_text_full = true;
		else
			r->text[r->text_len++] = p[i] >= ' ' && p[i] <= '~' ? p[i] : '?';
	}
	r->text[r->text_len] = 0;
}

/* "5.123.456" at the start of n octets, of the class of the code (RFC 2034, 4): its length, or 0. */
static size_t
find_enhanced(const char *p, size_t n, uint16_t code)
{
	size_t i = 1;

	if (n < 5 || p[0] != (char)('0' + code / 100) || code / 100 == 3)
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t digits = 0;

		if (i == n || p[i] != '.')
			return 0;
		for (i++; i < n && is_digit(p[i]) && digits < 3; i++)
			digits++;
		if (digits == 0)
			return 0;
	}
	return i == n || p[i] == ' ' ? i : 0;
}

/* A whole line. ERR_OK: it was the last. */
static int
take_line(struct remote_reply *r)
{
	const char *p = r->line;
	size_t n = r->line_len, enhanced;
	bool is_last;
	uint16_t code;

	if (n != 0 && p[n - 1] == '\r')
		n--;
	if (n < 3 || p[0] < '2' || p[0] > '5' || !is_digit(p[1]) || !is_digit(p[2]) || (n > 3 && p[3] != ' ' && p[3] != '-')) {
		r->text_len = 0;
		r->is_text_full = false;
		add_text(r, p, n);
		return ERR_SYNTAX;
	}
	code = (uint16_t)((p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0'));
	if (r->code != 0 && code != r->code)
		return ERR_SYNTAX;
	r->code = code;
	is_last = n == 3 || p[3] == ' ';
	p += n > 3 ? 4 : 3;
	n -= n > 3 ? 4 : 3;
	if (r->enhanced[0] == 0 && (enhanced = find_enhanced(p, n, code)) != 0) {
		memcpy(r->enhanced, p, enhanced);
		r->enhanced[enhanced] = 0;
	}
	if (r->heard != NULL)
		r->heard(r->owner, p, n);
	add_text(r, p, n);
	if (++r->lines == REMOTE_LINES_MAX && !is_last)
		return ERR_TOOBIG;
	return is_last ? ERR_OK : ERR_SHORT;
}

int
remote_reply_feed(struct remote_reply *r, const uint8_t *p, size_t n, size_t *used)
{
	*used = 0;
	while (*used < n) {
		const uint8_t *from = p + *used, *end = memchr(from, '\n', n - *used);
		size_t len = end != NULL ? (size_t)(end - from) : n - *used;
		size_t room = sizeof(r->line) - r->line_len, kept = len < room ? len : room;
		int err;

		*used += len + (end != NULL);
		r->octets += len + 1;
		r->line_octets += len;
		memcpy(r->line + r->line_len, from, kept);
		r->line_len += kept;
		if (r->octets > REMOTE_REPLY_OCTETS || r->line_octets > REMOTE_LINE_MAX)
			return ERR_TOOBIG;
		if (end == NULL)
			return ERR_SHORT;
		err = take_line(r);
		r->line_len = r->line_octets = 0;
		if (err != ERR_SHORT)
			return err;
	}
	return ERR_SHORT;
}

/* Where the code alone says more than its class; RFC 5248 and the registry of RFC 3463's codes. Stage END + 1 is any. */
static const struct {
	uint16_t	code;
	uint8_t		stage;
	const char	*enhanced;
} known[] = {
	{ 250, DELIVERY_RCPT, "2.1.5" },
	{ 421, DELIVERY_END + 1, "4.3.2" },
	{ 450, DELIVERY_RCPT, "4.2.0" },
	{ 451, DELIVERY_END + 1, "4.3.0" },
	{ 452, DELIVERY_RCPT, "4.5.3" },
	{ 452, DELIVERY_END + 1, "4.3.1" },
	{ 454, DELIVERY_END + 1, "4.7.0" },
	{ 455, DELIVERY_END + 1, "4.5.4" },
	{ 500, DELIVERY_END + 1, "5.5.2" },
	{ 501, DELIVERY_END + 1, "5.5.4" },
	{ 502, DELIVERY_END + 1, "5.5.1" },
	{ 503, DELIVERY_END + 1, "5.5.1" },
	{ 504, DELIVERY_END + 1, "5.5.4" },
	{ 521, DELIVERY_END + 1, "5.3.2" },
	{ 530, DELIVERY_END + 1, "5.7.0" },
	{ 534, DELIVERY_END + 1, "5.7.9" },
	{ 535, DELIVERY_END + 1, "5.7.8" },
	{ 550, DELIVERY_RCPT, "5.1.1" },
	{ 551, DELIVERY_END + 1, "5.1.6" },
	{ 552, DELIVERY_RCPT, "5.2.2" },
	{ 552, DELIVERY_END + 1, "5.3.4" },
	{ 553, DELIVERY_MAIL, "5.1.8" },
	{ 553, DELIVERY_END + 1, "5.1.3" },
	{ 555, DELIVERY_END + 1, "5.5.4" },
	{ 556, DELIVERY_END + 1, "5.1.10" },
};

const char *
remote_reply_enhanced(uint16_t code, enum delivery_stage stage)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].code == code && (known[i].stage == stage || known[i].stage > DELIVERY_END))
			return known[i].enhanced;
	return code >= 500 ? "5.0.0" : code >= 400 ? "4.0.0" : "2.0.0";
}
