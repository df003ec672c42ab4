/*
 * Fuzz entry for the value of a From field: each address found is one, and found again when it stands alone.
 */
#include <string.h>

#include "addr.h"
#include "err.h"
#include "fuzz.h"
#include "mailbox_list.h"

#define MAX 16

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct addr found[MAX], again, alone[MAX];
	size_t count = 0, one;

	if (mailbox_list_get(p, n, found, MAX, &count) != ERR_OK)
		return 0;
	must(count != 0 && count <= MAX);
	for (size_t i = 0; i < count; i++) {
		must(addr_parse(&again, found[i].text, found[i].len, true) == ERR_OK);
		must(strcmp(again.text, found[i].text) == 0);
		must(mailbox_list_get((const uint8_t *)found[i].text, found[i].len, alone, MAX, &one) == ERR_OK && one == 1);
		must(strcmp(alone[0].text, found[i].text) == 0);
	}
	return 0;
}
