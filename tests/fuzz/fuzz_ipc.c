/*
 * Fuzz entry for every message of the contract: a datagram is refused, or put again it is the same octets.
 */
#include <string.h>

#include "err.h"
#include "fuzz.h"
#include "message_rows.h"

static uint8_t copy[IPC_DATAGRAM_MAX];

static void
init(void)
{
	static bool is_done;

	if (!is_done)
		must(message_rows_init() == 0);
	is_done = true;
}

size_t
fuzz_seed(size_t i, uint8_t *to, size_t size)
{
	struct wire_out out;

	init();
	if (i >= message_rows_count)
		return 0;
	wire_out_init(&out, to, size);
	message_rows[i].put(&out);
	must(wire_out_end(&out) == ERR_OK);
	return out.len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const uint8_t *octets;
	struct wire_in in;
	size_t len;

	init();
	if (n < 2)
		return 0;
	for (size_t i = 0; i < message_rows_count; i++) {
		struct wire_out out;

		if (message_rows[i].kind != (enum ipc_kind)(p[0] << 8 | p[1]))
			continue;
		wire_in_init(&in, p + 2, n - 2);
		wire_out_init(&out, copy, sizeof(copy));
		if (message_rows[i].again(&in, &out) != ERR_OK)
			continue;
		must(wire_out_end(&out) == ERR_OK && out.len == n && memcmp(copy, p, n) == 0);
	}
	wire_in_init(&in, p + 2, n - 2);
	if (ipc_get_data(&in, &octets, &len) == ERR_OK)
		must(len == n - 2 && len != 0 && octets == p + 2);
	return 0;
}
