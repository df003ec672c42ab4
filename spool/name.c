/*
 * File names and queue ids of a spool. Pure; part of libpostern-spool. Invariant: an id sorts, as text, like the time in it.
 */
#include "name.h"

#include <stdio.h>
#include <string.h>

#include "err.h"
#include "str.h"

/* In the order of ASCII, without i, l, o and u, which are misread. */
static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

char *
name_put_id(char to[SPOOL_ID_TEXT], uint64_t us, uint32_t random)
{
	uint64_t high = us & 0xffffffffffffffULL;
	uint64_t low = random & 0xffffffU;

	/* 80 bits from the right; the lowest of the time's 56 bits join the 24 random ones. */
	low |= (high & 0xffff) << 24;
	high >>= 16;
	for (int i = NAME_ID_LEN - 1; i >= 8; i--, low >>= 5)
		to[i] = alphabet[low & 31];
	for (int i = 7; i >= 0; i--, high >>= 5)
		to[i] = alphabet[high & 31];
	to[NAME_ID_LEN] = 0;
	return to;
}

int
name_get_id(const char *id, size_t n, uint64_t *us)
{
	uint64_t halves[2] = { 0, 0 };

	if (n != NAME_ID_LEN)
		return ERR_SYNTAX;
	for (size_t i = 0; i < NAME_ID_LEN; i++) {
		const char *digit = id[i] != 0 ? strchr(alphabet, id[i]) : NULL;

		if (digit == NULL)
			return ERR_SYNTAX;
		halves[i / 8] = halves[i / 8] << 5 | (uint64_t)(digit - alphabet);
	}
	*us = halves[0] << 16 | halves[1] >> 24;
	return ERR_OK;
}

char *
name_put(char *to, const struct name *n, const char *host)
{
	snprintf(to, SPOOL_NAME_MAX, "%llu.Q%.16sS%016llxT%lu.%.*s", (unsigned long long)n->seconds, n->id,
	    (unsigned long long)n->session, (unsigned long)n->t, NAME_HOST_MAX, host);
	return to;
}

static int
get_hex64(const char *text, uint64_t *value)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t v = 0;

	for (size_t i = 0; i < 16; i++) {
		const char *digit = text[i] != 0 ? strchr(digits, text[i]) : NULL;

		if (digit == NULL)
			return ERR_SYNTAX;
		v = v << 4 | (uint64_t)(digit - digits);
	}
	*value = v;
	return ERR_OK;
}

int
name_get(const char *text, struct name *n)
{
	size_t digits = strspn(text, "0123456789");
	const char *p = text + digits;
	uint64_t us, t;

	*n = (struct name){ .seconds = 0 };
	if (strlen(text) >= SPOOL_NAME_MAX || str_parse_u64(text, digits, UINT64_MAX, &n->seconds) != ERR_OK ||
	    p[0] != '.' || p[1] != 'Q' || strlen(p) < 2 + NAME_ID_LEN + 1 + 16 + 1)
		return ERR_SYNTAX;
	p += 2;
	if (name_get_id(p, NAME_ID_LEN, &us) != ERR_OK || str_copy(n->id, sizeof(n->id), p, NAME_ID_LEN) != ERR_OK)
		return ERR_SYNTAX;
	p += NAME_ID_LEN;
	if (p[0] != 'S' || get_hex64(p + 1, &n->session) != ERR_OK || p[17] != 'T')
		return ERR_SYNTAX;
	p += 18;
	digits = strspn(p, "0123456789");
	if (str_parse_u64(p, digits, UINT32_MAX, &t) != ERR_OK || p[digits] != '.' || p[digits + 1] == 0)
		return ERR_SYNTAX;
	n->t = (uint32_t)t;
	return ERR_OK;
}
