/*
 * Names, ids and the text of message files: what is written is read back, what is damaged is refused; free space; outcomes;
 * envelopes from auth that could not stand in a file.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "buf.h"
#include "envelope.h"
#include "err.h"
#include "format.h"
#include "id.h"
#include "name.h"
#include "outcome.h"
#include "room.h"
#include "unit.h"

static void
test_ids(void **state)
{
	static const uint64_t times[] = { 0, 1, 31, 32, 65535, 65536, 1u << 24, 1780000000000000ULL, 1780000000000001ULL,
	    (1ULL << 55) - 1, (1ULL << 56) - 1 };
	struct id_source s = { .last_us = 0 };
	char id[SPOOL_ID_TEXT], last[SPOOL_ID_TEXT] = "";
	uint64_t us;

	(void)state;
	for (size_t i = 0; i < COUNT(times); i++) {
		check_row(i, strlen(name_put_id(id, times[i], 0)) == NAME_ID_LEN);
		check_row(i, strcmp(last, id) < 0);
		check_row(i, name_get_id(id, NAME_ID_LEN, &us) == ERR_OK && us == times[i]);
		check_row(i, strlen(name_put_id(last, times[i], 0xffffff)) == NAME_ID_LEN && strcmp(id, last) < 0);
		check_row(i, name_get_id(last, NAME_ID_LEN, &us) == ERR_OK && us == times[i]);
	}
	assert_int_equal(name_get_id("0000000000000000x", 17, &us), ERR_SYNTAX);
	assert_int_equal(name_get_id("000000000000000u", 16, &us), ERR_SYNTAX);
	assert_int_equal(name_get_id("000000000000000A", 16, &us), ERR_SYNTAX);

	/* Whatever the clock does. */
	last[0] = 0;
	for (size_t i = 0; i < 10000; i++) {
		assert_int_equal(id_next(&s, i % 3 == 0 ? 1000000 + i : 1000000 - i, id, &us), ERR_OK);
		assert_true(strcmp(last, id) < 0);
		memcpy(last, id, sizeof(last));
	}
	id_note(&s, name_put_id(id, 5000000, 7));
	assert_int_equal(id_next(&s, 10, last, &us), ERR_OK);
	assert_true(strcmp(id, last) < 0);
	id_note(&s, "zzzzzzzzzzzzzzzz");
	id_note(&s, "nonsense");
	assert_int_equal(id_next(&s, 6000000, last, &us), ERR_OK);
	assert_int_equal(us, 6000000);
}

static void
test_names(void **state)
{
	static const char *const bad[] = {
		"", ".", "other", "1.Q0123456789abcdefS0000000000000001T1", "1.Q0123456789abcdefS0000000000000001T1.",
		"x.Q0123456789abcdefS0000000000000001T1.host", ".Q0123456789abcdefS0000000000000001T1.host",
		"1.Q0123456789abcduefS000000000000001T1.host", "1.Q0123456789abcdefS00000000000000g1T1.host",
		"1.Q0123456789abcdefS0000000000000001T.host", "1.Q0123456789abcdefS0000000000000001T4294967296.host",
		"1.Q0123456789abcdefS0000000000000001Tx.host", "1.Q0123456789abcdef", "1.Q0123456789abcdefS0000000000000001",
	};
	struct name n = { .seconds = 1780000000, .id = "0123456789abcdef", .session = 0xfedcba9876543210ULL, .t = UINT32_MAX }, got;
	char text[SPOOL_NAME_MAX], host[300];

	(void)state;
	assert_string_equal(name_put(text, &n, "mail.example.org"),
	    "1780000000.Q0123456789abcdefSfedcba9876543210T4294967295.mail.example.org");
	assert_int_equal(name_get(text, &got), ERR_OK);
	assert_int_equal(got.seconds, n.seconds);
	assert_string_equal(got.id, n.id);
	assert_int_equal(got.session, n.session);
	assert_int_equal(got.t, n.t);
	memset(host, 'h', sizeof(host));
	host[255] = 0;
	assert_true(strlen(name_put(text, &n, host)) < 240);
	assert_int_equal(name_get(text, &got), ERR_OK);
	assert_int_equal(name_get("1.Q0123456789abcdefS0000000000000001T1.host:2,S", &got), ERR_OK);
	for (size_t i = 0; i < COUNT(bad); i++)
		check_row(i, name_get(bad[i], &got) == ERR_SYNTAX);
}

/* A file as it would be written; the digest is true. */
static void
make_file(struct buf *b)
{
	uint8_t digest[FORMAT_DIGEST];
	char first[FORMAT_FIRST_LINE + 1];

	buf_init(b, 1 << 20);
	format_put_first_line(first, 0, NULL, false);
	assert_int_equal(strlen(first), FORMAT_FIRST_LINE);
	buf_put(b, first, FORMAT_FIRST_LINE);
	assert_int_equal(format_put_start(b, "0123456789abcdef", "alice@example.org", "Alice's phone", 0xab, 7, 1780000000123456ULL), ERR_OK);
	assert_int_equal(format_put_sender(b, "alice@example.org", "HDRS", "env+20id", true, true), ERR_OK);
	assert_int_equal(format_put_recipient(b, "bob@example.net", "SUCCESS,DELAY", "rfc822;bob@example.net"), ERR_OK);
	assert_int_equal(format_put_recipient(b, "\"a> b\"@example.net", "", ""), ERR_OK);
	assert_int_equal(format_put_end(b), ERR_OK);
	buf_put_str(b, "Postern-Recipient: <evil@example.com>\r\nPostern-End: envelope\r\n\r\nbody\r\n");
	EVP_Digest(b->data + FORMAT_FIRST_LINE, b->len - FORMAT_FIRST_LINE, digest, NULL, EVP_sha256(), NULL);
	format_put_first_line(first, b->len, digest, true);
	memcpy(b->data, first, FORMAT_FIRST_LINE);
}

static int
file_of(const struct buf *b, size_t len)
{
	int fd = memfd_create("message", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, b->data, len), len);
	return fd;
}

static void
test_envelope(void **state)
{
	struct spool_envelope e;
	struct buf b;
	int fd;

	(void)state;
	make_file(&b);
	fd = file_of(&b, b.len);
	assert_int_equal(spool_read_envelope(fd, &e), ERR_OK);
	assert_int_equal(spool_verify(fd), ERR_OK);
	assert_string_equal(e.id, "0123456789abcdef");
	assert_string_equal(e.account, "alice@example.org");
	assert_string_equal(e.credential, "Alice's phone");
	assert_true(e.is_from_judged);
	assert_int_equal(e.session, 0xab);
	assert_int_equal(e.transaction, 7);
	assert_int_equal(e.arrival_us, 1780000000123456ULL);
	assert_string_equal(e.sender, "alice@example.org");
	assert_string_equal(e.ret, "HDRS");
	assert_string_equal(e.envid, "env+20id");
	assert_true(e.body_8bit && e.smtputf8);
	assert_int_equal(e.nrecipients, 2);
	assert_string_equal(e.recipients[0].notify, "SUCCESS,DELAY");
	assert_string_equal(e.recipients[0].orcpt, "rfc822;bob@example.net");
	assert_string_equal(e.recipients[1].address, "\"a> b\"@example.net");
	assert_null(e.recipients[1].notify);
	assert_int_equal(e.file_size, b.len);
	assert_memory_equal(b.data + e.message_offset, "Postern-Recipient: <evil", 24);
	assert_int_equal(e.message_offset + e.message_size, b.len);
	spool_envelope_free(&e);
	close(fd);
	buf_free(&b);
}

static void
test_options(void **state)
{
	struct spool_envelope e;

	(void)state;
	for (int i = 0; i < 4; i++) {
		char first[FORMAT_FIRST_LINE + 1];
		struct buf b;

		buf_init(&b, 1 << 20);
		format_put_first_line(first, 0, NULL, false);
		buf_put(&b, first, FORMAT_FIRST_LINE);
		format_put_start(&b, "0123456789abcdef", "x", NULL, 1, 1, 0);
		format_put_sender(&b, "", NULL, "", (i & 1) != 0, (i & 2) != 0);
		format_put_recipient(&b, "bob@example.net", NULL, NULL);
		format_put_end(&b);
		format_put_first_line(first, b.len, NULL, false);
		memcpy(b.data, first, FORMAT_FIRST_LINE);
		assert_int_equal(format_get_envelope(b.data, b.len, b.len, &e), ERR_OK);
		assert_int_equal(e.body_8bit, (i & 1) != 0);
		assert_int_equal(e.smtputf8, (i & 2) != 0);
		assert_string_equal(e.sender, "");
		assert_null(e.ret);
		assert_null(e.envid);
		assert_null(e.credential);
		assert_false(e.is_from_judged);
		spool_envelope_free(&e);
		buf_free(&b);
	}
}

/* One form of a number: what another program reads is what is written. */
static void
test_transaction(void **state)
{
	static const struct {
		const char	*text;
		int		 err;
	} rows[] = {
		{ "0", ERR_OK }, { "1", ERR_OK }, { "10", ERR_OK }, { "4294967295", ERR_OK }, { "4294967296", ERR_CORRUPT }, { "01", ERR_CORRUPT },
		{ "00", ERR_CORRUPT }, { "+1", ERR_CORRUPT }, { "-1", ERR_CORRUPT }, { "1 ", ERR_CORRUPT }, { "x", ERR_CORRUPT }, { "", ERR_CORRUPT },
	};
	char first[FORMAT_FIRST_LINE + 1];
	struct spool_envelope e;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_init(&b, 1 << 20);
		format_put_first_line(first, 0, NULL, false);
		buf_put(&b, first, FORMAT_FIRST_LINE);
		buf_put_fmt(&b, "Postern-Id: 0123456789abcdef\r\nPostern-Account: x\r\nPostern-Session: 0000000000000001\r\n"
		    "Postern-Transaction: %s\r\nPostern-Arrival: 2026-11-22T00:00:00.000000Z\r\n", rows[i].text);
		format_put_sender(&b, "", NULL, "", false, false);
		format_put_recipient(&b, "bob@example.net", NULL, NULL);
		format_put_end(&b);
		format_put_first_line(first, b.len, NULL, false);
		memcpy(b.data, first, FORMAT_FIRST_LINE);
		check_row(i, format_get_envelope(b.data, b.len, b.len, &e) == rows[i].err);
		spool_envelope_free(&e);
		buf_free(&b);
	}
}

/* Cut at every octet, and every octet changed: never taken for whole. */
static void
test_damage(void **state)
{
	struct spool_envelope e;
	struct buf b;
	int fd;

	(void)state;
	make_file(&b);
	for (size_t len = 0; len < b.len; len++) {
		fd = file_of(&b, len);
		assert_int_equal(spool_read_envelope(fd, &e), ERR_CORRUPT);
		assert_null(e.account);
		assert_int_equal(spool_verify(fd), ERR_CORRUPT);
		close(fd);
	}
	for (size_t at = 0; at < b.len; at++)
		for (int change = 0; change < 3; change++) {
			uint8_t kept = b.data[at];
			int err;

			b.data[at] = (uint8_t)(change == 0 ? kept ^ 1 : change == 1 ? 0 : '9');
			if (b.data[at] != kept) {
				fd = file_of(&b, b.len);
				err = spool_verify(fd);
				/* from=0 for from=1: known at the commit only, and no digest can cover it. */
				assert_true(err == ERR_CORRUPT || err == ERR_VERSION ||
				    (at == FORMAT_FIRST_LINE - 3 && b.data[at] == '0'));
				err = spool_read_envelope(fd, &e);
				if (err == ERR_OK)
					spool_envelope_free(&e);
				assert_true(err == ERR_OK || err == ERR_CORRUPT || err == ERR_VERSION);
				close(fd);
			}
			b.data[at] = kept;
		}
	/* One octet more. */
	buf_put(&b, "x", 1);
	fd = file_of(&b, b.len);
	assert_int_equal(spool_read_envelope(fd, &e), ERR_CORRUPT);
	assert_int_equal(spool_verify(fd), ERR_CORRUPT);
	close(fd);
	/* A later version of the format. */
	memcpy(b.data, "Postern-Spool: v=2; digest=sha512 ...", 30);
	fd = file_of(&b, b.len);
	assert_int_equal(spool_read_envelope(fd, &e), ERR_VERSION);
	close(fd);
	buf_free(&b);
}

/* Ten thousand recipients: longer than the first read. */
static void
test_many_recipients(void **state)
{
	struct envelope *e = calloc(1, sizeof(*e));
	struct ipc_envelope_sender s = { .t = 1 };
	struct ipc_recipient r = { .notify = DSN_NOTIFY_SUCCESS | DSN_NOTIFY_FAILURE | DSN_NOTIFY_DELAY };
	char text[FORMAT_FIRST_LINE + 1], address[64];
	struct spool_envelope got;
	struct buf b;
	int fd;

	(void)state;
	envelope_begin(e, &s);
	for (int i = 0; i < ENVELOPE_RECIPIENTS_MAX; i++) {
		snprintf(address, sizeof(address), "r%d@example.net", i);
		addr_parse(&r.address, address, strlen(address), false);
		memset(r.orcpt, 'x', 500);
		r.orcpt[500] = 0;
		envelope_add(e, &r);
	}
	assert_false(e->is_broken);
	buf_init(&b, FORMAT_ENVELOPE_MAX);
	format_put_first_line(text, 0, NULL, false);
	buf_put(&b, text, FORMAT_FIRST_LINE);
	format_put_start(&b, "0123456789abcdef", "x", NULL, 1, 1, 0);
	assert_int_equal(buf_put(&b, e->lines.data, e->lines.len), ERR_OK);
	format_put_end(&b);
	format_put_first_line(text, b.len, NULL, false);
	memcpy(b.data, text, FORMAT_FIRST_LINE);
	fd = file_of(&b, b.len);
	assert_int_equal(spool_read_envelope(fd, &got), ERR_OK);
	assert_int_equal(got.nrecipients, ENVELOPE_RECIPIENTS_MAX);
	assert_string_equal(got.recipients[9999].address, "r9999@example.net");
	assert_string_equal(got.recipients[9999].notify, "SUCCESS,FAILURE,DELAY");
	spool_envelope_free(&got);
	close(fd);
	buf_free(&b);
	envelope_add(e, &r);
	assert_true(e->is_broken);
	envelope_drop(e);
	free(e);
}

/* What a taken-over worker might have auth pass on. */
static void
test_broken_envelopes(void **state)
{
	static const char *const bad[] = { "a b", "a\r\nPostern-Recipient: <x@y.z>", "a\nb", "a\x7f", "\t", "\xff" };
	struct envelope e = { .is_pending = false };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct ipc_envelope_sender s = { .t = 1 };
		struct ipc_recipient r = { .notify = 0 };

		memcpy(s.sender.envid, bad[i], strlen(bad[i]) + 1);
		envelope_begin(&e, &s);
		check_row(i, e.is_broken);
		s.sender.envid[0] = 0;
		envelope_begin(&e, &s);
		check_row(i, !e.is_broken);
		addr_parse(&r.address, TEXT("a@b.c"), false);
		memcpy(r.orcpt, bad[i], strlen(bad[i]) + 1);
		envelope_add(&e, &r);
		check_row(i, e.is_broken && e.nrecipients == 0);
		envelope_drop(&e);
		check_row(i, !e.is_pending);
	}
}

static void
test_room(void **state)
{
	static const struct {
		uint64_t	blocks, bavail, files, favail, min_free;
		bool		low;
	} rows[] = {
		{ 1000000, 4096, 0, 0, 16 << 20, false },	/* 4 KiB blocks: exactly the floor; no number of inodes */
		{ 1000000, 4095, 0, 0, 16 << 20, true },
		{ 1000, 50, 0, 0, 16 << 20, false },		/* a small disk: a twentieth */
		{ 1000, 49, 0, 0, 16 << 20, true },
		{ 1000, 0, 0, 0, 0, false },
		{ 1000000, 1000000, 1000000, 100, 0, false },
		{ 1000000, 1000000, 1000000, 99, 0, true },
		{ 1000000, 1000000, 100, 5, 0, false },
		{ 1000000, 1000000, 100, 4, 0, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct statvfs v = { .f_frsize = 4096, .f_blocks = rows[i].blocks, .f_bavail = rows[i].bavail, .f_files = rows[i].files,
		    .f_favail = rows[i].favail };

		check_row(i, room_is_low(&v, rows[i].min_free) == rows[i].low);
	}
}

static void
test_outcomes(void **state)
{
	struct outcomes *o = calloc(1, sizeof(*o));

	(void)state;
	for (uint64_t s = 0; s < 1000; s++)
		for (uint32_t t = 0; t < 10; t++)
			assert_int_equal(outcome_note(o, s, t, t % 2 == 0, t % 2 == 0 ? "0123456789abcdef" : "", s), ERR_OK);
	assert_true(outcome_find(o, 7, 2)->stored);
	assert_false(outcome_find(o, 7, 3)->stored);
	assert_null(outcome_find(o, 7, 10));
	assert_null(outcome_find(o, 1000, 1));
	outcome_expire(o, 500 + OUTCOME_KEPT_MS);
	assert_null(outcome_find(o, 499, 0));
	assert_non_null(outcome_find(o, 500, 0));
	outcome_expire(o, 5000 + OUTCOME_KEPT_MS);
	assert_null(outcome_find(o, 999, 9));
	assert_null(o->oldest);
	assert_null(o->youngest);
	free(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_options), cmocka_unit_test(test_transaction),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_many_recipients),
		cmocka_unit_test(test_broken_envelopes),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_outcomes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
