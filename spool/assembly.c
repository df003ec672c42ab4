/*
 * From a worker's octets to those of the message file: limit, screen, header repair. Pure; run by postern-spool's loop on what
 * may come from an attacker. Invariant: what it lets into `out` is clean and within the limit, or `fault` is set.
 */
#include "assembly.h"

#include <stdlib.h>

#include "err.h"
#include "format.h"
#include "str.h"

#define RECEIVED_MAX 100	/* RFC 5321, 6.3 */
#define OUT_MAX (FORMAT_ENVELOPE_MAX + 4 * HEADER_MAX)

void
assembly_fail(struct assembly *a, enum commit_verdict fault)
{
	if (a->fault != COMMIT_STORED)
		return;
	a->fault = fault;
	header_free(&a->header);
	free(a->from);
	a->from = NULL;
}

void
assembly_free(struct assembly *a)
{
	header_free(&a->header);
	free(a->from);
	buf_free(&a->repaired);
	buf_free(&a->out);
}

void
assembly_begin(struct assembly *a, const struct header_repair *repair, const char *account, const char *credential,
    uint64_t session, uint32_t t, const struct buf *lines)
{
	char first[FORMAT_FIRST_LINE + 1];

	a->repair = *repair;
	header_init(&a->header);
	buf_init(&a->out, OUT_MAX);
	buf_init(&a->repaired, 2 * IPC_DATA_MAX + 2);
	format_put_first_line(first, 0, NULL, false);
	if (buf_reserve(&a->out, 2048 + lines->len) != ERR_OK || buf_put(&a->out, first, FORMAT_FIRST_LINE) != ERR_OK ||
	    format_put_start(&a->out, repair->id, account, credential, session, t, repair->arrival_us) != ERR_OK ||
	    buf_put(&a->out, lines->data, lines->len) != ERR_OK || format_put_end(&a->out) != ERR_OK)
		assembly_fail(a, COMMIT_ERROR);
}

/* Who the message says it is from, for auth to judge. */
static void
read_from(struct assembly *a)
{
	size_t n;
	int err;

	if ((a->from = calloc(1, sizeof(*a->from))) == NULL) {
		assembly_fail(a, COMMIT_ERROR);
		return;
	}
	/* Without a From field only the login is asked about. */
	if (a->header.nfrom == 0) {
		a->is_from_known = a->repair.sender[0] != 0;
		return;
	}
	err = header_get_from(&a->header, a->from->addresses, IPC_FROM_ADDRESSES_MAX, &n);
	a->is_from_known = err == ERR_OK;
	if (err == ERR_OK)
		a->from->n = (uint8_t)n;
	else if (a->check_header)
		assembly_fail(a, err == ERR_TOOBIG ? COMMIT_SENDER_NOT_ALLOWED : COMMIT_BAD_FROM);
}

/* "<...>", without blanks and folding; the one that will be put in when there is none. */
static void
read_message_id(struct assembly *a)
{
	const uint8_t *p = a->header.raw.data + a->header.message_id, *end = p + a->header.message_id_len;

	if (!a->header.has_message_id) {
		str_fmt(a->message_id, sizeof(a->message_id), "%s@%s", a->repair.id, a->repair.host);
		return;
	}
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n' || *p == '<'))
		p++;
	while (p < end && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || end[-1] == '\n' || end[-1] == '>'))
		end--;
	str_copy(a->message_id, sizeof(a->message_id), p, (size_t)(end - p));
}

static void
finish_header(struct assembly *a)
{
	if (a->header.nfrom > 1 || a->header.nreceived > RECEIVED_MAX) {
		assembly_fail(a, a->header.nfrom > 1 ? COMMIT_TWO_FROM : COMMIT_LOOP);
		return;
	}
	read_message_id(a);
	if (a->asks_from)
		read_from(a);
	if (a->fault == COMMIT_STORED && header_put(&a->header, &a->out, &a->repair) != ERR_OK)
		assembly_fail(a, COMMIT_ERROR);
	header_free(&a->header);
}

void
assembly_take(struct assembly *a, const uint8_t *p, size_t n)
{
	size_t used = 0;
	int err;

	a->taken += n;
	if (a->fault != COMMIT_STORED)
		return;
	if (a->taken > a->limit) {
		assembly_fail(a, COMMIT_TOO_BIG);
		return;
	}
	if (a->repair_lf) {
		buf_reset(&a->repaired);
		if (text_put_repaired(&a->repaired, &a->repair_cr, p, n) != ERR_OK) {
			assembly_fail(a, COMMIT_ERROR);
			return;
		}
		p = a->repaired.data;
		n = a->repaired.len;
	}
	if (!text_screen_is_clean(&a->screen, p, n)) {
		assembly_fail(a, COMMIT_BAD_OCTETS);
		return;
	}
	if (!a->header.is_complete) {
		if ((err = header_feed(&a->header, p, n, &used)) != ERR_OK) {
			assembly_fail(a, err == ERR_TOOBIG ? COMMIT_MALFORMED : COMMIT_ERROR);
			return;
		}
		if (a->header.is_complete)
			finish_header(a);
	}
	if (a->fault == COMMIT_STORED && buf_put(&a->out, p + used, n - used) != ERR_OK)
		assembly_fail(a, COMMIT_ERROR);
}

void
assembly_end(struct assembly *a)
{
	if (a->fault != COMMIT_STORED)
		return;
	if (!text_screen_end(&a->screen)) {
		assembly_fail(a, COMMIT_BAD_OCTETS);
		return;
	}
	if (a->header.is_complete)
		return;
	if (header_end(&a->header) != ERR_OK)
		assembly_fail(a, COMMIT_ERROR);
	else
		finish_header(a);
}
