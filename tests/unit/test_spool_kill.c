/*
 * kill -9 of postern-spool at random moments under load: what was answered as stored is there once and whole, what was refused or
 * dropped is not, and OUTCOME tells the truth about the rest.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "spool_fixture.h"
#include "unit.h"

#define SESSIONS 16
#define ROUNDS 12
#define MESSAGES_MAX 20000

enum fate { FATE_COMMITTED, FATE_STORED, FATE_REFUSED };

struct record {
	uint64_t	session;
	uint32_t	t;
	enum fate	fate;
	unsigned	seen;		/* in the spool */
	char		id[SPOOL_ID_TEXT];
};

struct client {
	uint64_t	session;
	int		fd;
	uint32_t	t;
	struct record	*record;	/* of the transaction under way */
};

static struct record records[MESSAGES_MAX];
static size_t nrecords;
static struct client clients[SESSIONS];
static char filler[320000];

/* Whole lines of the filler. */
static size_t
piece(size_t size, size_t i)
{
	return size - i < 60000 ? (size - i + 63) / 64 * 64 : 60032;
}

static uint64_t
sent_size(size_t size)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < size; i += 60000)
		sum += piece(size, i);
	return sum;
}

/* One more transaction: some are large, some dropped, some refused. */
static void
begin(struct fixture *f, struct client *c)
{
	size_t size = rand() % 8 == 0 ? (size_t)(rand() % 250000) : 2000;
	bool dropped = rand() % 10 == 0, bad = rand() % 10 == 0;
	char head[100];

	assert_true(nrecords < MESSAGES_MAX);
	c->t++;
	c->record = &records[nrecords++];
	*c->record = (struct record){ .session = c->session, .t = c->t, .fate = FATE_COMMITTED };
	fixture_envelope(f, c->session, c->t);
	snprintf(head, sizeof(head), "Subject: %llu-%u\r\n\r\n", (unsigned long long)c->session, (unsigned)c->t);
	worker_send_transaction(c->fd, IPC_OPEN, c->t);
	worker_send_data(c->fd, head, strlen(head));
	for (size_t i = 0; i < size; i += 60000)
		worker_send_data(c->fd, filler + i / 64 * 64, piece(size, i));
	if (bad)
		worker_send_data(c->fd, "\n", 1);
	if (dropped) {
		worker_send_transaction(c->fd, IPC_ABORT, 0);
		c->record->fate = FATE_REFUSED;
		c->record = NULL;
	} else {
		worker_send_commit(c->fd, c->t, strlen(head) + sent_size(size) + bad);
	}
}

/* Reads an answer; false when the socket has ended. */
static bool
finish(struct client *c)
{
	struct ipc_commit_answer a;

	if (worker_get_commit(c->fd, &a) != ERR_OK)
		return false;
	assert_int_equal(a.t, c->record->t);
	c->record->fate = a.verdict == COMMIT_STORED ? FATE_STORED : FATE_REFUSED;
	memcpy(c->record->id, a.id, sizeof(c->record->id));
	c->record = NULL;
	return true;
}

static void
load(struct fixture *f, int ms)
{
	uint64_t end = io_now_ms() + (uint64_t)ms;

	while (io_now_ms() < end && nrecords < MESSAGES_MAX - 100 * SESSIONS) {
		struct pollfd p[SESSIONS];

		for (size_t i = 0; i < SESSIONS; i++) {
			while (clients[i].record == NULL)
				begin(f, &clients[i]);
			p[i] = (struct pollfd){ .fd = clients[i].fd, .events = POLLIN };
		}
		poll(p, SESSIONS, 20);
		for (size_t i = 0; i < SESSIONS; i++)
			if (p[i].revents != 0)
				assert_true(finish(&clients[i]));
	}
}

/* On a new socket: what became of the transactions whose answer did not come. */
static void
ask(struct fixture *f)
{
	struct ipc_outcome_answer o;

	for (size_t i = 0; i < SESSIONS; i++) {
		struct client *c = &clients[i];

		if (c->record != NULL)
			finish(c);
		close(c->fd);
		c->fd = fixture_grant(f, c->session);
		if (c->record == NULL)
			continue;
		worker_send_transaction(c->fd, IPC_OUTCOME, c->record->t);
		assert_int_equal(worker_get_outcome(c->fd, &o), ERR_OK);
		assert_int_equal(o.t, c->record->t);
		c->record->fate = o.stored ? FATE_STORED : FATE_REFUSED;
		memcpy(c->record->id, o.id, sizeof(c->record->id));
		c->record = NULL;
	}
}

static int
find_record(const struct spool_entry *entry, void *arg)
{
	struct spool_envelope e;

	(void)arg;
	assert_int_equal(entry->folder, SPOOL_NEW);
	assert_int_equal(spool_read_envelope(entry->fd, &e), ERR_OK);
	assert_int_equal(spool_verify(entry->fd), ERR_OK);
	for (size_t i = 0; i < nrecords; i++)
		if (records[i].session == e.session && records[i].t == e.transaction) {
			records[i].seen++;
			assert_string_equal(records[i].id, e.id);
		}
	spool_envelope_free(&e);
	return 0;
}

static void
check(struct fixture *f)
{
	struct spool_dirs d;
	size_t stored = 0;

	for (size_t i = 0; i < nrecords; i++)
		records[i].seen = 0;
	assert_int_equal(spool_open(&d, f->spool), ERR_OK);
	assert_int_equal(spool_walk(&d, find_record, NULL), 0);
	spool_close(&d);
	for (size_t i = 0; i < nrecords; i++) {
		check_row(i, records[i].fate == FATE_STORED || records[i].fate == FATE_REFUSED);
		check_row(i, records[i].seen == (records[i].fate == FATE_STORED ? 1 : 0));
		stored += records[i].seen;
	}
	assert_int_equal(fixture_count(f, SPOOL_NEW), stored);
	assert_int_equal(fixture_count(f, SPOOL_FAILED), 0);
}

static void
test_kill(void **state)
{
	unsigned seed = (unsigned)getpid();
	struct fixture f;

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (size_t i = 0; i < sizeof(filler); i++)
		filler[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'x';
	fixture_open(&f, NULL);
	assert_true(fixture_start(&f));
	for (size_t i = 0; i < SESSIONS; i++)
		clients[i] = (struct client){ .session = 0xabc0000 + i, .fd = fixture_grant(&f, 0xabc0000 + i) };
	for (int round = 0; round < ROUNDS; round++) {
		load(&f, 30 + rand() % 200);
		/* Everybody has something under way when it dies, now or a moment later. */
		for (size_t i = 0; i < SESSIONS; i++)
			while (clients[i].record == NULL)
				begin(&f, &clients[i]);
		usleep((useconds_t)(rand() % 20000));
		fixture_kill(&f);
		assert_true(fixture_start(&f));
		ask(&f);
		check(&f);
	}
	print_message("%zu transactions\n", nrecords);
	assert_int_equal(fixture_stop(&f), 0);
	for (size_t i = 0; i < SESSIONS; i++)
		close(clients[i].fd);
	fixture_close(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_kill) };

	signal(SIGPIPE, SIG_IGN);
	alarm(150);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
