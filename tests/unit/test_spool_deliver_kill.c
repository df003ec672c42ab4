/*
 * kill -9 of postern-spool at random moments while it delivers, to a relay that delivers, defers, fails, gives back and dies as chance
 * will: each recipient is delivered or returned, nothing twice but where the session process died with the spool, and what was
 * answered is never given out again.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "relay_driver.h"
#include "unit.h"

#define MESSAGES 400
#define RECIPIENTS_MAX 4
#define ROUNDS 14
#define HELD_MAX 64

static const char plain[] = "From: alice@example.org\r\nTo: bob@example.net\r\nSubject: hello\r\n\r\nhello\r\n";

struct record {
	unsigned	delivered;	/* times */
	bool		has_failed;
	bool		is_reported;
	bool		is_final;	/* a delivery that settled it was answered */
	bool		may_repeat;	/* its session process died before it could tell */
};

static struct record records[MESSAGES][RECIPIENTS_MAX];
static size_t counts[MESSAGES], nmessages, nreports;

/* A delivery that a session process has. */
struct held {
	struct got		got;
	bool			is_told;
	bool			is_report;
	enum delivery_verdict	verdicts[RELAY_RECIPIENTS_MAX];
};

static struct held held[HELD_MAX];
static size_t nheld;
static struct fixture f;
static int relay, worker;

static struct record *
record_of(const struct held *h, size_t i)
{
	unsigned m, r;

	if (h->is_report)
		return NULL;
	assert_int_equal(sscanf(h->got.addresses[i], "m%ur%u@", &m, &r), 2);
	assert_true(m < nmessages && r < counts[m]);
	return &records[m][r];
}

static void
submit(void)
{
	uint32_t t = (uint32_t)nmessages + 1;
	char id[IPC_TEXT_MAX], address[64];

	counts[nmessages] = 1 + (size_t)(rand() % RECIPIENTS_MAX);
	fixture_sender(&f, 5, t, "alice@example.org", 1 << 20, false);
	for (size_t i = 0; i < counts[nmessages]; i++) {
		struct ipc_envelope_recipient m = { .session = 5, .t = t };
		uint8_t data[2048];
		struct wire_out w;

		snprintf(address, sizeof(address), "m%zur%zu@example.net", nmessages, i);
		assert_int_equal(addr_parse(&m.recipient.address, address, strlen(address), true), ERR_OK);
		wire_out_init(&w, data, sizeof(data));
		ipc_put_envelope_recipient(&w, &m);
		assert_int_equal(ipc_send(f.link, &w, NULL, 0, true), ERR_OK);
	}
	nmessages++;
	assert_int_equal(worker_submit(worker, t, plain, sizeof(plain) - 1, id), COMMIT_STORED);
}

static void
forget(size_t i)
{
	got_close(&held[i].got);
	held[i] = held[--nheld];
}

static void
take_new(int ms)
{
	while (nheld < HELD_MAX && relay_next(relay, &held[nheld].got, ms)) {
		struct held *h = &held[nheld++];

		ms = 0;
		h->is_told = false;
		h->is_report = addr_is_null(&h->got.deliver.sender.address);
		for (size_t i = 0; i < h->got.n; i++)
			if (!h->is_report && record_of(h, i)->is_final) {
				print_error("%s is given out again\n", h->got.addresses[i]);
				fail();
			}
	}
}

/* Of whom a report says that he was not reached. */
static void
read_report(const struct held *h)
{
	char *text = got_message(&h->got), *at = text;
	unsigned m, r;

	while ((at = strstr(at, "Final-Recipient: rfc822;")) != NULL) {
		at += strlen("Final-Recipient: rfc822;");
		at += strspn(at, " ");
		assert_int_equal(sscanf(at, "m%ur%u@", &m, &r), 2);
		assert_true(m < nmessages && r < counts[m]);
		records[m][r].is_reported = true;
	}
	free(text);
}

/* What the server says; it counts from here on, whether or not the spool gets to know it. */
static void
decide(struct held *h, bool kind)
{
	if (h->is_report)
		read_report(h);
	for (size_t i = 0; i < h->got.n; i++) {
		int chance = rand() % 10;
		struct record *r = record_of(h, i);

		h->verdicts[i] = h->is_report || kind || chance < 6 ? DELIVERY_DELIVERED : chance < 9 ? DELIVERY_DEFERRED : DELIVERY_FAILED;
		if (r == NULL)
			continue;
		if (h->verdicts[i] == DELIVERY_DELIVERED)
			r->delivered++;
		else if (h->verdicts[i] == DELIVERY_FAILED)
			r->has_failed = true;
	}
}

static void
tell(struct held *h)
{
	for (size_t i = 0; i < h->got.n; i++)
		got_result(&h->got, h->got.indexes[i], h->verdicts[i], 250, "words");
	got_finish(&h->got, DELIVERY_DEFERRED, 451, "all were told");
	h->is_told = true;
}

static void
note_answer(struct held *h)
{
	nreports += h->is_report;
	for (size_t i = 0; i < h->got.n && !h->is_report; i++)
		if (h->verdicts[i] != DELIVERY_DEFERRED)
			record_of(h, i)->is_final = true;
}

/* Answers that have come. */
static void
take_answers(void)
{
	for (size_t i = 0; i < nheld;) {
		struct pollfd p = { .fd = held[i].got.socket, .events = POLLIN };
		struct held *h = &held[i];

		if (!h->is_told || poll(&p, 1, 0) != 1) {
			i++;
		} else if ((p.revents & POLLIN) != 0 && got_is_answered(&h->got, 0)) {
			note_answer(h);
			held[i] = held[--nheld];
		} else {
			i++;
		}
	}
}

static void
work(int ms, bool kind)
{
	uint64_t end = io_now_ms() + (uint64_t)ms;

	while (io_now_ms() < end) {
		take_new(2);
		for (size_t i = 0; i < nheld;) {
			struct held *h = &held[i];
			int chance = kind ? 9 : rand() % 12;

			if (h->is_told || chance < 3) {
				i++;
			} else if (chance == 3) {
				forget(i);
			} else if (chance == 4) {
				got_finish(&h->got, DELIVERY_RETURNED, 0, "");
				forget(i);
			} else {
				decide(h, kind);
				tell(h);
				i++;
			}
		}
		take_answers();
	}
}

/* What the session processes have is told to the new spool, where they have not died with the old one. */
static void
hand_over(void)
{
	for (size_t i = 0; i < nheld;) {
		struct held *h = &held[i];

		if (rand() % 8 == 0) {
			for (size_t k = 0; k < h->got.n && h->is_told && !h->is_report; k++)
				record_of(h, k)->may_repeat = true;
			forget(i);
			continue;
		}
		relay_underway(relay, &h->got);
		if (h->is_told)
			tell(h);
		i++;
	}
	relay_ready(relay);
}

/* The end of a socket without an answer: the message had been done with before. */
static void
drop_ended(void)
{
	for (size_t i = 0; i < nheld;) {
		uint8_t data[64];
		struct ipc_message m;

		if (ipc_recv(held[i].got.socket, IPC_DELIVERY_FROM_SPOOL, data, sizeof(data), false, &m) == ERR_CLOSED)
			forget(i);
		else
			i++;
	}
}

static void
test_kill(void **state)
{
	unsigned seed = (unsigned)getpid();
	size_t repeated = 0, failed = 0, all = 0;

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	fixture_open(&f, "min_free = 0\n[delivery]\nretry = 100ms\nexpire = 1h\nwarn_after = 0\nsessions = 20\n"
	    "[route out]\nurl = smtp://192.0.2.1:25\ntls = none\n");
	assert_true(fixture_start(&f));
	relay = relay_link(&f);
	for (int round = 0; round < ROUNDS; round++) {
		worker = fixture_grant(&f, 5);
		for (int i = 0; i < 25 && nmessages < MESSAGES; i++)
			submit();
		work(rand() % 200, false);
		usleep((useconds_t)(rand() % 3000));
		fixture_kill(&f);
		take_answers();
		close(relay);
		close(worker);
		assert_true(fixture_start(&f));
		relay = relay_link_silent(&f);
		hand_over();
	}
	for (int i = 0; i < 100 && fixture_count(&f, SPOOL_NEW) + fixture_count(&f, SPOOL_CUR) != 0; i++) {
		work(100, i > 20);
		drop_ended();
	}
	assert_int_equal(fixture_count(&f, SPOOL_NEW) + fixture_count(&f, SPOOL_CUR), 0);
	assert_int_equal(fixture_count(&f, SPOOL_FAILED), 0);
	assert_true(fixture_has_states(&f, 0, 3000));
	for (size_t m = 0; m < nmessages; m++)
		for (size_t r = 0; r < counts[m]; r++) {
			const struct record *one = &records[m][r];

			all++;
			check_row(m, one->delivered != 0 || one->has_failed);
			check_row(m, one->delivered <= 1 || one->may_repeat);
			check_row(m, one->delivered != 0 || one->is_reported);
			check_row(m, one->has_failed || !one->is_reported);
			repeated += one->delivered > 1;
			failed += one->has_failed;
		}
	print_message("%zu messages, %zu recipients, %zu failed, %zu reports, %zu delivered twice as the session had died\n", nmessages, all,
	    failed, nreports, repeated);
	assert_true(nreports != 0);
	close(relay);
	assert_int_equal(fixture_stop(&f), 0);
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
