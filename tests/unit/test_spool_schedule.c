/*
 * The schedule of delivery, with a clock of the test's: order, turns of destinations, windows, back-off, revival; and what becomes of a
 * recipient after an attempt. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "destination.h"
#include "err.h"
#include "schedule.h"
#include "settle.h"
#include "unit.h"

static struct schedule s;
static struct destinations table;

static int
reset(void **state)
{
	(void)state;
	s = (struct schedule){ .n = 0 };
	memset(&table, 0, sizeof(table));
	return 0;
}

static int
clear(void **state)
{
	(void)state;
	for (size_t i = 0; i < DESTINATION_BUCKETS; i++)
		for (struct destination *d = table.buckets[i], *next; d != NULL; d = next) {
			next = d->next;
			while (d->parts != NULL)
				schedule_remove(&s, d->parts, 0);
			destination_clear(d);
			free(d);
		}
	free(s.heap);
	return 0;
}

static struct destination *
destination(const char *route, const char *domain)
{
	struct destination *d = destination_get(&table, route, domain, 3, 1000);

	assert_non_null(d);
	return d;
}

/* A part that is due then; order is what it is recognised by. */
static struct part *
part(struct destination *d, uint64_t due, uint64_t order)
{
	struct part *p = schedule_add(&s, NULL, d, order);

	assert_non_null(p);
	schedule_wait(&s, p, due, 0);
	return p;
}

static uint64_t
take(uint64_t now)
{
	struct part *p;

	schedule_wake(&s, now);
	p = schedule_take(&s, now);
	return p != NULL ? p->order : 0;
}

static void
test_order(void **state)
{
	struct destination *d = destination("out", "");

	(void)state;
	d->window = 100;
	d->limit = 100;
	part(d, 50, 3);
	part(d, 10, 1);
	part(d, 50, 2);
	part(d, 90, 4);
	assert_int_equal(take(9), 0);
	assert_int_equal(schedule_next_ms(&s, 9, 1000), 1);
	assert_int_equal(take(10), 1);
	assert_int_equal(take(10), 0);
	assert_int_equal(schedule_next_ms(&s, 10, 1000), 40);
	assert_int_equal(schedule_next_ms(&s, 10, 20), 20);
	assert_int_equal(take(60), 2);
	assert_int_equal(take(60), 3);
	assert_int_equal(take(60), 0);
	assert_int_equal(take(1000), 4);
	assert_int_equal(s.in_flight, 4);
	assert_int_equal(schedule_next_ms(&s, 1000, 77), 77);
}

/* Ten thousand in no order come out in order, whatever is taken out of the middle. */
static void
test_heap(void **state)
{
	struct destination *d = destination("out", "");
	static struct part *parts[10000];
	uint64_t last = 0, n = 0;

	(void)state;
	srand(7);
	d->window = d->limit = 20000;
	for (size_t i = 0; i < COUNT(parts); i++)
		parts[i] = part(d, (uint64_t)(rand() % 5000), i + 1);
	for (size_t i = 0; i < COUNT(parts); i += 3)
		schedule_remove(&s, parts[i], 0);
	for (size_t i = 1; i < COUNT(parts); i += 3)
		schedule_wait(&s, parts[i], (uint64_t)(rand() % 5000), 0);
	for (uint64_t now = 0; now <= 5000; now += 50) {
		struct part *p;

		schedule_wake(&s, now);
		while ((p = schedule_take(&s, now)) != NULL) {
			assert_true(p->due_ms <= now && p->due_ms >= last);
			assert_true((p->order - 1) % 3 != 0);
			last = p->due_ms;
			n++;
		}
	}
	assert_int_equal(n, 10000 - 3334);
}

/* One with many and one with few: they take turns, and one that is full costs the others nothing. */
static void
test_turns(void **state)
{
	struct destination *a = destination("mx", "a.example"), *b = destination("mx", "B.example");
	struct part *p;

	(void)state;
	assert_ptr_equal(destination("mx", "b.EXAMPLE"), b);
	assert_ptr_not_equal(destination("other", "b.example"), b);
	for (uint64_t i = 0; i < 100; i++)
		part(a, 0, 100 + i);
	part(b, 1, 1);
	part(b, 1, 2);
	part(b, 1, 3);
	schedule_wake(&s, 10);
	/* The window is 2 at first. */
	assert_int_equal(take(10), 100);
	assert_int_equal(take(10), 1);
	p = schedule_take(&s, 10);
	assert_int_equal(p->order, 101);
	assert_int_equal(take(10), 2);
	assert_int_equal(take(10), 0);
	destination_note_success(a);
	schedule_wait(&s, p, 500, 10);
	assert_int_equal(take(10), 102);
	assert_int_equal(take(10), 103);
	assert_int_equal(take(10), 0);
	assert_int_equal(a->in_flight, 3);
	/* Twice its sessions, and no more. */
	for (int i = 0; i < 50; i++)
		destination_note_success(a);
	schedule_review(&s, a, 10);
	for (int i = 0; i < 3; i++)
		assert_int_equal(take(10), 104 + i);
	assert_int_equal(take(10), 0);
	assert_int_equal(a->in_flight, 6);
}

static void
test_dead(void **state)
{
	struct destination *a = destination("mx", "a.example"), *b = destination("mx", "b.example");
	struct ipc_finished why = { .is_dead = true };
	struct part *first, *p;

	(void)state;
	for (uint64_t i = 0; i < 5; i++)
		part(a, 0, 100 + i);
	part(b, 0, 500);
	schedule_wake(&s, 10);
	first = schedule_take(&s, 10);
	assert_ptr_equal(first->destination, a);
	destination_note_dead(a, &why, 1000);
	first->is_stalled = true;
	schedule_review(&s, a, 10);
	assert_int_equal(take(10), 500);
	assert_int_equal(take(10), 0);
	/* What is due meanwhile is only to be noted. */
	for (int i = 1; i < 5; i++) {
		assert_non_null(p = schedule_take_record(&s, 10));
		assert_true(p->is_record);
		p->is_stalled = true;
		schedule_wait(&s, p, 5000, 10);
	}
	assert_null(schedule_take_record(&s, 10));
	assert_int_equal(s.recording, 0);
	schedule_wait(&s, first, 900, 10);
	schedule_wake(&s, 950);
	assert_null(schedule_take(&s, 950));
	assert_non_null(p = schedule_take_record(&s, 950));
	assert_ptr_equal(p, first);
	schedule_wait(&s, first, 1100, 950);
	/* Behind its time one tries, alone. */
	part(a, 1100, 200);
	schedule_wake(&s, 1100);
	assert_null(schedule_take_record(&s, 1100));
	assert_ptr_equal(schedule_take(&s, 1100), first);
	assert_null(schedule_take(&s, 1100));
	/* It is alive: all that waited only for that is due. */
	assert_true(destination_note_alive(a));
	assert_false(destination_note_alive(a));
	schedule_revive(&s, a, 1200);
	schedule_wait(&s, first, 9000, 1200);
	a->window = 100;
	a->limit = 100;
	assert_int_equal(take(1200), 200);
	for (int i = 1; i < 5; i++)
		assert_int_equal(take(1200), 100 + i);
	assert_int_equal(take(1200), 0);
}

/* A back-off that ends while something is ready. */
static void
test_dead_ends(void **state)
{
	struct destination *a = destination("mx", "a.example");
	struct ipc_finished why = { .is_dead = true };
	struct part *p;

	(void)state;
	destination_note_dead(a, &why, 1000);
	part(a, 0, 1);
	schedule_wake(&s, 999);
	assert_int_equal(a->ring, RING_RECORD);
	assert_null(schedule_take_record(&s, 1000));
	assert_non_null(p = schedule_take(&s, 1000));
	schedule_remove(&s, p, 1000);
	assert_int_equal(s.in_flight, 0);
	assert_int_equal(s.nparts, 0);
	/* Forgotten when it has had nothing to do for a while. */
	destination_clear(a);
	for (int i = 0; i < 64; i++)
		destination_sweep(&table, 2000);
	assert_int_equal(table.n, 1);
	for (int i = 0; i < 64; i++)
		destination_sweep(&table, 10 * 60 * 1000);
	assert_int_equal(table.n, 0);
}

/* Those of ours never go to relay. */
static void
test_ours(void **state)
{
	struct destination *none = destination(DESTINATION_NO_ROUTE, "");
	struct part *p;

	(void)state;
	part(none, 5, 1);
	schedule_wake(&s, 5);
	assert_null(schedule_take(&s, 5));
	assert_non_null(p = schedule_take_record(&s, 5));
	assert_int_equal(s.recording, 1);
	schedule_wait(&s, p, 10, 5);
	assert_int_equal(s.recording, 0);
}

static void
test_notify(void **state)
{
	static const struct {
		const char	*notify;
		bool		success, failure, delay;
	} rows[] = {
		{ NULL, false, true, true },
		{ "", false, true, true },
		{ "NEVER", false, false, false },
		{ "SUCCESS", true, false, false },
		{ "SUCCESS,FAILURE", true, true, false },
		{ "FAILURE,DELAY", false, true, true },
		{ "delay", false, false, true },
		{ "SUCCESSFUL", false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_row(i, settle_asks(rows[i].notify, DSN_NOTIFY_SUCCESS) == rows[i].success);
		check_row(i, settle_asks(rows[i].notify, DSN_NOTIFY_FAILURE) == rows[i].failure);
		check_row(i, settle_asks(rows[i].notify, DSN_NOTIFY_DELAY) == rows[i].delay);
	}
}

static void
test_settle(void **state)
{
	struct ipc_finished dsn = { .relayed_dsn = true, .host = "mx", .tls = "TLS" }, plain = { .host = "mx" };
	static const struct {
		enum delivery_verdict	verdict;
		const char		*notify;
		bool			null_sender, expired, last_hop, dsn;
		enum settled		settled;
		enum recipient_status	status;
		bool			success_due, relayed;
	} rows[] = {
		{ DELIVERY_DELIVERED, NULL, false, false, false, false, SETTLED_DELIVERED, RECIPIENT_DELIVERED, false, true },
		{ DELIVERY_DELIVERED, "SUCCESS", false, false, false, false, SETTLED_DELIVERED, RECIPIENT_DELIVERED, true, true },
		{ DELIVERY_DELIVERED, "SUCCESS", false, true, true, false, SETTLED_DELIVERED, RECIPIENT_DELIVERED, true, false },
		{ DELIVERY_DELIVERED, "SUCCESS", false, false, false, true, SETTLED_DELIVERED, RECIPIENT_DELIVERED, false, true },
		{ DELIVERY_DELIVERED, "SUCCESS", true, false, false, false, SETTLED_DELIVERED, RECIPIENT_DELIVERED, false, true },
		{ DELIVERY_DEFERRED, NULL, false, false, false, false, SETTLED_DEFERRED, RECIPIENT_WAITING, false, false },
		{ DELIVERY_DEFERRED, NULL, false, true, false, false, SETTLED_EXPIRED, RECIPIENT_BOUNCED, false, false },
		{ DELIVERY_DEFERRED, "NEVER", false, true, false, false, SETTLED_EXPIRED, RECIPIENT_REPORTED, false, false },
		{ DELIVERY_FAILED, NULL, false, false, false, false, SETTLED_FAILED, RECIPIENT_BOUNCED, false, false },
		{ DELIVERY_FAILED, "SUCCESS,DELAY", false, false, false, false, SETTLED_FAILED, RECIPIENT_REPORTED, false, false },
		{ DELIVERY_FAILED, NULL, true, false, false, false, SETTLED_FAILED, RECIPIENT_REPORTED, false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct state st;
		struct ipc_outcome_of o = { .verdict = rows[i].verdict, .stage = DELIVERY_DATA, .code = 250, .enhanced = "1.2.3", .reply = "r" };
		struct settling how = { .notify = rows[i].notify, .is_null_sender = rows[i].null_sender, .is_expired = rows[i].expired,
		    .is_last_hop = rows[i].last_hop, .now_us = 99, .finished = rows[i].dsn ? &dsn : &plain };

		assert_int_equal(state_init(&st, 1), ERR_OK);
		st.recipients[0].tls = strdup("old");
		check_row(i, settle_recipient(&st.recipients[0], &o, &how) == rows[i].settled);
		check_row(i, st.recipients[0].status == rows[i].status);
		check_row(i, st.recipients[0].is_success_due == rows[i].success_due && st.recipients[0].is_relayed == rows[i].relayed);
		check_row(i, st.recipients[0].time_us == 99 && st.recipients[0].code == 250 && st.recipients[0].stage == DELIVERY_DATA);
		check_row(i, strcmp(st.recipients[0].enhanced, rows[i].settled == SETTLED_EXPIRED ? "4.4.7" : "1.2.3") == 0);
		check_row(i, strcmp(st.recipients[0].host, "mx") == 0 && (rows[i].dsn ? st.recipients[0].tls != NULL : st.recipients[0].tls == NULL));
		state_free(&st);
	}
}

static void
test_due(void **state)
{
	struct conf *c = calloc(1, sizeof(*c));

	(void)state;
	assert_non_null(c);
	memcpy(c->delivery_retry, "1m 5m 1h", sizeof("1m 5m 1h"));
	assert_int_equal(settle_due_ms(c, 1, 1000, INT64_MAX, INT64_MAX), 61000);
	assert_int_equal(settle_due_ms(c, 2, 1000, INT64_MAX, INT64_MAX), 301000);
	assert_int_equal(settle_due_ms(c, 9, 1000, INT64_MAX, INT64_MAX), 3601000);
	/* Right when the sender is to be told, or it is given up; not when that has passed. */
	assert_int_equal(settle_due_ms(c, 9, 1000, 50000, INT64_MAX), 50000);
	assert_int_equal(settle_due_ms(c, 9, 1000, 50000, 40000), 40000);
	assert_int_equal(settle_due_ms(c, 9, 1000, 900, INT64_MAX), 3601000);
	assert_int_equal(settle_due_ms(c, 9, 1000, -5, INT64_MAX), 3601000);
	/* At a start: as the state says, but never longer than a step, however far the clock was put back. */
	assert_int_equal(settle_wait_ms(c, 2, 0, 5000000), 0);
	assert_int_equal(settle_wait_ms(c, 2, 5000000, 6000000), 0);
	assert_int_equal(settle_wait_ms(c, 2, 16000000, 6000000), 10000);
	assert_int_equal(settle_wait_ms(c, 2, 9000000000000ULL, 6000000), 300000);
	assert_int_equal(settle_wait_ms(c, 0, 9000000000000ULL, 6000000), 60000);
	free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, reset, clear),
		cmocka_unit_test_setup_teardown(test_heap, reset, clear),
		cmocka_unit_test_setup_teardown(test_turns, reset, clear),
		cmocka_unit_test_setup_teardown(test_dead, reset, clear),
		cmocka_unit_test_setup_teardown(test_dead_ends, reset, clear),
		cmocka_unit_test_setup_teardown(test_ours, reset, clear),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_settle),
		cmocka_unit_test(test_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
