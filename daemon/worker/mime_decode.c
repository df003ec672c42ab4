/*
 * How many octets a part has when it is decoded (RFC 2045, 6.7 and 6.8), as lenient readers decode it: in base64
 * only the alphabet counts; what is no quoted-printable counts as it stands. Pure; run by workers on a client's
 * octets. Invariant: the count depends on the octets only, not on how they were cut, and each octet is looked at a
 * bounded number of times.
 */
#include "mime_decode.h"

#include <string.h>

enum quoted_state {
	QUOTED_TEXT,
	QUOTED_EQUALS,		/* behind '=', and blanks perhaps */
	QUOTED_DIGIT,		/* behind '=' and one digit */
};

static const uint8_t alphabet[256] = {
	['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1,
	['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1,
	['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1, ['Y'] = 1, ['Z'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1,
	['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1,
	['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1,
	['y'] = 1, ['z'] = 1, ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
	['8'] = 1, ['9'] = 1, ['+'] = 1, ['/'] = 1,
};

void
mime_count_init(struct mime_count *c, enum mime_encoding encoding)
{
	*c = (struct mime_count){ .encoding = encoding };
}

static void
take_plain(struct mime_count *c, const uint8_t *p, size_t n)
{
	bool cr = n > 1 ? p[n - 2] == '\r' : c->cr;

	c->octets += n;
	c->line_end = p[n - 1] != '\n' ? 0 : cr ? 2 : 1;
	c->cr = p[n - 1] == '\r';
}

static size_t
count_alphabet(const uint8_t *p, size_t n)
{
	size_t sum = 0, i = 0;

	for (; i + 4 <= n; i += 4)
		sum += (size_t)(alphabet[p[i]] + alphabet[p[i + 1]] + alphabet[p[i + 2]] + alphabet[p[i + 3]]);
	for (; i < n; i++)
		sum += alphabet[p[i]];
	return sum;
}

/* Padding ends a group of four, and another text may follow it. */
static void
take_base64(struct mime_count *c, const uint8_t *p, size_t n)
{
	while (n != 0) {
		const uint8_t *equals = memchr(p, '=', n);
		size_t len = equals != NULL ? (size_t)(equals - p) : n;

		c->waiting += count_alphabet(p, len);
		if (equals != NULL) {
			c->octets += c->waiting * 3 / 4;
			c->waiting = 0;
			len++;
		}
		p += len;
		n -= len;
	}
}

/* A CR is one of the blanks before a line's end, which decoding takes away; the line end itself is put back. */
static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Octets without '=' and line ends. */
static void
take_quoted_text(struct mime_count *c, const uint8_t *p, size_t n)
{
	size_t blanks = 0;

	while (blanks < n && is_blank(p[n - 1 - blanks]))
		blanks++;
	if (blanks != n) {
		c->octets += c->waiting + n - blanks;
		c->waiting = 0;
	}
	c->waiting += blanks;
}

/* One octet behind '='; false: it is text and is still to be taken. */
static bool
step_quoted(struct mime_count *c, uint8_t octet)
{
	if (c->state == QUOTED_EQUALS && is_blank(octet)) {
		c->waiting++;
		return true;
	}
	if (c->state == QUOTED_EQUALS && c->waiting == 0 && mime_hex_value(octet) >= 0) {
		c->state = QUOTED_DIGIT;
		return true;
	}
	if (c->state == QUOTED_DIGIT && mime_hex_value(octet) >= 0) {
		c->octets++;
		c->state = QUOTED_TEXT;
		return true;
	}
	c->octets += c->state == QUOTED_DIGIT ? 2 : 1;
	c->state = QUOTED_TEXT;
	return false;
}

static void
take_quoted_line(struct mime_count *c, const uint8_t *p, size_t n)
{
	while (n != 0) {
		const uint8_t *equals;
		size_t len;

		if (c->state != QUOTED_TEXT) {
			if (step_quoted(c, *p)) {
				p++;
				n--;
			}
			continue;
		}
		equals = memchr(p, '=', n);
		len = equals != NULL ? (size_t)(equals - p) : n;
		take_quoted_text(c, p, len);
		if (equals != NULL) {
			c->octets += c->waiting;
			c->waiting = 0;
			c->state = QUOTED_EQUALS;
			len++;
		}
		p += len;
		n -= len;
	}
}

static void
end_quoted_line(struct mime_count *c)
{
	c->line_end = c->state == QUOTED_EQUALS ? 0 : 2;
	c->octets += c->line_end;
	if (c->state == QUOTED_DIGIT)
		c->octets += 2;
	c->waiting = 0;
	c->state = QUOTED_TEXT;
}

static void
take_quoted(struct mime_count *c, const uint8_t *p, size_t n)
{
	const uint8_t *lf;

	while ((lf = memchr(p, '\n', n)) != NULL) {
		size_t len = (size_t)(lf - p);

		take_quoted_line(c, p, len);
		end_quoted_line(c);
		p += len + 1;
		n -= len + 1;
	}
	if (n != 0)
		c->line_end = 0;
	take_quoted_line(c, p, n);
}

void
mime_count_take(struct mime_count *c, const uint8_t *p, size_t n)
{
	if (n == 0)
		return;
	switch ((enum mime_encoding)c->encoding) {
	case MIME_PLAIN:
	case MIME_UNKNOWN:
		take_plain(c, p, n);
		return;
	case MIME_BASE64:
		take_base64(c, p, n);
		return;
	case MIME_QUOTED_PRINTABLE:
		take_quoted(c, p, n);
		return;
	}
}

uint64_t
mime_count_get(const struct mime_count *c, bool before_delimiter)
{
	if (c->encoding == MIME_BASE64)
		return c->octets + c->waiting * 3 / 4;
	return c->octets - (before_delimiter ? c->line_end : 0);
}

int
mime_hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
