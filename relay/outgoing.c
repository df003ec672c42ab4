/*
 * Messages as they go out in DATA. Run by session processes; pure. Invariant: in all that was written since outgoing_init(), CR and
 * LF stand only as CRLF, and no line begins with a dot that is not doubled; a bare CR, a bare LF each become one line's end.
 */
#include "outgoing.h"

#include <string.h>

void
outgoing_init(struct outgoing *o)
{
	o->is_line_start = true;
	o->has_cr = false;
}

static uint8_t *
end_line(struct outgoing *o, uint8_t *to)
{
	*to++ = '\r';
	*to++ = '\n';
	o->is_line_start = true;
	o->has_cr = false;
	return to;
}

/* Octets without CR and LF. */
static uint8_t *
put_plain(struct outgoing *o, uint8_t *to, const uint8_t *p, size_t n)
{
	if (n == 0)
		return to;
	if (o->is_line_start && *p == '.')
		*to++ = '.';
	o->is_line_start = false;
	memcpy(to, p, n);
	return to + n;
}

/* Octets without CR, which may hold bare LFs. */
static uint8_t *
put_lines(struct outgoing *o, uint8_t *to, const uint8_t *p, size_t n)
{
	const uint8_t *lf;

	while (n != 0 && (lf = memchr(p, '\n', n)) != NULL) {
		size_t len = (size_t)(lf - p);

		to = end_line(o, put_plain(o, to, p, len));
		p += len + 1;
		n -= len + 1;
	}
	return put_plain(o, to, p, n);
}

size_t
outgoing_put(struct outgoing *o, uint8_t *to, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;
	uint8_t *from = to;

	while (p < end) {
		const uint8_t *cr;

		if (o->has_cr) {
			p += *p == '\n';
			to = end_line(o, to);
			continue;
		}
		if ((cr = memchr(p, '\r', (size_t)(end - p))) == NULL)
			return (size_t)(put_lines(o, to, p, (size_t)(end - p)) - from);
		to = put_lines(o, to, p, (size_t)(cr - p));
		p = cr + 1;
		o->has_cr = true;
	}
	return (size_t)(to - from);
}

size_t
outgoing_end(struct outgoing *o, uint8_t *to)
{
	if (!o->has_cr && o->is_line_start)
		return 0;
	end_line(o, to);
	return 2;
}
