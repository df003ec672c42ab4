/*
 * Fuzz entry for MIME's parser: the first octet says how the rest, a message, is cut; cut or whole, the answer is the
 * same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "mime.h"

#define LIMIT 64

static void
check(const struct mime *m)
{
	if ((m->verdict == MIME_MALFORMED) != (m->reason != NULL) ||
	    (m->verdict == MIME_ATTACHMENT_TOO_BIG) != (m->name[0] != 0))
		abort();
	for (size_t i = 0; m->name[i] != 0; i++) {
		if (m->name[i] < ' ' || m->name[i] > '~')
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct mime whole, cut;
	size_t piece;

	if (n == 0)
		return 0;
	piece = (size_t)*p++ % 67 + 1;
	n--;
	mime_init(&whole, LIMIT);
	mime_feed(&whole, p, n);
	mime_end(&whole);
	check(&whole);
	memset(&cut, 0xa5, sizeof(cut));
	mime_init(&cut, LIMIT);
	for (size_t at = 0; at < n; at += piece)
		mime_feed(&cut, p + at, n - at < piece ? n - at : piece);
	mime_end(&cut);
	check(&cut);
	if (cut.verdict != whole.verdict || cut.reason != whole.reason || strcmp(cut.name, whole.name) != 0)
		abort();
	if (whole.verdict == MIME_OK && (cut.attachments != whole.attachments || cut.total != whole.total))
		abort();
	return 0;
}
