/*
 * The end of a command line. Pure; run by workers.
 */
#include "line.h"

#include <string.h>

bool
line_find(const uint8_t *p, size_t n, size_t *len, size_t *used)
{
	const uint8_t *lf = n != 0 ? memchr(p, '\n', n) : NULL;

	if (lf == NULL)
		return false;
	*used = (size_t)(lf - p) + 1;
	*len = *used - 1;
	if (*len != 0 && p[*len - 1] == '\r')
		(*len)--;
	return true;
}
