/*
 * Fuzz entry for what spool may ask postern-keys to sign: what is accepted has one From of the domain, and makes a field that is one field,
 * can't be mistaken for another header, and is signed with the fields that were given.
 */
#include <string.h>

#include "dkim_name.h"
#include "dkim_text.h"
#include "err.h"
#include "fuzz.h"
#include "message_dkim.h"
#include "message_relay.h"

static void
compose(const struct ipc_dkim_sign *m, enum dkim_algorithm algorithm)
{
	struct buf header, text, again;

	buf_init(&header, 4 * RELAY_SIGNATURES_MAX);
	buf_init(&text, DKIM_FIELDS_MAX + 4 * RELAY_SIGNATURES_MAX);
	buf_init(&again, 4 * RELAY_SIGNATURES_MAX);
	must(dkim_compose(m, "selector", algorithm, 1700000000, &header, &text) == ERR_OK);
	must(dkim_finish(&header, (const uint8_t *)"signature", 9) == ERR_OK);
	must(dkim_put_relaxed(&again, header.data, header.len) == ERR_OK);
	must(memcmp(again.data, "dkim-signature:v=1; ", 20) == 0);
	must(memmem(again.data, again.len, "; d=example.org; s=selector; ", 29) != NULL);
	must(memmem(text.data, text.len, "dkim-signature:v=1; ", 20) != NULL);
	for (size_t i = 0; i < header.len; i++)
		must(header.data[i] < 0x7f && (header.data[i] >= ' ' || header.data[i] == '\r' || header.data[i] == '\n' ||
		    header.data[i] == '\t'));
	buf_free(&header);
	buf_free(&text);
	buf_free(&again);
}

static void
read_name(const uint8_t *p, size_t n)
{
	char text[NAME_MAX + 1], again[NAME_MAX + 1];
	struct dkim_name name;

	if (n > NAME_MAX)
		return;
	memcpy(text, p, n);
	text[n] = 0;
	if (dkim_name_get(text, &name) == ERR_OK)
		must(dkim_name_put(again, &name) == ERR_OK && strcmp(again, text) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct ipc_dkim_sign m = { .domain = "example.org", .fields = p, .fields_len = n };

	read_name(p, n);
	if (n > DKIM_FIELDS_MAX || dkim_judge(&m) != ERR_OK)
		return 0;
	compose(&m, DKIM_RSA);
	compose(&m, DKIM_ED25519);
	return 0;
}
