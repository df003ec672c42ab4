/*
 * The dot machine. Pure; run by workers. Invariant: only CRLF "." CRLF ends a message; LF or CR alone are
 * octets that are faulty wherever they stand, and never bring an end nearer (SMTP smuggling).
 */
#include "body.h"

#include <string.h>

enum state {
	AT_LINE_START,	/* behind CRLF, or at the very start */
	AT_DOT,		/* a dot at the start of a line */
	AT_DOT_CR,	/* and CR behind it */
	IN_LINE,
	AT_CR,		/* CR inside a line */
};

void
body_init(struct body *b, bool lf_passes)
{
	*b = (struct body){ .state = AT_LINE_START, .lf_passes = lf_passes };
}

static void
put_octet(struct body *b, uint8_t *to, size_t *put, uint8_t c)
{
	to[(*put)++] = c;
	b->size++;
}

/* Copies the run of plain octets at p: up to CR, LF or the room that is left. */
static size_t
copy_run(struct body *b, const uint8_t *p, size_t n, uint8_t *to, size_t room, size_t *put)
{
	const uint8_t *end;

	if (n > room)
		n = room;
	if ((end = memchr(p, '\n', n)) != NULL)
		n = (size_t)(end - p);
	if ((end = memchr(p, '\r', n)) != NULL)
		n = (size_t)(end - p);
	if (n == 0)
		return 0;
	if (memchr(p, 0, n) != NULL)
		b->faults |= BODY_FAULT_OCTETS;
	memcpy(to + *put, p, n);
	*put += n;
	b->size += n;
	b->line += n;
	if (b->line > BODY_LINE_MAX)
		b->faults |= BODY_FAULT_LINE;
	return n;
}

/* One octet that is not part of a plain run; true at the end of the message. */
static bool
step(struct body *b, uint8_t c, uint8_t *to, size_t *put)
{
	switch ((enum state)b->state) {
	case AT_DOT_CR:
		if (c == '\n')
			return true;
		/* The first dot was stuffing; a CR without LF followed it. */
		put_octet(b, to, put, '\r');
		b->faults |= BODY_FAULT_OCTETS;
		b->state = IN_LINE;
		break;
	case AT_CR:
		if (c == '\n') {
			put_octet(b, to, put, '\r');
			put_octet(b, to, put, '\n');
			b->state = AT_LINE_START;
			b->line = 0;
			return false;
		}
		put_octet(b, to, put, '\r');
		b->faults |= BODY_FAULT_OCTETS;
		b->state = IN_LINE;
		break;
	case AT_DOT:
		if (c == '\r') {
			b->state = AT_DOT_CR;
			return false;
		}
		b->state = IN_LINE;
		break;
	case AT_LINE_START:
		if (c == '.') {
			b->state = AT_DOT;
			return false;
		}
		b->state = IN_LINE;
		break;
	case IN_LINE:
		break;
	}
	if (c == '\r') {
		b->state = AT_CR;
		return false;
	}
	if (c == 0 || (c == '\n' && !b->lf_passes))
		b->faults |= BODY_FAULT_OCTETS;
	put_octet(b, to, put, c);
	b->line = c == '\n' ? 0 : b->line + 1;
	return false;
}

bool
body_read(struct body *b, const uint8_t *p, size_t n, size_t *used, uint8_t *to, size_t size, size_t *put)
{
	while (*used < n && size - *put >= 2) {
		if (b->state == IN_LINE) {
			size_t run = copy_run(b, p + *used, n - *used, to, size - *put, put);

			*used += run;
			if (run != 0)
				continue;
		}
		if (step(b, p[(*used)++], to, put))
			return true;
	}
	return false;
}

/* A piece of a line without its LF; a CR may only be its last octet. */
static void
take_piece(struct body *b, const uint8_t *p, size_t n, bool has_lf)
{
	const uint8_t *cr;

	if (n == 0) {
		if (b->state != AT_CR && has_lf && !b->lf_passes)
			b->faults |= BODY_FAULT_OCTETS;
		return;
	}
	if (b->state == AT_CR || memchr(p, 0, n) != NULL)
		b->faults |= BODY_FAULT_OCTETS;
	cr = memchr(p, '\r', n);
	if (cr != NULL ? cr != p + n - 1 : has_lf && !b->lf_passes)
		b->faults |= BODY_FAULT_OCTETS;
	b->state = cr != NULL ? AT_CR : IN_LINE;
	b->line += cr != NULL ? n - 1 : n;
	if (b->line > BODY_LINE_MAX)
		b->faults |= BODY_FAULT_LINE;
}

void
body_take(struct body *b, const uint8_t *p, size_t n)
{
	b->size += n;
	while (n != 0) {
		const uint8_t *lf = memchr(p, '\n', n);
		size_t piece = lf != NULL ? (size_t)(lf - p) : n;

		take_piece(b, p, piece, lf != NULL);
		if (lf == NULL)
			return;
		b->state = AT_LINE_START;
		b->line = 0;
		p += piece + 1;
		n -= piece + 1;
	}
}

void
body_take_end(struct body *b)
{
	if (b->state == AT_CR)
		b->faults |= BODY_FAULT_OCTETS;
}
