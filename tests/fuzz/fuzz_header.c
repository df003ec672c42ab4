/*
 * Fuzz entry for a message's header: the same however it is cut; repaired it has all that it must have, no Bcc, and
 * the body untouched.
 */
#include <string.h>
#include <strings.h>

#include "addr.h"
#include "err.h"
#include "fuzz.h"
#include "header.h"

static const struct header_repair repair = {
	.id = "0ID", .host = "mail.example.org", .sender = "alice@example.org", .tls = true, .arrival_us = 1795300000000000,
};

/* The spool screens octets first: lines end with CRLF, and there is no NUL. */
static size_t
clean(uint8_t *to, const uint8_t *p, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n')
			to[len++] = '\r';
		if (p[i] != '\r' && p[i] != 0)
			to[len++] = p[i];
	}
	return len;
}

/* Octets that are header; the rest is body. */
static size_t
feed(struct header *h, const uint8_t *p, size_t n, size_t piece)
{
	size_t at = 0;

	header_init(h);
	while (at < n && !h->is_complete) {
		size_t used, len = n - at < piece ? n - at : piece;

		must(header_feed(h, p + at, len, &used) == ERR_OK && used <= len && (used == len || h->is_complete));
		at += used;
	}
	must(header_end(h) == ERR_OK && h->is_complete);
	return at;
}

static void
check_repaired(const struct header *h)
{
	struct header again;
	struct buf out;
	size_t tail = h->raw.len - h->fields_len, body;

	buf_init(&out, 2 * HEADER_MAX + 4096);
	must(header_put(h, &out, &repair) == ERR_OK);
	body = feed(&again, out.data, out.len, out.len);
	must(out.len - body == tail && (tail == 0 || memcmp(out.data + body, h->raw.data + h->fields_len, tail) == 0));
	must(again.has_date && again.has_message_id && again.nfrom == (h->nfrom == 0 ? 1 : h->nfrom));
	must(again.nreceived == h->nreceived + 1);
	for (size_t at = 0; at < again.fields_len;) {
		const uint8_t *end = memchr(again.raw.data + at, '\n', again.fields_len - at);

		must(again.fields_len - at < 4 || strncasecmp((const char *)again.raw.data + at, "bcc:", 4) != 0);
		must(end != NULL);
		at = (size_t)(end - again.raw.data) + 1;
	}
	header_free(&again);
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct header whole, cut;
	struct addr found[16];
	size_t piece, used, len, count;
	uint8_t *text;

	if (n == 0 || n > HEADER_MAX / 4)
		return 0;
	piece = (size_t)*p++ % 67 + 1;
	must((text = malloc(2 * n)) != NULL);
	len = clean(text, p, n - 1);
	used = feed(&whole, text, len, len);
	must(feed(&cut, text, len, piece) == used);
	must(whole.raw.len == cut.raw.len && (cut.raw.len == 0 || memcmp(whole.raw.data, cut.raw.data, cut.raw.len) == 0));
	must(whole.fields_len == cut.fields_len && whole.nfrom == cut.nfrom && whole.nreceived == cut.nreceived &&
	    whole.has_date == cut.has_date && whole.has_message_id == cut.has_message_id);
	must(whole.nfrom == 0 || (whole.from == cut.from && whole.from_len == cut.from_len &&
	    whole.from + whole.from_len <= whole.fields_len));
	if (whole.nfrom != 0 && header_get_from(&whole, found, 16, &count) == ERR_OK) {
		struct addr again;

		must(count != 0 && count <= 16);
		for (size_t i = 0; i < count; i++)
			must(addr_parse(&again, found[i].text, found[i].len, true) == ERR_OK);
	}
	check_repaired(&whole);
	header_free(&whole);
	header_free(&cut);
	free(text);
	return 0;
}
