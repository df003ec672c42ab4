/*
 * The first steps of a session process: forked from postern-relay, it drops what is not its own and closes its sandbox. Invariant: not
 * one octet of the server is read before that.
 */
#include <linux/close_range.h>
#include <sysexits.h>
#include <unistd.h>

#include "err.h"
#include "patience.h"
#include "relay.h"

/* Its connection, its control socket, and what the sandbox still needs; standard descriptors lead nowhere. */
static int
drop_descriptors(const struct sandbox *sandbox, int fd, int control_fd)
{
	const int keep[3] = { fd, control_fd, sandbox->ruleset_fd };
	unsigned from = 3;

	if (!sandbox_build_keeps_stderr && dup2(0, 2) < 0)
		return ERR_SYSTEM;
	for (;;) {
		int next = -1;

		for (size_t i = 0; i < 3; i++)
			if (keep[i] >= (int)from && (next < 0 || keep[i] < next))
				next = keep[i];
		if (next < 0)
			return close_range(from, ~0U, 0) == 0 ? ERR_OK : ERR_SYSTEM;
		if ((unsigned)next > from && close_range(from, (unsigned)next - 1, 0) != 0)
			return ERR_SYSTEM;
		from = (unsigned)next + 1;
	}
}

int
outbound_narrow(struct relay *r, int fd, int control_fd)
{
	struct sandbox *sandbox = &r->outbound_sandbox;
	uint32_t parts;

	if (drop_descriptors(sandbox, fd, control_fd) != ERR_OK || sandbox_demote(sandbox, &parts) != ERR_OK)
		return ERR_SYSTEM;
	if (sandbox->ruleset_fd >= 0)
		close(sandbox->ruleset_fd);
	return sandbox_seal(sandbox, &parts);
}

void
outbound_run(struct relay *r, const struct session_facts *facts, int fd, int control_fd)
{
	/* It outlives a relay that ends before it, which would have killed it before; its own table has no call to change that. */
	alarm((unsigned)((2 * patience_life_ms + patience_delivery_ms) / 1000));
	if (outbound_narrow(r, fd, control_fd) != ERR_OK)
		_exit(EX_OSERR);
	session_run(facts, fd, control_fd);
}
