/*
 * postern-spool and its peers, auth and the workers: what auth is asked, every way in which a worker can be wrong, and what becomes
 * of a commit whose worker or link goes away.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "message_dkim.h"
#include "spool_fixture.h"
#include "unit.h"

static const char plain[] = "From: alice@example.org\r\nTo: bob@example.net\r\nSubject: hello\r\n\r\nhello\r\n";

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

/* Waits until a worker's socket has ended. */
static bool
is_closed(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char octet;

	return poll(&p, 1, 5000) == 1 && recv(fd, &octet, 1, MSG_DONTWAIT) <= 0;
}

/* What auth is asked about the header From; returns its message number. */
static void
answer_from(struct fixture *f, const char *first, size_t n, bool allowed)
{
	uint8_t data[IPC_SMALL_MAX];
	struct ipc_from_answer a = { .verdict = allowed ? HEADER_ALLOWED : HEADER_NOT_ALLOWED };
	static struct ipc_from from;
	struct ipc_message m;
	struct wire_out w;

	do
		fixture_recv(f, data, sizeof(data), &m);
	while (m.kind == IPC_REFUSED);
	assert_int_equal(m.kind, IPC_FROM);
	assert_int_equal(ipc_get_from(&m.body, &from), ERR_OK);
	assert_int_equal(from.n, n);
	if (n != 0)
		assert_string_equal(from.addresses[0].text, first);
	a.session = from.session;
	a.t = from.t;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_from_answer(&w, &a);
	assert_int_equal(ipc_send(f->link, &w, NULL, 0, true), ERR_OK);
}

static void
begin_checked(struct fixture *f, int fd, uint64_t session, uint32_t t, const char *text)
{
	fixture_sender(f, session, t, "alice@example.org", 1 << 20, true);
	fixture_recipient(f, session, t, "bob@example.net");
	worker_send_transaction(fd, IPC_OPEN, t);
	worker_send_data(fd, text, strlen(text));
	worker_send_commit(fd, t, strlen(text));
}

static void
test_from(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_grant(f, 5);
	struct ipc_commit_answer a;
	struct spool_envelope e;
	char *text;

	begin_checked(f, fd, 5, 1, "From: \"A, B\" <alice@example.org>, bob@example.org\r\n\r\nx\r\n");
	answer_from(f, "alice@example.org", 2, true);
	assert_int_equal(worker_get_commit(fd, &a), ERR_OK);
	assert_int_equal(a.verdict, COMMIT_STORED);
	begin_checked(f, fd, 5, 2, "From: ceo@example.org\r\n\r\nx\r\n");
	answer_from(f, "ceo@example.org", 1, false);
	assert_int_equal(worker_get_commit(fd, &a), ERR_OK);
	assert_int_equal(a.verdict, COMMIT_SENDER_NOT_ALLOWED);
	begin_checked(f, fd, 5, 3, "From: nobody\r\n\r\nx\r\n");
	assert_int_equal(worker_get_commit(fd, &a), ERR_OK);
	assert_int_equal(a.verdict, COMMIT_BAD_FROM);
	/* None: only the login is asked about, and the sender stands in for it. */
	begin_checked(f, fd, 5, 4, "Subject: x\r\n\r\nx\r\n");
	answer_from(f, "", 0, true);
	assert_int_equal(worker_get_commit(fd, &a), ERR_OK);
	assert_int_equal(a.verdict, COMMIT_STORED);
	text = fixture_message(f, a.id, &e);
	assert_non_null(strstr(text, "\r\nFrom: <alice@example.org>\r\n"));
	free(text);
	spool_envelope_free(&e);
	assert_int_equal(fixture_count(f, SPOOL_NEW), 2);
	/* The link is lost before the answer. */
	begin_checked(f, fd, 5, 5, "From: alice@example.org\r\n\r\nx\r\n");
	fixture_link(f);
	assert_int_equal(worker_get_commit(fd, &a), ERR_OK);
	assert_int_equal(a.verdict, COMMIT_ERROR);
	/* And it goes on. */
	begin_checked(f, fd, 5, 6, "From: alice@example.org\r\n\r\nx\r\n");
	answer_from(f, "alice@example.org", 1, true);
	assert_int_equal(worker_get_commit(fd, &a), ERR_OK);
	assert_int_equal(a.verdict, COMMIT_STORED);
	close(fd);
}

/* postern-keys, which has a key. */
static int
link_keys(struct fixture *f)
{
	static struct ipc_dkim_keys keys = { .is_last = true, .n = 1, .domains = { "example.org" } };
	static uint8_t data[IPC_SMALL_MAX];
	struct wire_out w;
	int pair[2];

	assert_int_equal(ipc_pair(pair), ERR_OK);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_dkim_keys(&w, &keys);
	assert_int_equal(ipc_send(pair[0], &w, NULL, 0, true), ERR_OK);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_link(&w, LINK_KEYS);
	assert_int_equal(ipc_send(f->control, &w, &pair[1], 1, true), ERR_OK);
	close(pair[1]);
	return pair[0];
}

static bool
is_judged(const struct fixture *f, const char *id)
{
	struct spool_envelope e;
	bool is_from_judged;

	free(fixture_message(f, id, &e));
	is_from_judged = e.is_from_judged;
	spool_envelope_free(&e);
	return is_from_judged;
}

/* Whether the From field may be signed for stands in the file, also where nobody is refused for it. */
static void
test_judged(void **state)
{
	static const struct {
		const char	*text;
		bool		 check_header;
		int		 n;		/* addresses that auth is asked about, -1: it is not asked */
		bool		 allowed;
		bool		 judged;
	} rows[] = {
		{ "From: alice@example.org\r\n\r\nx\r\n", true, 1, true, true },
		{ "From: alice@example.org\r\n\r\nx\r\n", false, 1, true, true },
		{ "From: alice@example.org, ceo@example.org\r\n\r\nx\r\n", false, 2, false, false },
		{ "From: nobody\r\n\r\nx\r\n", false, 0, true, false },
		{ "Subject: the sender stands in\r\n\r\nx\r\n", false, 0, true, true },
	};
	struct fixture *f = *state;
	int fd = fixture_grant(f, 5), keys;
	struct ipc_commit_answer a;
	uint32_t t = 100;

	/* Without a key nobody needs to know. */
	fixture_envelope(f, 5, t);
	assert_int_equal(worker_submit(fd, t, rows[0].text, strlen(rows[0].text), a.id), COMMIT_STORED);
	assert_false(is_judged(f, a.id));
	keys = link_keys(f);
	usleep(100000);
	for (size_t i = 0; i < COUNT(rows); i++) {
		fixture_sender(f, 5, ++t, "alice@example.org", 1 << 20, rows[i].check_header);
		fixture_recipient(f, 5, t, "bob@example.net");
		worker_send_transaction(fd, IPC_OPEN, t);
		worker_send_data(fd, rows[i].text, strlen(rows[i].text));
		worker_send_commit(fd, t, strlen(rows[i].text));
		answer_from(f, "alice@example.org", (size_t)rows[i].n, rows[i].allowed);
		assert_int_equal(worker_get_commit(fd, &a), ERR_OK);
		check_row(i, a.verdict == COMMIT_STORED);
		check_row(i, is_judged(f, a.id) == rows[i].judged);
	}
	/* No answer, and nobody to refuse for that. */
	fixture_sender(f, 5, ++t, "alice@example.org", 1 << 20, false);
	fixture_recipient(f, 5, t, "bob@example.net");
	worker_send_transaction(fd, IPC_OPEN, t);
	worker_send_data(fd, rows[0].text, strlen(rows[0].text));
	worker_send_commit(fd, t, strlen(rows[0].text));
	usleep(100000);
	fixture_link(f);
	assert_int_equal(worker_get_commit(fd, &a), ERR_OK);
	assert_int_equal(a.verdict, COMMIT_STORED);
	assert_false(is_judged(f, a.id));
	close(keys);
	close(fd);
}

/* The link to auth is full of questions, and messages that still wait to ask get a fault: they ask nothing more. */
static void
test_fault_while_unsent(void **state)
{
	static int fds[300];
	static uint8_t data[IPC_SMALL_MAX];
	struct fixture *f = *state;
	char text[4096], id[IPC_TEXT_MAX];
	struct ipc_message m;
	size_t len = 0, asked = 0;

	for (int i = 0; i < 16; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%060d@%055d.%055d.org", i == 0 ? "From: " : ",\r\n ", i, i, i);
	snprintf(text + len, sizeof(text) - len, "\r\n\r\nx\r\n");
	for (size_t i = 0; i < COUNT(fds); i++) {
		fds[i] = fixture_grant(f, 3000 + i);
		fixture_sender(f, 3000 + i, 1, "alice@example.org", 1 << 20, true);
		fixture_recipient(f, 3000 + i, 1, "bob@example.net");
		worker_send_transaction(fds[i], IPC_OPEN, 1);
		worker_send_data(fds[i], text, strlen(text));
	}
	usleep(300000);
	for (size_t i = 0; i < COUNT(fds); i++)
		worker_send_data(fds[i], "", 1);	/* its NUL */
	usleep(300000);
	for (int quiet = 0; quiet < 5; usleep(40000), quiet++)
		while (ipc_recv(f->link, IPC_AUTH_FROM_SPOOL, data, sizeof(data), false, &m) == ERR_OK)
			asked += m.kind == IPC_FROM;
	/* The case is only one if some had to wait. */
	assert_in_range(asked, 1, COUNT(fds) - 1);
	for (size_t i = 0; i < COUNT(fds); i++)
		close(fds[i]);
	fds[0] = fixture_grant(f, 5);
	fixture_envelope(f, 5, 1);
	assert_int_equal(worker_submit(fds[0], 1, plain, sizeof(plain) - 1, id), COMMIT_STORED);
	close(fds[0]);
}

/* Frames that a worker must not send: its session ends, and no other. */
static void
test_garbage(void **state)
{
	static const struct {
		bool		opened;
		const char	*frame;
		size_t		len;
	} rows[] = {
		{ false, TEXT("\0\x50") },			/* OPEN without its number */
		{ false, TEXT("\0\x50\0\0\0\1x") },		/* and with more */
		{ false, TEXT("\0\x52" "data") },		/* DATA before OPEN */
		{ false, TEXT("\0\x54\0\0\0\1\0\0\0\0\0\0\0\0") },	/* COMMIT before OPEN */
		{ false, TEXT("\0\x56") },			/* ABORT before OPEN */
		{ false, TEXT("\0\x40\0\0\0\0\0\0\0\1") },	/* a kind of another channel */
		{ false, TEXT("\xff\xff") },
		{ false, TEXT("x") },
		{ true, TEXT("\0\x50\0\0\0\1") },		/* OPEN twice */
		{ true, TEXT("\0\x52") },			/* DATA without data */
		{ true, TEXT("\0\x54\0\0\0\1\0\0\0\0\0\0\0\1") },	/* COMMIT of another size */
		{ true, TEXT("\0\x54\0\0\0\2\0\0\0\0\0\0\0\0") },	/* and of another transaction */
		{ true, TEXT("\0\x54\0\0\0\1\0\0\0\0\0\0\0") },
		{ true, TEXT("\0\x56x") },
		{ true, TEXT("\0\x58\0\0\0\1") },		/* OUTCOME while open */
	};
	struct fixture *f = *state;
	int good = fixture_grant(f, 1000);
	char id[IPC_TEXT_MAX];

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t session = 2000 + i;
		int fd = fixture_grant(f, session);

		fixture_envelope(f, session, 1);
		if (rows[i].opened)
			worker_send_transaction(fd, IPC_OPEN, 1);
		worker_send_raw(fd, rows[i].frame, rows[i].len);
		check_row(i, is_closed(fd));
		close(fd);
		fixture_envelope(f, 1000, (uint32_t)i + 1);
		check_row(i, worker_submit(good, (uint32_t)i + 1, plain, sizeof(plain) - 1, id) == COMMIT_STORED);
	}
	assert_int_equal(fixture_count(f, SPOOL_NEW), COUNT(rows));
	assert_int_equal(fixture_count(f, SPOOL_TMP), 0);
	assert_true(fixture_log_has(f, "worker.bad_frame"));
	/* Nonsense from auth is only logged. */
	assert_int_equal(worker_send_raw(f->link, "\0\x42xyz", 5), ERR_OK);
	assert_int_equal(worker_send_raw(f->link, "\0\x50\0\0\0\1", 6), ERR_OK);
	fixture_envelope(f, 1000, 50);
	assert_int_equal(worker_submit(good, 50, plain, sizeof(plain) - 1, id), COMMIT_STORED);
	close(good);
}

/* What a worker that lost its socket is told on a new one. */
static void
test_outcome(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_grant(f, 5), again;
	struct ipc_outcome_answer o;
	struct ipc_commit_answer a;
	char id[IPC_TEXT_MAX];

	fixture_envelope(f, 5, 1);
	assert_int_equal(worker_submit(fd, 1, plain, sizeof(plain) - 1, id), COMMIT_STORED);
	/* A commit that waits for auth while its worker comes back on a new socket. */
	begin_checked(f, fd, 5, 2, "From: alice@example.org\r\n\r\nx\r\n");
	usleep(100000);
	again = fixture_grant(f, 5);
	worker_send_transaction(again, IPC_OUTCOME, 2);
	usleep(100000);
	answer_from(f, "alice@example.org", 1, true);
	assert_int_equal(worker_get_outcome(again, &o), ERR_OK);
	assert_int_equal(o.t, 2);
	assert_true(o.stored);
	assert_true(strcmp(o.id, id) > 0);
	assert_int_not_equal(worker_get_commit(fd, &a), ERR_OK);
	close(fd);
	worker_send_transaction(again, IPC_OUTCOME, 1);
	assert_int_equal(worker_get_outcome(again, &o), ERR_OK);
	assert_true(o.stored);
	assert_string_equal(o.id, id);
	worker_send_transaction(again, IPC_OUTCOME, 3);
	assert_int_equal(worker_get_outcome(again, &o), ERR_OK);
	assert_false(o.stored);
	close(again);
	/* The worker is gone, its commit goes on. */
	fd = fixture_grant(f, 6);
	begin_checked(f, fd, 6, 1, "From: alice@example.org\r\n\r\nx\r\n");
	usleep(100000);
	close(fd);
	usleep(100000);
	answer_from(f, "alice@example.org", 1, true);
	fd = fixture_grant(f, 6);
	worker_send_transaction(fd, IPC_OUTCOME, 1);
	assert_int_equal(worker_get_outcome(fd, &o), ERR_OK);
	assert_true(o.stored);
	close(fd);
	assert_int_equal(fixture_count(f, SPOOL_NEW), 3);
	/* And after a restart. */
	fixture_kill(f);
	assert_true(fixture_start(f));
	fd = fixture_grant(f, 5);
	worker_send_transaction(fd, IPC_OUTCOME, 1);
	assert_int_equal(worker_get_outcome(fd, &o), ERR_OK);
	assert_true(o.stored);
	assert_string_equal(o.id, id);
	worker_send_transaction(fd, IPC_OUTCOME, 4);
	assert_int_equal(worker_get_outcome(fd, &o), ERR_OK);
	assert_false(o.stored);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_from, setup, teardown),
		cmocka_unit_test_setup_teardown(test_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fault_while_unsent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_outcome, setup, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
