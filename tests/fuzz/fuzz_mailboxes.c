/*
 * Fuzz entry for the lists of addresses that postern-sendmail completes: what is found stands where it is said to
 * stand, in order, and ends.
 */
#include <string.h>

#include "err.h"
#include "fuzz.h"
#include "mailboxes.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t at = 0, before = 0, end = 0;
	struct mailbox m;

	while (mailboxes_next(p, n, &at, &m) == ERR_OK) {
		must(at > before && at <= n);
		must(m.start >= end && m.start < m.end && m.end <= at);
		must(m.text[0] != 0 && strlen(m.text) < sizeof(m.text));
		must(m.is_bare || strchr(m.text, '@') != NULL);
		before = at;
		end = m.end;
	}
	return 0;
}
