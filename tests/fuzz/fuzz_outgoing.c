/*
 * Fuzz entry for messages as they go out in DATA: the first octet is the size of the pieces. Whatever comes, CR and LF stand together,
 * no line begins with a dot alone, the last line is ended, and how it was cut makes no difference.
 */
#include <string.h>

#include "fuzz.h"
#include "outgoing.h"

static size_t
convert(uint8_t *to, const uint8_t *p, size_t n, size_t piece)
{
	struct outgoing o;
	size_t used = 0;

	outgoing_init(&o);
	for (size_t at = 0; at < n; at += piece) {
		size_t part = n - at < piece ? n - at : piece, done = outgoing_put(&o, to + used, p + at, part);

		must(done <= OUTGOING_MAX(part));
		used += done;
	}
	return used + outgoing_end(&o, to + used);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t len, piece = n != 0 ? p[0] + 1U : 1;
	uint8_t *whole, *cut;

	if (n != 0) {
		p++;
		n--;
	}
	whole = malloc(OUTGOING_MAX(n));
	cut = malloc(OUTGOING_MAX(n));
	must(whole != NULL && cut != NULL);
	len = convert(whole, p, n, n + 1);
	must(convert(cut, p, n, piece) == len && memcmp(whole, cut, len) == 0);
	must(n == 0 ? len == 0 : len >= 2 && memcmp(whole + len - 2, "\r\n", 2) == 0);
	for (size_t i = 0; i < len; i++) {
		must(whole[i] != '\r' || (i + 1 < len && whole[i + 1] == '\n'));
		must(whole[i] != '\n' || (i > 0 && whole[i - 1] == '\r'));
		must(whole[i] != '.' || (i > 0 && whole[i - 1] != '\n') || whole[i + 1] == '.');
	}
	free(whole);
	free(cut);
	return 0;
}
