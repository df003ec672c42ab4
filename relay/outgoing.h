#ifndef RELAY_OUTGOING_H
#define RELAY_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A message on its way into DATA: line ends made CRLF and nothing else, dots at the start of lines doubled (RFC 5321, 4.5.2). The
 * last guard against smuggling: no octets of a message, however cut into pieces, come out with a bare CR or LF.
 */
struct outgoing {
	bool	is_line_start;	/* the next octet begins a line */
	bool	has_cr;		/* the last octet taken was a CR, not yet written */
};

/* Octets that n octets can become at most, with what outgoing_end() writes. */
#define OUTGOING_MAX(n) (2 * (n) + 8)

void	outgoing_init(struct outgoing *o);
/* Writes what n octets become; to holds OUTGOING_MAX(n); returns the octets written. Pure. */
size_t	outgoing_put(struct outgoing *o, uint8_t *to, const uint8_t *p, size_t n);
/* The end of the last line, if it has none. The line with the dot is the caller's. */
size_t	outgoing_end(struct outgoing *o, uint8_t *to);

#endif
