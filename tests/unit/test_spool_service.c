/*
 * postern-spool as a process: what is stored, every verdict on a message, folders that can't be written, a new configuration.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "spool_fixture.h"
#include "unit.h"

static const char plain[] = "From: alice@example.org\r\nTo: bob@example.net\r\nBcc: carol@example.net\r\nSubject: hello\r\n\r\nhello\r\n";

static int
setup(void **state)
{
	static struct fixture f;

	alarm(150);
	fixture_open(&f, NULL);
	if (!fixture_start(&f)) {
		print_error("%s\n", f.failed);
		return -1;
	}
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	if (f->pid > 0)
		assert_int_equal(fixture_stop(f), 0);
	if (fixture_log_has(f, "sandbox: unknown system call"))
		return -1;
	fixture_close(f);
	return 0;
}

static void
test_store(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_grant(f, 0x1234);
	struct spool_envelope e;
	char id[IPC_TEXT_MAX], later[IPC_TEXT_MAX], received[512], *text;

	fixture_envelope(f, 0x1234, 3);
	fixture_recipient(f, 0x1234, 3, "dave@example.net");
	assert_int_equal(worker_submit(fd, 3, plain, sizeof(plain) - 1, id), COMMIT_STORED);
	text = fixture_message(f, id, &e);
	assert_non_null(text);
	assert_string_equal(e.account, "alice@example.org");
	assert_int_equal(e.session, 0x1234);
	assert_int_equal(e.transaction, 3);
	assert_string_equal(e.sender, "alice@example.org");
	assert_int_equal(e.nrecipients, 2);
	assert_string_equal(e.recipients[0].address, "bob@example.net");
	assert_string_equal(e.recipients[0].notify, "NEVER");
	assert_string_equal(e.recipients[0].orcpt, "rfc822;bob@example.net");
	assert_string_equal(e.recipients[1].address, "dave@example.net");
	snprintf(received, sizeof(received), "Received: from unknown (authenticated)\r\n\tby mail.example.org (Postern) with "
	    "ESMTPSA id %s;\r\n\t", id);
	assert_memory_equal(text, received, strlen(received));
	assert_null(strstr(text, "carol"));
	assert_non_null(strstr(text, "Subject: hello\r\nDate: "));
	assert_non_null(strstr(text, "\r\n\r\nhello\r\n"));
	free(text);
	spool_envelope_free(&e);

	fixture_envelope(f, 0x1234, 4);
	assert_int_equal(worker_submit(fd, 4, "", 0, later), COMMIT_STORED);
	assert_true(strcmp(id, later) < 0);
	free(fixture_message(f, later, &e));
	spool_envelope_free(&e);
	assert_int_equal(fixture_count(f, SPOOL_NEW), 2);
	assert_int_equal(fixture_count(f, SPOOL_TMP), 0);
	assert_true(fixture_log_has(f, "message.stored"));
	close(fd);
}

/* A message over the buffer goes to the disk in pieces. */
static void
test_large(void **state)
{
	struct fixture *f = *state;
	const size_t n = 5 << 20;
	char *text = malloc(n), *stored, id[IPC_TEXT_MAX];
	int fd = fixture_grant(f, 9);
	struct spool_envelope e;

	for (size_t i = 0; i < n; i++)
		text[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : (char)('a' + i % 26);
	fixture_sender(f, 9, 1, "alice@example.org", n, false);
	fixture_recipient(f, 9, 1, "bob@example.net");
	assert_int_equal(worker_submit(fd, 1, text, n, id), COMMIT_STORED);
	stored = fixture_message(f, id, &e);
	assert_memory_equal(stored + e.message_size - n, text, n);
	spool_envelope_free(&e);
	free(stored);

	/* One octet over its limit, and one that is bad near its end, when much is on the disk. */
	fixture_sender(f, 9, 2, "alice@example.org", n - 1, false);
	fixture_recipient(f, 9, 2, "bob@example.net");
	assert_int_equal(worker_submit(fd, 2, text, n, id), COMMIT_TOO_BIG);
	text[n - 5] = 0;
	fixture_sender(f, 9, 3, "alice@example.org", n, false);
	fixture_recipient(f, 9, 3, "bob@example.net");
	assert_int_equal(worker_submit(fd, 3, text, n, id), COMMIT_BAD_OCTETS);
	assert_int_equal(fixture_count(f, SPOOL_TMP), 0);

	/* Dropped by the worker, politely and not. */
	fixture_sender(f, 9, 4, "alice@example.org", n, false);
	fixture_recipient(f, 9, 4, "bob@example.net");
	worker_send_transaction(fd, IPC_OPEN, 4);
	for (size_t i = 0; i < 20; i++)
		worker_send_data(fd, text, 64000);
	worker_send_transaction(fd, IPC_ABORT, 0);
	fixture_envelope(f, 9, 5);
	assert_int_equal(worker_submit(fd, 5, plain, sizeof(plain) - 1, id), COMMIT_STORED);
	fixture_sender(f, 9, 6, "alice@example.org", n, false);
	fixture_recipient(f, 9, 6, "bob@example.net");
	worker_send_transaction(fd, IPC_OPEN, 6);
	for (size_t i = 0; i < 20; i++)
		worker_send_data(fd, text, 64000);
	close(fd);
	fd = fixture_grant(f, 10);
	fixture_envelope(f, 10, 1);
	assert_int_equal(worker_submit(fd, 1, plain, sizeof(plain) - 1, id), COMMIT_STORED);
	for (int i = 0; i < 100 && fixture_count(f, SPOOL_TMP) != 0; i++)
		usleep(20000);
	assert_int_equal(fixture_count(f, SPOOL_TMP), 0);
	assert_int_equal(fixture_count(f, SPOOL_NEW), 3);
	close(fd);
	free(text);
}

static void
test_verdicts(void **state)
{
	static const struct {
		const char		*text;
		size_t			 len;
		uint64_t		 limit;
		bool			 has_recipient;
		enum commit_verdict	 verdict;
	} rows[] = {
		{ TEXT("a: b\r\n\r\nc\r\n"), 11, true, COMMIT_STORED },
		{ TEXT("a: b\r\n\r\nc\r\n"), 10, true, COMMIT_TOO_BIG },
		{ TEXT("a: b\r\n\r\nc\r\n"), 11, false, COMMIT_NO_RECIPIENTS },
		{ TEXT("a: b\r\n\r\nc\nd\r\n"), 100, true, COMMIT_BAD_OCTETS },
		{ TEXT("a: b\r\n\r\nc\rd\r\n"), 100, true, COMMIT_BAD_OCTETS },
		{ TEXT("a: b\r\n\r\nc\r\n\r"), 100, true, COMMIT_BAD_OCTETS },
		{ TEXT("a: b\r\n\r\nc\0d\r\n"), 100, true, COMMIT_BAD_OCTETS },
		{ TEXT("a\n: b\r\n\r\nc\r\n"), 100, true, COMMIT_BAD_OCTETS },
		{ TEXT("From: a@b.c\r\nFROM: a@b.c\r\n\r\nc\r\n"), 100, true, COMMIT_TWO_FROM },
		{ TEXT("no header at all\r\n"), 100, true, COMMIT_STORED },
	};
	struct fixture *f = *state;
	int fd = fixture_grant(f, 77);
	char id[IPC_TEXT_MAX];
	size_t stored = 0;

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint32_t t = (uint32_t)i + 1;

		fixture_sender(f, 77, t, "", rows[i].limit, false);
		if (rows[i].has_recipient)
			fixture_recipient(f, 77, t, "bob@example.net");
		check_row(i, worker_submit(fd, t, rows[i].text, rows[i].len, id) == rows[i].verdict);
		check_row(i, (id[0] != 0) == (rows[i].verdict == COMMIT_STORED));
		stored += id[0] != 0;
	}
	assert_int_equal(fixture_count(f, SPOOL_NEW), stored);
	assert_int_equal(fixture_count(f, SPOOL_TMP), 0);
	/* No envelope: an error, and the session goes on. */
	assert_int_equal(worker_submit(fd, 99, plain, sizeof(plain) - 1, id), COMMIT_ERROR);
	fixture_envelope(f, 77, 100);
	assert_int_equal(worker_submit(fd, 100, plain, sizeof(plain) - 1, id), COMMIT_STORED);
	close(fd);
}

/* A folder that can't be written: an error each, and nothing left; then it goes on. */
static void
test_unwritable(void **state)
{
	static const char *const folders[] = { "tmp", "new" };
	struct fixture *f = *state;
	int fd = fixture_grant(f, 5);
	char id[IPC_TEXT_MAX], path[PATH_MAX];
	uint32_t t = 0;

	for (size_t i = 0; i < COUNT(folders); i++) {
		snprintf(path, sizeof(path), "%.200s/%s", f->spool, folders[i]);
		assert_int_equal(chmod(path, 0500), 0);
		fixture_envelope(f, 5, ++t);
		check_row(i, worker_submit(fd, t, plain, sizeof(plain) - 1, id) == COMMIT_ERROR);
		assert_int_equal(chmod(path, 0700), 0);
		check_row(i, fixture_count(f, SPOOL_TMP) == 0 && fixture_count(f, SPOOL_NEW) == i);
		fixture_envelope(f, 5, ++t);
		check_row(i, worker_submit(fd, t, plain, sizeof(plain) - 1, id) == COMMIT_STORED);
	}
	close(fd);
}

/* A new configuration is for new messages; a bad one changes nothing. */
static void
test_reload(void **state)
{
	static const struct {
		const char	*text, *host;
	} rows[] = { { "hostname = new.example.org\n", "by new.example.org (Postern)" }, { "nonsense = 1\n", "by new.example.org" } };
	struct fixture *f = *state;
	int fd = fixture_grant(f, 5);
	char id[IPC_TEXT_MAX], *text;
	struct spool_envelope e;

	for (size_t i = 0; i < COUNT(rows); i++) {
		int conf = memfd_create("conf", 0);
		uint8_t data[16];
		struct wire_out w;

		assert_int_equal(write(conf, rows[i].text, strlen(rows[i].text)), strlen(rows[i].text));
		wire_out_init(&w, data, sizeof(data));
		ipc_put_empty(&w, IPC_RELOAD);
		assert_int_equal(ipc_send(f->control, &w, &conf, 1, true), ERR_OK);
		close(conf);
		usleep(200000);
		fixture_envelope(f, 5, (uint32_t)i + 1);
		assert_int_equal(worker_submit(fd, (uint32_t)i + 1, plain, sizeof(plain) - 1, id), COMMIT_STORED);
		text = fixture_message(f, id, &e);
		check_row(i, strstr(text, rows[i].host) != NULL);
		free(text);
		spool_envelope_free(&e);
	}
	assert_true(fixture_log_has(f, "reload.failed"));
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_store, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_verdicts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unwritable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
