/*
 * Fuzz entry for base64: one text has one encoding, and what is decoded encodes to the very input.
 */
#include <string.h>

#include "base64.h"
#include "err.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *octets = malloc(n + 1);
	char *text = malloc(BASE64_ENCODED(n) + 1);
	size_t len;

	must(octets != NULL && text != NULL);
	if (base64_decode(octets, &len, p, n) == ERR_OK) {
		must(len <= n / 4 * 3 && BASE64_ENCODED(len) == n);
		must(base64_encode(text, octets, len) == n && memcmp(text, p, n) == 0);
	}
	must(base64_encode(text, p, n) == BASE64_ENCODED(n) && text[BASE64_ENCODED(n)] == 0);
	free(octets);
	must((octets = malloc(BASE64_ENCODED(n) + 1)) != NULL);
	must(base64_decode(octets, &len, text, BASE64_ENCODED(n)) == ERR_OK && len == n);
	must(n == 0 || memcmp(octets, p, n) == 0);
	free(octets);
	free(text);
	return 0;
}
