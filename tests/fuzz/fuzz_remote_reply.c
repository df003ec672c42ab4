/*
 * Fuzz entry for the replies of remote servers, and what they say they can: the same however they are cut, printable, and
 * within bounds.
 */
#include <string.h>

#include "capability.h"
#include "err.h"
#include "fuzz.h"
#include "remote_reply.h"

static void
hear(void *owner, const char *text, size_t len)
{
	capability_hear(owner, text, len);
}

/* All replies of n octets; how the last one ended, and where. */
static int
feed(struct remote_reply *r, struct capability *c, const uint8_t *p, size_t n, size_t piece, size_t *at)
{
	int err = ERR_SHORT;

	*at = 0;
	*c = (struct capability){ .size_max = 0 };
	*r = (struct remote_reply){ .heard = hear, .owner = c };
	remote_reply_init(r);
	while (err == ERR_SHORT && *at < n) {
		size_t used = 0, len = n - *at < piece ? n - *at : piece;

		err = remote_reply_feed(r, p + *at, len, &used);
		must(used <= len && (err != ERR_SHORT || used == len));
		*at += used;
	}
	return err;
}

static void
check(const struct remote_reply *r)
{
	must(r->code == 0 || (r->code >= 200 && r->code <= 599));
	must(strlen(r->text) == r->text_len && r->text_len < sizeof(r->text));
	for (const char *p = r->text; *p != 0; p++)
		must(*p >= ' ' && *p <= '~');
	must(memchr(r->enhanced, 0, sizeof(r->enhanced)) != NULL);
	must(r->enhanced[0] == 0 || r->enhanced[0] == (char)('0' + r->code / 100));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct remote_reply whole, cut;
	struct capability first, second;
	size_t piece, end, same;
	int err;

	if (n == 0)
		return 0;
	piece = (size_t)*p++ % 67 + 1;
	n--;
	while (n != 0) {
		err = feed(&whole, &first, p, n, n, &end);
		must(feed(&cut, &second, p, n, piece, &same) == err);
		must(err == ERR_OK || err == ERR_SHORT || err == ERR_SYNTAX || err == ERR_TOOBIG);
		check(&whole);
		check(&cut);
		must(cut.code == whole.code && strcmp(cut.text, whole.text) == 0 && strcmp(cut.enhanced, whole.enhanced) == 0);
		must(first.mechanisms == second.mechanisms && first.size_max == second.size_max && first.pipelining == second.pipelining);
		if (err != ERR_OK)
			return 0;
		must(end == same && end != 0 && whole.code != 0);
		p += end;
		n -= end;
	}
	return 0;
}
