#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Octets that n octets take when encoded, without a NUL. */
#define BASE64_ENCODED(n) (((n) + 2) / 3 * 4)

/* RFC 4648, section 4: encodes n octets; to holds BASE64_ENCODED(n) + 1; ends with NUL; returns the length. */
size_t	base64_encode(char *to, const void *p, size_t n);

/*
 * The strict inverse: no white space, padding required, unused bits zero (RFC 4648, section 3.5), so that
 * one text has one encoding. to holds n / 4 * 3 octets. ERR_SYNTAX; the length through len.
 */
int	base64_decode(uint8_t *to, size_t *len, const void *p, size_t n);

#endif
