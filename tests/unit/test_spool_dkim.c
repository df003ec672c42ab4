/*
 * spool's part of DKIM: the body's hash and the fields to be signed of message files, and the link to keys: questions that wait, are
 * asked again, given up or forgotten.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "deliver.h"
#include "dkim.h"
#include "err.h"
#include "io.h"
#include "keys_link.h"
#include "log.h"
#include "message_dkim.h"
#include "message_relay.h"
#include "spooler.h"
#include "unit.h"

static const char head[] = "From: a@Example.ORG\r\nSubject: x\r\n\r\n";

/* Writes a message behind some octets of an envelope, and reads it. */
static int
read_text(const char *text, size_t n, struct dkim_input *in)
{
	char path[] = "/tmp/postern-dkim-XXXXXX";
	EVP_MD *digest = EVP_MD_fetch(NULL, "SHA256", NULL);
	int fd = mkstemp(path), err;

	assert_true(fd >= 0);
	assert_non_null(digest);
	unlink(path);
	assert_int_equal(io_write_all(fd, "envelope\r\n", 10), ERR_OK);
	assert_int_equal(io_write_all(fd, text, n), ERR_OK);
	assert_int_equal(io_write_all(fd, "more", 4), ERR_OK);
	err = dkim_read(digest, fd, 10, n, in);
	close(fd);
	EVP_MD_free(digest);
	return err;
}

static void
bodies(void **state)
{
	static const struct {
		const char	*body, *relaxed;
	} rows[] = {
		{ " C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n" },	/* RFC 6376, 3.4.5 */
		{ "", "" },
		{ "\r\n", "" },
		{ "\r\n\r\n\r\n", "" },
		{ " \r\n\t\r\n", "" },
		{ "a", "a\r\n" },
		{ "a\r\n", "a\r\n" },
		{ "a \t", "a\r\n" },
		{ "a\r\n \r\n", "a\r\n" },
		{ "\r\na\r\n\r\nb\r\n", "\r\na\r\n\r\nb\r\n" },
		{ "  a  b\t\t\r\n", " a b\r\n" },
		{ "a\nb\rc\r\n", "a\r\nb\r\nc\r\n" },
		{ "\xc3\xa4 \xff\r\n", "\xc3\xa4 \xff\r\n" },
		{ "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n",
		    "Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint8_t wanted[SHA256_DIGEST_LENGTH];
		struct dkim_input in;
		char text[512];

		snprintf(text, sizeof(text), "%s%s", head, rows[i].body);
		check_row(i, read_text(text, strlen(text), &in) == ERR_OK);
		SHA256((const uint8_t *)rows[i].relaxed, strlen(rows[i].relaxed), wanted);
		check_row(i, memcmp(wanted, in.body_hash, sizeof(wanted)) == 0);
		check_row(i, strcmp(in.domain, "example.org") == 0);
		check_row(i, in.fields.len == sizeof(head) - 3 && memcmp(in.fields.data, head, in.fields.len) == 0);
		dkim_free(&in);
	}
}

/* A body over many chunks, with runs of blanks and line ends at every place of their edges. */
static void
long_bodies(void **state)
{
	const size_t n = 300000;
	char *text = malloc(n), *relaxed = malloc(n + 2);
	uint8_t wanted[SHA256_DIGEST_LENGTH];
	struct dkim_input in;

	(void)state;
	assert_true(text != NULL && relaxed != NULL);
	for (size_t shift = 0; shift < 4; shift++) {
		size_t at = sizeof(head) - 1, len = 0;

		memcpy(text, head, at);
		for (; at + 10 < n; at += 7) {
			size_t fill = at == sizeof(head) - 1 ? shift : 0;

			memset(text + at, 'y', fill);
			at += fill;
			memcpy(text + at, "x \t  \r\n", 7);
			memset(relaxed + len, 'y', fill);
			memcpy(relaxed + len + fill, "x\r\n", 3);
			len += fill + 3;
		}
		SHA256((const uint8_t *)relaxed, len, wanted);
		assert_int_equal(read_text(text, at, &in), ERR_OK);
		assert_memory_equal(wanted, in.body_hash, sizeof(wanted));
		dkim_free(&in);
	}
	free(text);
	free(relaxed);
}

static void
headers(void **state)
{
	static const struct {
		const char	*text, *domain, *fields;
		int		 err;
	} rows[] = {
		{ "Received: x\r\n\ty\r\nFrom: a@b.example\r\nX-Y: z\r\nto: c\r\n d\r\nTo: e\r\n\r\n", "b.example",
		    "From: a@b.example\r\nto: c\r\n d\r\nTo: e\r\n", ERR_OK },
		{ "From: a@b.example\r\n", "b.example", "From: a@b.example\r\n", ERR_OK },	/* no blank line, no body */
		{ "From : A <a@B.example>, c@d.example\r\n\r\nTo: body\r\n", "b.example", "From : A <a@B.example>, c@d.example\r\n",
		    ERR_OK },
		{ "DKIM-Signature: v=1\r\nFrom: a@b.example\r\n\r\n", "b.example", "From: a@b.example\r\n", ERR_OK },
		{ "To: a@b.example\r\n\r\n", NULL, NULL, ERR_SYNTAX },
		{ "From: nobody\r\n\r\n", NULL, NULL, ERR_SYNTAX },
		{ "From: a@b.example\r\nFrom: a@b.example\r\n\r\n", NULL, NULL, ERR_SYNTAX },
		{ "no field\r\nFrom: a@b.example\r\n\r\n", NULL, NULL, ERR_SYNTAX },
		{ "\r\nFrom: a@b.example\r\n", NULL, NULL, ERR_SYNTAX },
		{ "", NULL, NULL, ERR_SYNTAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dkim_input in;

		check_row(i, read_text(rows[i].text, strlen(rows[i].text), &in) == rows[i].err);
		if (rows[i].err == ERR_OK) {
			check_row(i, strcmp(in.domain, rows[i].domain) == 0);
			check_row(i, in.fields.len == strlen(rows[i].fields));
			check_row(i, memcmp(in.fields.data, rows[i].fields, in.fields.len) == 0);
		} else {
			check_row(i, dkim_why(rows[i].err)[0] != 0);
		}
		dkim_free(&in);
	}
}

static void
put_many(struct buf *b, const char *line, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf_put_str(b, line), ERR_OK);
}

/* Too much to be signed: the longest kind is left out whole, never a part of it, and From never. */
static void
long_headers(void **state)
{
	struct dkim_input in;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	put_many(&b, "From: a@b.example\r\nSubject: s\r\n", 1);
	put_many(&b, "To: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n", 1000);
	put_many(&b, "Cc: y\r\n\r\nbody\r\n", 1);
	assert_int_equal(read_text((char *)b.data, b.len, &in), ERR_OK);
	assert_int_equal(buf_put_nul(&in.fields), ERR_OK);
	assert_string_equal((char *)in.fields.data, "From: a@b.example\r\nSubject: s\r\nCc: y\r\n");
	dkim_free(&in);
	buf_reset(&b);
	put_many(&b, "From: a@b.example", 1);
	put_many(&b, ",\r\n a@b.example", 5000);
	put_many(&b, "\r\n\r\n", 1);
	assert_int_equal(read_text((char *)b.data, b.len, &in), ERR_SYNTAX);	/* more addresses than are read */
	dkim_free(&in);
	buf_reset(&b);
	put_many(&b, "From: a@b.example (", 1);
	put_many(&b, "\r\n 0123456789012345678901234567890123456789", 2000);
	put_many(&b, ")\r\n\r\n", 1);
	assert_int_equal(read_text((char *)b.data, b.len, &in), ERR_TOOBIG);
	dkim_free(&in);
	buf_reset(&b);
	/* A header of the largest kind that is accepted. */
	put_many(&b, "From: a@b.example\r\n", 1);
	put_many(&b, "X: 0123456789012345678901234567890123456789012345678901234567\r\n", 4000);
	put_many(&b, "\r\n", 1);
	assert_int_equal(read_text((char *)b.data, b.len, &in), ERR_OK);
	assert_int_equal(in.fields.len, 19);
	dkim_free(&in);
	buf_free(&b);
}

/* The loop's end of the link, and what came of the questions. */
static struct spooler spooler;
static struct {
	uint64_t	number;
	size_t		len;
	char		text[64];	/* the fields or the reason */
} told[16];
static size_t ntold;

void
deliver_signed(struct spooler *sp, uint64_t number, const uint8_t *fields, size_t len, const char *why)
{
	assert_ptr_equal(sp, &spooler);
	assert_true(ntold < COUNT(told));
	assert_true((len == 0) == (why != NULL));
	told[ntold].number = number;
	told[ntold].len = len;
	snprintf(told[ntold++].text, sizeof(told[0].text), "%.*s", (int)(len != 0 ? len : strlen(why)), len != 0 ? (const char *)fields : why);
}

static uint8_t data[IPC_DATAGRAM_MAX];

static int
open_spooler(void **state)
{
	(void)state;
	memset(&spooler, 0, sizeof(spooler));
	ntold = 0;
	keys_link_init(&spooler);
	return loop_open(&spooler.loop);
}

static int
close_spooler(void **state)
{
	(void)state;
	io_close(&spooler.loop.epoll_fd);
	for (size_t i = 0; i < spooler.keys_link.n; i++)
		free(spooler.keys_link.domains[i]);
	free(spooler.keys_link.domains);
	return 0;
}

/* The keys' end of a new link. */
static int
link_keys(void)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), ERR_OK);
	keys_link_replace(&spooler, fds[1]);
	return fds[0];
}

static void
turn(void)
{
	assert_int_equal(loop_run_once(&spooler.loop, 50), ERR_OK);
}

static void
tell_domains(int fd, const char *domain, bool is_last)
{
	struct ipc_dkim_keys m = { .is_last = is_last, .n = domain != NULL };
	struct wire_out w;

	if (domain != NULL)
		snprintf(m.domains[0], sizeof(m.domains[0]), "%s", domain);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_dkim_keys(&w, &m);
	assert_int_equal(ipc_send(fd, &w, NULL, 0, false), ERR_OK);
}

static void
send_answer(int fd, uint64_t number, enum dkim_verdict verdict)
{
	struct ipc_dkim_sign_answer m = { .number = number, .verdict = verdict, .fields = (const uint8_t *)"DKIM-Signature: x\r\n" };
	struct wire_out w;

	m.fields_len = verdict == DKIM_SIGNED ? 19 : 0;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_dkim_sign_answer(&w, &m);
	assert_int_equal(ipc_send(fd, &w, NULL, 0, false), ERR_OK);
}

/* The number of the next question that keys gets, 0: none. */
static uint64_t
get_question(int fd)
{
	struct ipc_dkim_sign m;
	struct ipc_message got;

	if (ipc_recv(fd, IPC_KEYS_FROM_SPOOL, data, sizeof(data), false, &got) != ERR_OK)
		return 0;
	assert_int_equal(ipc_get_dkim_sign(&got.body, &m), ERR_OK);
	assert_string_equal(m.domain, "b.example");
	assert_int_equal(m.fields_len, 19);
	assert_memory_equal(m.fields, "From: a@b.example\r\n", 19);
	return m.number;
}

static void
ask(uint64_t number)
{
	struct dkim_input in;

	assert_int_equal(read_text("From: a@b.example\r\n\r\nx\r\n", 24, &in), ERR_OK);
	assert_int_equal(keys_link_sign(&spooler, number, &in), ERR_OK);
	dkim_free(&in);
}

static void
whose_mail_is_signed(void **state)
{
	int fd;

	(void)state;
	assert_false(keys_link_is_on(&spooler));
	assert_false(keys_link_has(&spooler, "b.example"));
	fd = link_keys();
	/* Not known yet: better ask. */
	assert_true(keys_link_is_on(&spooler));
	assert_true(keys_link_has(&spooler, "b.example"));
	tell_domains(fd, "c.example", false);
	tell_domains(fd, "b.example", true);
	turn();
	assert_true(keys_link_has(&spooler, "b.example"));
	assert_true(keys_link_has(&spooler, "c.example"));
	assert_false(keys_link_has(&spooler, "example"));
	/* Keys goes: what was known stays known. */
	io_close(&fd);
	turn();
	assert_true(keys_link_has(&spooler, "b.example"));
	assert_false(keys_link_has(&spooler, "d.example"));
	fd = link_keys();
	tell_domains(fd, NULL, true);
	turn();
	assert_false(keys_link_is_on(&spooler));
	assert_false(keys_link_has(&spooler, "b.example"));
	io_close(&fd);
	turn();
	assert_false(keys_link_is_on(&spooler));
}

static void
answers(void **state)
{
	int fd = link_keys();

	(void)state;
	tell_domains(fd, "b.example", true);
	turn();
	for (uint64_t i = 1; i <= 4; i++)
		ask(i);
	for (uint64_t i = 1; i <= 4; i++)
		assert_int_equal(get_question(fd), i);
	assert_int_equal(get_question(fd), 0);
	send_answer(fd, 3, DKIM_NO_KEY);
	send_answer(fd, 1, DKIM_SIGNED);
	send_answer(fd, 4, DKIM_REFUSED);
	send_answer(fd, 9, DKIM_SIGNED);	/* nobody asked */
	send_answer(fd, 2, DKIM_FAILED);
	turn();
	assert_int_equal(ntold, 4);
	assert_true(told[0].number == 3 && told[0].len == 0);
	assert_string_equal(told[0].text, "the domain has no active key");
	assert_true(told[1].number == 1 && told[1].len == 19);
	assert_string_equal(told[1].text, "DKIM-Signature: x\r\n");
	assert_true(told[2].number == 4 && told[2].len == 0);
	assert_true(told[3].number == 2 && told[3].len == 0);
	io_close(&fd);
	turn();
}

/* Keys dies with a question, and is there again: it is asked again, once, in its order. */
static void
asked_again(void **state)
{
	int fd = link_keys();

	(void)state;
	ask(1);
	ask(2);
	assert_int_equal(get_question(fd), 1);
	io_close(&fd);
	turn();
	ask(3);
	keys_link_forget(&spooler, 2);
	assert_int_equal(ntold, 0);
	fd = link_keys();
	assert_int_equal(get_question(fd), 1);
	assert_int_equal(get_question(fd), 3);
	assert_int_equal(get_question(fd), 0);
	send_answer(fd, 1, DKIM_SIGNED);
	send_answer(fd, 3, DKIM_SIGNED);
	turn();
	assert_int_equal(ntold, 2);
	io_close(&fd);
	turn();
}

static void
given_up(void **state)
{
	uint64_t now = io_now_ms();
	int fd = link_keys();

	(void)state;
	ask(1);
	keys_link_tick(&spooler, now + 20000);
	assert_int_equal(ntold, 0);
	keys_link_tick(&spooler, now + KEYS_LINK_PATIENCE_MS + 10000);
	assert_int_equal(ntold, 1);
	assert_string_equal(told[0].text, "the key service does not answer");
	/* Its late answer is of no use. */
	send_answer(fd, 1, DKIM_SIGNED);
	turn();
	assert_int_equal(ntold, 1);
	io_close(&fd);
	turn();
}

/* More questions than the socket holds go out as keys reads. */
static void
nobody_reads(void **state)
{
	int fd = link_keys();
	uint64_t got, next = 1;

	(void)state;
	for (uint64_t i = 1; i <= 2000; i++)
		ask(i);
	for (size_t idle = 0; idle < 3;) {
		if ((got = get_question(fd)) == 0) {
			idle++;
			turn();
			continue;
		}
		idle = 0;
		assert_int_equal(got, next++);
	}
	assert_int_equal(next, 2001);
	for (uint64_t i = 1; i <= 2000; i++)
		keys_link_forget(&spooler, i);
	io_close(&fd);
	turn();
	assert_int_equal(ntold, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies),
		cmocka_unit_test(long_bodies),
		cmocka_unit_test(headers),
		cmocka_unit_test(long_headers),
		cmocka_unit_test_setup_teardown(whose_mail_is_signed, open_spooler, close_spooler),
		cmocka_unit_test_setup_teardown(answers, open_spooler, close_spooler),
		cmocka_unit_test_setup_teardown(asked_again, open_spooler, close_spooler),
		cmocka_unit_test_setup_teardown(given_up, open_spooler, close_spooler),
		cmocka_unit_test_setup_teardown(nobody_reads, open_spooler, close_spooler),
	};

	log_open("test", LOG_LEVEL_ALARM);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
