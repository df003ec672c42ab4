#ifndef WORKER_MIME_DECODE_H
#define WORKER_MIME_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a part's octets are encoded (RFC 2045, 6). */
enum mime_encoding {
	MIME_PLAIN,		/* 7bit, 8bit, binary, or not said: as they stand */
	MIME_UNKNOWN,		/* some other word: as they stand, and nothing inside can be read */
	MIME_BASE64,
	MIME_QUOTED_PRINTABLE,
};

/* Counts the octets that a part has when it is decoded, without decoding it. Zero-initialise with mime_count_init(). */
struct mime_count {
	uint8_t		encoding;	/* enum mime_encoding */
	uint8_t		state;		/* of quoted-printable */
	uint8_t		line_end;	/* octets that the last line end added */
	bool		cr;		/* the last octet was CR */
	uint64_t	octets;
	uint64_t	waiting;	/* characters since the last '=' (base64), blanks that a line's end undoes */
};

void	mime_count_init(struct mime_count *c, enum mime_encoding encoding);

/* The part's next octets, line ends and all, cut anywhere. */
void	mime_count_take(struct mime_count *c, const uint8_t *p, size_t n);

/* The decoded octets so far. Before a delimiter, the last line end is the delimiter's (RFC 2046, 5.1.1). */
uint64_t mime_count_get(const struct mime_count *c, bool before_delimiter);

/* The value of a hexadecimal digit in either case, -1: it is none. */
int	mime_hex_value(uint8_t c);

#endif
