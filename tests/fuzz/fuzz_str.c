/*
 * Fuzz entry for numbers, sizes, durations and UTF-8, beside a plain reading of RFC 3629.
 */
#include <string.h>

#include "err.h"
#include "fuzz.h"
#include "str.h"

static bool
is_utf8_plainly(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		uint32_t c = p[i];
		size_t more = c < 0x80 ? 0 : c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : c >> 3 == 30 ? 3 : 9;
		static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };

		if (more == 9 || n - i <= more)
			return false;
		c &= more == 0 ? 0x7f : 0x3fu >> more;
		for (size_t k = 1; k <= more; k++) {
			if (p[i + k] >> 6 != 2)
				return false;
			c = c << 6 | (p[i + k] & 0x3f);
		}
		if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return false;
		i += more + 1;
	}
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint64_t value, again;
	char text[512], put[24];

	must(str_is_utf8(p, n) == is_utf8_plainly(p, n));
	if (str_parse_u64(p, n, UINT64_MAX, &value) == ERR_OK) {
		str_put_u64(put, value);
		must(str_parse_u64(put, strlen(put), UINT64_MAX, &again) == ERR_OK && again == value);
	}
	if (n >= sizeof(text))
		return 0;
	memcpy(text, p, n);
	text[n] = 0;
	if (str_parse_size(text, &value) == ERR_OK) {
		str_put_size(put, value);
		must(str_parse_size(put, &again) == ERR_OK && again == value);
	}
	if (str_parse_duration(text, &value) == ERR_OK) {
		str_put_duration(put, value);
		must(str_parse_duration(put, &again) == ERR_OK && again == value);
	}
	return 0;
}
