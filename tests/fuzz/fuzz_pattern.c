/*
 * Fuzz entry for sender patterns and names of accounts: a pattern has one written form.
 */
#include <string.h>

#include "addr.h"
#include "err.h"
#include "fuzz.h"
#include "pattern.h"
#include "registry.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char text[1024], pattern[REGISTRY_PATTERN_MAX], again[REGISTRY_PATTERN_MAX];
	struct addr a;
	size_t i;

	if (n >= sizeof(text))
		return 0;
	memcpy(text, p, n);
	text[n] = 0;
	if (pattern_is_mailbox(text))
		must(addr_parse(&a, text, strlen(text), true) == ERR_OK && strchr(text, '*') == NULL);
	if (pattern_is_word(text))
		must(text[0] != 0 && strpbrk(text, "@ \r\n") == NULL);
	if (pattern_parse(pattern, text) == ERR_OK)
		must(pattern[0] != 0 && pattern_parse(again, pattern) == ERR_OK && strcmp(again, pattern) == 0);
	if (addr_parse(&a, text, strlen(text), true) != ERR_OK)
		return 0;
	/* Each that would permit an address is a pattern in its written form; an address may hold a '*' of its own. */
	for (i = 0; pattern_candidate(pattern, &a, i) == ERR_OK; i++) {
		must(i < 2 * ADDR_TEXT);
		/* "user+" of 64 octets has no room for the '*', so nobody can register that one. */
		if (strchr(a.text, '*') == NULL && strcspn(pattern, "@") <= ADDR_LOCAL_MAX)
			must(pattern_parse(again, pattern) == ERR_OK && strcmp(again, pattern) == 0);
	}
	must(i >= 1);
	return 0;
}
