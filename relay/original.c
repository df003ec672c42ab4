/*
 * The original recipient that a client named, for the next server. Run by session processes; pure. The last guard: it came from a
 * client, through programs that checked it. Invariant: what is written has no blank and no control octet, and octets beyond ASCII
 * only where they may stand, as well-formed UTF-8.
 */
#include "original.h"

#include <string.h>

#include "err.h"
#include "str.h"

/* The character that begins at p, in UTF-8 that is known to be well-formed. */
static unsigned long
get_character(const uint8_t *p, size_t *len)
{
	unsigned long c = *p;

	*len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (*len > 1)
		c &= 0x7fUL >> *len;
	for (size_t i = 1; i < *len; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

static int
put_ascii(char to[IPC_ORCPT_MAX], const char *orcpt)
{
	size_t used = 0, len;

	for (const uint8_t *p = (const uint8_t *)orcpt; *p != 0; p += len) {
		unsigned long c = get_character(p, &len);
		int err = c < 0x80 ? str_fmt(to + used, IPC_ORCPT_MAX - used, "%c", (char)c) :
		    str_fmt(to + used, IPC_ORCPT_MAX - used, "\\x{%lX}", c);

		if (err != ERR_OK)
			return ERR_TOOBIG;
		used += strlen(to + used);
	}
	return ERR_OK;
}

int
original_put(char to[IPC_ORCPT_MAX], const char *orcpt, bool utf8)
{
	size_t n = strlen(orcpt);
	bool is_ascii = true;

	for (size_t i = 0; i < n; i++) {
		if ((uint8_t)orcpt[i] <= ' ' || orcpt[i] == 0x7f)
			return ERR_SYNTAX;
		is_ascii = is_ascii && (uint8_t)orcpt[i] < 0x80;
	}
	if (!is_ascii && (n < 6 || !str_is_equal_nocase(orcpt, 6, "utf-8;", 6) || !str_is_utf8(orcpt, n)))
		return ERR_SYNTAX;
	return is_ascii || utf8 ? str_copy(to, IPC_ORCPT_MAX, orcpt, n) : put_ascii(to, orcpt);
}
