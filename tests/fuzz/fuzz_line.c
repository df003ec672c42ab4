/*
 * Fuzz entry for the end of a command line.
 */
#include <string.h>

#include "fuzz.h"
#include "line.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t at = 0;

	for (;;) {
		size_t len = 0, used = 0, plain = 0;
		bool found = line_find(p + at, n - at, &len, &used);

		while (at + plain < n && p[at + plain] != '\n')
			plain++;
		must(found == (at + plain < n));
		if (!found)
			return 0;
		must(used == plain + 1 && len == plain - (plain > 0 && p[at + plain - 1] == '\r'));
		at += used;
	}
}
