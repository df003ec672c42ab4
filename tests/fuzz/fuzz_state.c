/*
 * Fuzz entry for the state of a message's delivery: what is read is put again, and read again as the same.
 */
#include <string.h>

#include "buf.h"
#include "err.h"
#include "fuzz.h"
#include "state.h"

size_t
fuzz_seed(size_t i, uint8_t *to, size_t size)
{
	struct state s;
	struct buf b;
	size_t n;

	if (i >= 4)
		return 0;
	must(state_init(&s, i + 1) == ERR_OK);
	s.tries = (uint32_t)i;
	s.next_us = 1795300000000000 * (i & 1);
	for (size_t k = 0; k < i; k++) {
		s.recipients[k].code = (uint16_t)(250 + 100 * (k & 3));
		s.recipients[k].time_us = 1795300000123456;
		s.recipients[k].reply = strdup(k == 0 ? "no such \"user\"" : "later");
		s.recipients[k].host = strdup("mx.example.net");
	}
	buf_init(&b, size - 1);
	must(state_put(&s, &b) == ERR_OK);
	to[0] = (uint8_t)(i + 1);
	memcpy(to + 1, b.data, n = b.len);
	buf_free(&b);
	state_free(&s);
	return n + 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct state s, again;
	struct buf first, second;
	size_t recipients;

	if (n == 0)
		return 0;
	recipients = (size_t)*p++ % 8 + 1;
	n--;
	if (state_get(p, n, recipients, &s) == ERR_OK) {
		must(s.nrecipients == recipients);
		buf_init(&first, 1 << 20);
		buf_init(&second, 1 << 20);
		must(state_put(&s, &first) == ERR_OK);
		must(state_get(first.data, first.len, recipients, &again) == ERR_OK);
		must(state_put(&again, &second) == ERR_OK);
		must(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
		must(state_is_done(&s) == state_is_done(&again) && state_is_precious(&s) == state_is_precious(&again));
		buf_free(&first);
		buf_free(&second);
		state_free(&again);
	}
	state_free(&s);
	return 0;
}
