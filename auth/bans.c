/*
 * The admin's list of networks in postern-auth: read from the registry when it has changed, told to the master, which refuses
 * connections by it. Invariant: the master is told each change once, and what it has no room for now is told later.
 */
#include "bans.h"

#include "auth.h"
#include "err.h"
#include "io.h"
#include "ipc.h"

#define EVERY_MS 1000

static struct ban_entry *
find(struct bans *b, const struct netmask *network)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->list[i].network.bits == network->bits &&
		    netaddr_is_equal(&b->list[i].network.address, &network->address))
			return &b->list[i];
	return NULL;
}

/* One row of the registry; entries that no row comes for are lifted afterwards. */
static int
take(const struct registry_ban *row, void *arg)
{
	struct bans *b = arg;
	struct ban_entry *e = find(b, &row->network);

	if (e == NULL) {
		if (b->n == sizeof(b->list) / sizeof(b->list[0]))
			return 0;
		e = &b->list[b->n++];
		*e = (struct ban_entry){ .network = row->network };
	}
	if (e->allow != row->allow || e->until_us != row->until_us)
		e->told = false;
	e->allow = row->allow;
	e->until_us = row->until_us;
	e->lifted = false;
	return 0;
}

static void
read_again(struct auth *a)
{
	static struct bans before;
	struct bans *b = &a->bans;
	int err;

	before = *b;
	for (size_t i = 0; i < b->n; i++)
		b->list[i].lifted = true;
	if ((err = registry_walk_bans(a->registry, take, b)) != ERR_OK) {
		*b = before;
		b->is_read = false;
		auth_log_trouble(a, err);
		return;
	}
	for (size_t i = 0; i < b->n; i++)
		if (b->list[i].lifted && !(i < before.n && before.list[i].lifted))
			b->list[i].told = false;
	b->is_read = true;
}

static uint32_t
seconds_left(const struct ban_entry *e, uint64_t now_us)
{
	uint64_t seconds;

	if (e->lifted)
		return 0;
	if (e->until_us == 0)
		return IPC_BAN_FOREVER;
	if (e->until_us <= now_us)
		return 0;
	seconds = (e->until_us - now_us + 999999) / 1000000;
	return seconds < IPC_BAN_FOREVER ? (uint32_t)seconds : IPC_BAN_FOREVER;
}

static void
tell(struct auth *a)
{
	struct bans *b = &a->bans;
	uint64_t now_us = io_now_us();
	size_t kept = 0, i;

	for (i = 0; i < b->n && a->control.fd >= 0; i++) {
		struct ban_entry *e = &b->list[i];
		struct ipc_ban m = { .network = e->network, .seconds = seconds_left(e, now_us), .allow = e->allow };
		uint8_t data[64];
		struct wire_out w;

		if (!e->told) {
			wire_out_init(&w, data, sizeof(data));
			ipc_put_ban(&w, &m);
			if (ipc_send(a->control.fd, &w, NULL, 0, false) != ERR_OK)
				break;
			e->told = true;
		}
		if (!e->lifted)
			b->list[kept++] = *e;
	}
	while (i < b->n)
		b->list[kept++] = b->list[i++];
	b->n = kept;
}

int
bans_wait(const struct bans *b, uint64_t now_ms)
{
	return b->checked_ms != 0 && now_ms - b->checked_ms < EVERY_MS ? (int)(EVERY_MS - (now_ms - b->checked_ms)) : 0;
}

void
bans_check(struct auth *a, uint64_t now_ms)
{
	struct bans *b = &a->bans;
	uint64_t version;
	int err;

	if (b->checked_ms != 0 && now_ms - b->checked_ms < EVERY_MS)
		return;
	b->checked_ms = now_ms;
	if ((err = registry_data_version(a->registry, &version)) != ERR_OK) {
		auth_log_trouble(a, err);
		return;
	}
	if (!b->is_read || version != b->version)
		read_again(a);
	b->version = version;
	tell(a);
}

enum ban_verdict
bans_judge(const struct bans *b, const struct netaddr *peer, uint64_t now_us)
{
	enum ban_verdict verdict = BAN_NONE;

	for (size_t i = 0; i < b->n && verdict != BAN_ALLOWED; i++) {
		const struct ban_entry *e = &b->list[i];

		if (!e->lifted && (e->until_us == 0 || e->until_us > now_us) && netaddr_is_in(peer, &e->network))
			verdict = e->allow ? BAN_ALLOWED : BAN_REFUSED;
	}
	return verdict;
}
