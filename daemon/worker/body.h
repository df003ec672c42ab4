#ifndef WORKER_BODY_H
#define WORKER_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BODY_LINE_MAX (64 * 1024)	/* octets of a line without CRLF */

/* Octets that may not be in a message. */
enum body_fault {
	BODY_FAULT_OCTETS = 1 << 0,	/* NUL, bare CR or bare LF */
	BODY_FAULT_LINE = 1 << 1,	/* a line over BODY_LINE_MAX */
};

/*
 * The message between DATA and its end (RFC 5321, 4.5.2): undoes the dots, finds the one true end <CRLF>.<CRLF>,
 * and notes faults. Zero-initialise with body_init().
 */
struct body {
	uint8_t		state;
	bool		lf_passes;	/* bare LF is no fault (an old device's), but never an end of data either */
	unsigned	faults;		/* enum body_fault bits so far */
	size_t		line;		/* octets of the line so far */
	uint64_t	size;		/* octets of the message so far, CRLF ends counted */
};

void	body_init(struct body *b, bool lf_passes);

/*
 * Reads n octets of p from *used on and writes message octets to `to` (room for size, at least 2). Stops when the input is used
 * up, when `to` has less than two free octets, or at the end of the message: then true, and what follows in p is the next
 * command. *used and *put are advanced.
 */
bool	body_read(struct body *b, const uint8_t *p, size_t n, size_t *used, uint8_t *to, size_t size, size_t *put);

/*
 * Takes n octets that come without dots and without an end of their own (BDAT, RFC 3030): counts them and notes faults, cut
 * anywhere. body_take_end() notes a CR that is left over at the end of the message.
 */
void	body_take(struct body *b, const uint8_t *p, size_t n);
void	body_take_end(struct body *b);

#endif
