/*
 * Fuzz entry for the mailbox grammar: what is a mailbox is kept in one form, and that form is the same mailbox.
 */
#include <string.h>

#include "addr.h"
#include "err.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct addr a, again;
	bool utf8;

	if (n == 0)
		return 0;
	utf8 = *p++ & 1;
	n--;
	addr_is_domain(p, n, utf8);
	if (addr_parse(&a, p, n, utf8) != ERR_OK)
		return 0;
	must(a.len == strlen(a.text) && a.len < sizeof(a.text) && a.local_len < a.len && a.text[a.local_len] == '@');
	must(strpbrk(a.text, "\r\n") == NULL && (utf8 || !a.is_utf8));
	must(addr_is_domain(addr_domain(&a), strlen(addr_domain(&a)), utf8));
	must(addr_parse(&again, a.text, a.len, utf8) == ERR_OK && strcmp(again.text, a.text) == 0);
	must(again.local_len == a.local_len && again.is_utf8 == a.is_utf8);
	return 0;
}
