/*
 * Counting in a service: what happened since the master was told last. Runs in the loop of postern-auth and postern-spool.
 * Invariant: what was not told stays counted; a master that does not read costs nothing but the news.
 */
#include "tally.h"

#include <string.h>

#include "err.h"
#include "message_control.h"

#define TELL_MS 1000

static uint64_t untold[METRIC_COUNT];
static uint64_t told_ms;	/* when it was tried last */
static size_t first = METRIC_COUNT, end;	/* the untold ones are within */

void
tally_add(enum metric what, uint64_t n)
{
	if (n == 0)
		return;
	untold[what] += n;
	if (what < first)
		first = what;
	if (what >= end)
		end = what + 1;
}

void
tally_add_commit(uint64_t octets, uint64_t ms)
{
	static const uint64_t bounds[METRIC_BUCKETS - 1] = METRIC_BUCKET_MS;
	size_t i = 0;

	while (i < METRIC_BUCKETS - 1 && ms > bounds[i])
		i++;
	tally_add(METRIC_OCTETS_STORED, octets);
	tally_add((enum metric)(METRIC_COMMIT_BUCKET + i), 1);
	tally_add(METRIC_COMMIT_SUM_MS, ms);
}

static void
tell(int control_fd)
{
	static uint8_t data[METRIC_COUNT * 8 + 16];
	static struct ipc_counters m;
	struct wire_out w;

	m.first = (uint16_t)first;
	m.n = (uint16_t)(end - first);
	memcpy(m.values, untold + first, m.n * sizeof(untold[0]));
	wire_out_init(&w, data, sizeof(data));
	ipc_put_counters(&w, IPC_COUNTERS, &m);
	if (ipc_send(control_fd, &w, NULL, 0, false) != ERR_OK)
		return;
	memset(untold, 0, sizeof(untold));
	first = METRIC_COUNT;
	end = 0;
}

int
tally_tell(int control_fd, uint64_t now_ms, int wait_ms)
{
	if (first >= end || control_fd < 0)
		return wait_ms;
	if (now_ms - told_ms >= TELL_MS) {
		told_ms = now_ms;
		tell(control_fd);
		return wait_ms;
	}
	return wait_ms >= 0 && (uint64_t)wait_ms < told_ms + TELL_MS - now_ms ? wait_ms : (int)(told_ms + TELL_MS - now_ms);
}
