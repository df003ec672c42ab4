/*
 * Base64 as RFC 4648 section 4 has it, strict in decoding. Pure; runs everywhere.
 */
#include "base64.h"

#include "err.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t
base64_encode(char *to, const void *p, size_t n)
{
	const uint8_t *c = p;
	char *start = to;

	for (; n > 0; c += 3) {
		size_t take = n < 3 ? n : 3;
		uint32_t v = (uint32_t)c[0] << 16;

		if (take > 1)
			v |= (uint32_t)c[1] << 8;
		if (take > 2)
			v |= c[2];
		*to++ = alphabet[v >> 18];
		*to++ = alphabet[v >> 12 & 63];
		*to++ = take > 1 ? alphabet[v >> 6 & 63] : '=';
		*to++ = take > 2 ? alphabet[v & 63] : '=';
		n -= take;
	}
	*to = 0;
	return (size_t)(to - start);
}

static int
value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

int
base64_decode(uint8_t *to, size_t *len, const void *p, size_t n)
{
	const uint8_t *c = p;
	uint8_t *start = to;

	*len = 0;
	if (n % 4 != 0)
		return ERR_SYNTAX;
	for (; n > 0; c += 4, n -= 4) {
		int a = value(c[0]), b = value(c[1]), d = value(c[2]), e = value(c[3]);

		if (a < 0 || b < 0)
			return ERR_SYNTAX;
		*to++ = (uint8_t)(a << 2 | b >> 4);
		if (n == 4 && c[3] == '=') {
			if (c[2] == '=') {
				if ((b & 15) != 0)
					return ERR_SYNTAX;
			} else if (d < 0 || (d & 3) != 0) {
				return ERR_SYNTAX;
			} else {
				*to++ = (uint8_t)(b << 4 | d >> 2);
			}
			break;
		}
		if (d < 0 || e < 0)
			return ERR_SYNTAX;
		*to++ = (uint8_t)(b << 4 | d >> 2);
		*to++ = (uint8_t)(d << 6 | e);
	}
	*len = (size_t)(to - start);
	return ERR_OK;
}
