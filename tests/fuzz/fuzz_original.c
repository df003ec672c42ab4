/*
 * Fuzz entry for an ORCPT on its way to the next server: what is written fits, has no blank and no control octet, and is ASCII unless
 * UTF-8 may stand there.
 */
#include <string.h>

#include "err.h"
#include "fuzz.h"
#include "original.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char orcpt[IPC_ORCPT_MAX], to[IPC_ORCPT_MAX];
	bool utf8;

	if (n == 0 || n > sizeof(orcpt))
		return 0;
	utf8 = (*p++ & 1) != 0;
	n--;
	memcpy(orcpt, p, n);
	orcpt[n] = 0;
	if (original_put(to, orcpt, utf8) != ERR_OK)
		return 0;
	must(strlen(to) >= strlen(orcpt));
	for (const char *c = to; *c != 0; c++)
		must((uint8_t)*c > ' ' && *c != 0x7f && (utf8 || (uint8_t)*c < 0x80));
	return 0;
}
