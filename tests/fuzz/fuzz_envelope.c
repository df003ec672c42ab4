/*
 * Fuzz entry for the envelope of a message file and the names of files: what was read is put again as the same
 * octets.
 */
#include <string.h>

#include "buf.h"
#include "err.h"
#include "format.h"
#include "fuzz.h"
#include "name.h"

#define ID_US 0x2468acf13579bULL	/* any time will do */

static const char digest[FORMAT_DIGEST] = "any digest will do, it is not..";

static void
put_again(const uint8_t *p, const struct spool_envelope *e)
{
	char first[FORMAT_FIRST_LINE + 1];
	bool is_judged;
	uint8_t found[FORMAT_DIGEST];
	uint64_t size;
	struct buf b;

	must(format_get_first_line(p, FORMAT_FIRST_LINE, &size, found, &is_judged) == ERR_OK && size == e->file_size);
	format_put_first_line(first, size, found, is_judged);
	buf_init(&b, FORMAT_ENVELOPE_MAX);
	must(buf_put_str(&b, first) == ERR_OK);
	must(format_put_start(&b, e->id, e->account, e->credential, e->session, e->transaction, e->arrival_us) == ERR_OK);
	must(format_put_sender(&b, e->sender, e->ret, e->envid, e->body_8bit, e->smtputf8) == ERR_OK);
	for (size_t i = 0; i < e->nrecipients; i++)
		must(format_put_recipient(&b, e->recipients[i].address, e->recipients[i].notify,
		    e->recipients[i].orcpt) == ERR_OK);
	must(format_put_end(&b) == ERR_OK);
	/* The one field that has more than one form is the transaction's number, with zeros before it. */
	if (memmem(p, e->message_offset, "Postern-Transaction: 0", 22) == NULL)
		must(b.len == e->message_offset && memcmp(b.data, p, b.len) == 0);
	buf_free(&b);
}

static void
read_name(const uint8_t *p, size_t n)
{
	char text[SPOOL_NAME_MAX], again[SPOOL_NAME_MAX];
	struct name name, same;
	uint64_t us;

	if (n >= sizeof(text))
		return;
	memcpy(text, p, n);
	text[n] = 0;
	if (name_get(text, &name) != ERR_OK)
		return;
	must(name_get_id(name.id, strlen(name.id), &us) == ERR_OK);
	must(name_get(name_put(again, &name, "mail.example.org"), &same) == ERR_OK);
	must(same.seconds == name.seconds && same.session == name.session && same.t == name.t);
	must(strcmp(same.id, name.id) == 0);
}

size_t
fuzz_seed(size_t i, uint8_t *to, size_t size)
{
	static const char *const names[] = { "bob@example.net", "\"a>b\"@example.net", "\xc3\xa4@example.net" };
	char first[FORMAT_FIRST_LINE + 1], id[SPOOL_ID_TEXT], name[SPOOL_NAME_MAX];
	struct name n = { .seconds = 1795300000, .session = 0x1234 + i, .t = (uint32_t)i };
	struct buf b;
	size_t len;

	if (i >= 8)
		return 0;
	name_put_id(id, ID_US + i, 77);
	memcpy(n.id, id, sizeof(id));
	if (i >= 4) {
		name_put(name, &n, i == 4 ? "mail.example.org" : i == 5 ? "h:2,S" : "");
		memcpy(to, name, strlen(name));
		return strlen(name);
	}
	buf_init(&b, size);
	format_put_first_line(first, 0, (const uint8_t *)digest, i % 2 == 0);
	must(buf_put_str(&b, first) == ERR_OK);
	must(format_put_start(&b, id, "alice@example.org", i % 3 == 0 ? "phone 1" : NULL, 9, (uint32_t)i, ID_US) == ERR_OK);
	must(format_put_sender(&b, i == 0 ? "" : "alice@example.org", i == 1 ? "FULL" : "", i == 1 ? "QQ+2B" : "", i == 2,
	    i == 3) == ERR_OK);
	for (size_t k = 0; k <= i && k < 3; k++)
		must(format_put_recipient(&b, names[k], k == 1 ? "NEVER" : "",
		    k == 1 ? "rfc822;bob@example.net" : "") == ERR_OK);
	must(format_put_end(&b) == ERR_OK && buf_put_str(&b, "Subject: x\r\n\r\nhello\r\n") == ERR_OK);
	format_put_first_line(first, b.len, (const uint8_t *)digest, i % 2 == 0);
	memcpy(b.data, first, FORMAT_FIRST_LINE);
	memcpy(to, b.data, len = b.len);
	buf_free(&b);
	return len;
}

/* Once as it is, and once with its size set right, which a change nearly always breaks. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t found[FORMAT_DIGEST], *copy;
	char first[FORMAT_FIRST_LINE + 1];
	bool is_judged;
	struct spool_envelope e;
	uint64_t size;

	read_name(p, n);
	if (format_get_envelope(p, n, n, &e) == ERR_OK)
		put_again(p, &e);
	spool_envelope_free(&e);
	if (format_get_first_line(p, n, &size, found, &is_judged) != ERR_OK)
		return 0;
	must((copy = malloc(n)) != NULL);
	memcpy(copy, p, n);
	format_put_first_line(first, n, found, is_judged);
	memcpy(copy, first, FORMAT_FIRST_LINE);
	if (format_get_envelope(copy, n, n, &e) == ERR_OK)
		put_again(copy, &e);
	spool_envelope_free(&e);
	free(copy);
	return 0;
}
