/*
 * The parts of postern-auth that know no socket: the fair queue, the slots of an account, moments to
 * come, remembered passwords.
 */
#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

#include "counters.h"
#include "deadlines.h"
#include "err.h"
#include "queue.h"
#include "remember.h"
#include "throttle.h"

static void
init_job(struct queue_job *job, const char *client)
{
	*job = (struct queue_job){ .network = NULL };
	assert_int_equal(netaddr_parse(&job->client, client), ERR_OK);
}

static void
test_queue_is_fair(void **state)
{
	/* Two clients of one network, one of another, IPv6 by /64. */
	static const char *const clients[] = { "192.0.2.1:1", "192.0.2.200:1", "192.0.2.1:2", "198.51.100.1:1", "[2001:db8::1]:1",
	    "[2001:db8::ffff:1]:1", "[2001:db8:0:1::1]:1" };
	static const size_t order[] = { 0, 3, 4, 6, 1, 5, 2 };
	struct queue_job jobs[COUNT(clients)];
	struct queue q;

	(void)state;
	queue_init(&q);
	assert_null(queue_take(&q));
	for (size_t i = 0; i < COUNT(clients); i++) {
		init_job(&jobs[i], clients[i]);
		assert_int_equal(queue_put(&q, &jobs[i], false), ERR_OK);
	}
	for (size_t i = 0; i < COUNT(clients); i++)
		check_row(i, queue_take(&q) == &jobs[order[i]]);
	assert_null(queue_take(&q));
	assert_int_equal(q.n, 0);
}

#define FLOOD (QUEUE_NETWORK_MAX + 8)	/* jobs of one network that asks too much */

static void
test_queue_is_bounded(void **state)
{
	struct queue_job *jobs = calloc(QUEUE_MAX + FLOOD, sizeof(*jobs));
	size_t accepted = 0;
	struct queue q;

	(void)state;
	queue_init(&q);
	for (size_t i = 0; i < FLOOD; i++) {
		init_job(&jobs[i], "192.0.2.1:1");
		check_row(i, queue_put(&q, &jobs[i], false) == (i < QUEUE_NETWORK_MAX ? ERR_OK : ERR_BUSY));
	}
	for (size_t i = FLOOD; i < QUEUE_MAX + FLOOD; i++) {
		char client[32];

		snprintf(client, sizeof(client), "10.0.%zu.1:1", i % 250);
		init_job(&jobs[i], client);
		accepted += queue_put(&q, &jobs[i], false) == ERR_OK;
	}
	assert_int_equal(accepted, QUEUE_MAX - QUEUE_NETWORK_MAX);
	assert_int_equal(q.n, QUEUE_MAX);
	/* One that was accepted before always finds room, in front. */
	init_job(&jobs[FLOOD - 1], "192.0.2.9:1");
	assert_int_equal(queue_put(&q, &jobs[FLOOD - 1], true), ERR_OK);
	assert_ptr_equal(queue_take(&q), &jobs[FLOOD - 1]);
	queue_remove(&q, &jobs[FLOOD - 1]);
	for (size_t i = 0; i < QUEUE_MAX + FLOOD; i++)
		queue_remove(&q, &jobs[i]);
	assert_int_equal(q.n, 0);
	assert_null(queue_take(&q));
	free(jobs);
}

static void
note(void *owner)
{
	(*(int *)owner)++;
}

static void
test_counters(void **state)
{
	struct counters *c = calloc(1, sizeof(*c));
	int first = 0, second = 0;
	struct counter_waiter w1 = { .max = 2, .ready = note, .owner = &first }, w2 = { .max = 2, .ready = note, .owner = &second };

	(void)state;
	assert_int_equal(counters_take(c, 7, 2), ERR_OK);
	assert_int_equal(counters_take(c, 7, 2), ERR_OK);
	assert_int_equal(counters_take(c, 7, 2), ERR_BUSY);
	assert_int_equal(counters_take(c, 7 + COUNTERS_BUCKETS, 2), ERR_OK);
	assert_int_equal(counters_wait(c, 7, &w1), ERR_OK);
	assert_int_equal(counters_wait(c, 7, &w2), ERR_OK);
	counters_release(c, 7);
	assert_int_equal(first, 1);
	assert_int_equal(second, 0);
	counters_cancel(c, &w1);	/* waits no more */
	counters_cancel(c, &w2);
	counters_release(c, 7);
	assert_int_equal(second, 0);
	assert_int_equal(counters_take(c, 7, 2), ERR_OK);
	counters_release(c, 7);
	counters_release(c, 7);
	counters_release(c, 7 + COUNTERS_BUCKETS);
	counters_release(c, 99);
	for (size_t i = 0; i < COUNTERS_BUCKETS; i++)
		assert_null(c->buckets[i]);
	free(c);
}

static char order[8];
static size_t norder;

static void
write_order(void *owner)
{
	order[norder++] = *(char *)owner;
}

static void
test_deadlines(void **state)
{
	static char names[] = "abcd";
	struct deadline d[4];
	struct deadlines all;

	(void)state;
	deadlines_init(&all);
	assert_int_equal(deadlines_wait(&all, 100, 60), 60);
	for (size_t i = 0; i < 4; i++)
		d[i] = (struct deadline){ .pass = write_order, .owner = &names[i] };
	deadline_set(&all, &d[0], 300);
	deadline_set(&all, &d[1], 100);
	deadline_set(&all, &d[2], 200);
	deadline_set(&all, &d[3], 200);
	deadline_set(&all, &d[1], 250);
	deadline_set(&all, &d[0], 150);
	assert_int_equal(deadlines_wait(&all, 100, 60), 50);
	assert_int_equal(deadlines_wait(&all, 200, 60), 0);
	deadline_clear(&all, &d[3]);
	deadline_clear(&all, &d[3]);
	deadlines_run(&all, 249);
	assert_int_equal(norder, 2);
	deadlines_run(&all, 250);
	assert_memory_equal(order, "acb", 3);
	assert_int_equal(deadlines_wait(&all, 250, 60), 60);
}

static void
test_remember(void **state)
{
	struct remember *r;

	(void)state;
	assert_int_equal(remember_open(&r), ERR_OK);
	assert_false(remember_has(r, 1, 5, "secret", 6, 1000));
	remember_put(r, 1, 5, "secret", 6, 1000, 500);
	assert_true(remember_has(r, 1, 5, "secret", 6, 1001));
	assert_false(remember_has(r, 1, 5, "secret", 5, 1001));
	assert_false(remember_has(r, 1, 5, "Secret", 6, 1001));
	assert_false(remember_has(r, 2, 5, "secret", 6, 1001));
	assert_true(remember_has(r, 1, 5, "secret", 6, 1499));
	assert_false(remember_has(r, 1, 5, "secret", 6, 1500));
	/* Another time of change voids it. */
	remember_put(r, 1, 5, "secret", 6, 1000, 500);
	assert_false(remember_has(r, 1, 6, "secret", 6, 1001));
	assert_false(remember_has(r, 1, 5, "secret", 6, 1001));
	/* Off. */
	remember_put(r, 1, 5, "secret", 6, 1000, 0);
	assert_false(remember_has(r, 1, 5, "secret", 6, 1000));
	/* Bounded: the one that expires first makes room. */
	for (uint64_t i = 0; i < 6; i++)
		remember_put(r, 3 + i * 1024, 5, "secret", 6, 1000 + i, 500);
	assert_false(remember_has(r, 3, 5, "secret", 6, 1010));
	assert_false(remember_has(r, 3 + 1024, 5, "secret", 6, 1010));
	assert_true(remember_has(r, 3 + 2 * 1024, 5, "secret", 6, 1010));
	assert_true(remember_has(r, 3 + 5 * 1024, 5, "secret", 6, 1010));
	remember_sweep(r, 1503);
	assert_false(remember_has(r, 3 + 2 * 1024, 5, "secret", 6, 1010));
	assert_true(remember_has(r, 3 + 5 * 1024, 5, "secret", 6, 1010));
	free(r);
}

static void
init_known(struct queue_job *job, const char *client)
{
	init_job(job, client);
	job->known = true;
}

/* Known clients have room and every second turn, however full the rest is. */
static void
test_queue_spares_known(void **state)
{
	struct queue_job *jobs = calloc(QUEUE_MAX + QUEUE_KNOWN_MAX + 1, sizeof(*jobs));
	char client[32];
	struct queue q;

	(void)state;
	queue_init(&q);
	for (size_t i = 0; i < QUEUE_MAX; i++) {
		snprintf(client, sizeof(client), "10.0.%zu.1:1", i % 250);
		init_job(&jobs[i], client);
		assert_int_equal(queue_put(&q, &jobs[i], false), ERR_OK);
	}
	for (size_t i = 0; i <= QUEUE_KNOWN_MAX; i++) {
		snprintf(client, sizeof(client), "10.1.%zu.1:1", i);
		init_known(&jobs[QUEUE_MAX + i], client);
		assert_int_equal(queue_put(&q, &jobs[QUEUE_MAX + i], false), i < QUEUE_KNOWN_MAX ? ERR_OK : ERR_BUSY);
	}
	for (size_t i = 0; i < 2 * QUEUE_KNOWN_MAX; i++)
		check_row(i, queue_take(&q)->known == (i % 2 == 0));
	for (size_t i = QUEUE_KNOWN_MAX; i < QUEUE_MAX; i++)
		check_row(i, !queue_take(&q)->known);
	assert_null(queue_take(&q));
	assert_int_equal(q.n + q.nknown, 0);
	free(jobs);
}

static void
test_throttle(void **state)
{
	const struct throttle_rule rule = { 4, 1000 };
	struct netaddr a, near, far, own, other_own;
	struct throttle *t;

	(void)state;
	assert_int_equal(throttle_open(&t), ERR_OK);
	assert_int_equal(netaddr_parse(&a, "192.0.2.1:5"), ERR_OK);
	assert_int_equal(netaddr_parse(&near, "192.0.2.200:6"), ERR_OK);
	assert_int_equal(netaddr_parse(&far, "192.0.3.1:5"), ERR_OK);
	assert_int_equal(netaddr_parse(&own, "127.0.0.1:5"), ERR_OK);
	assert_int_equal(netaddr_parse(&other_own, "127.0.0.2:5"), ERR_OK);
	assert_false(throttle_note_wrong(t, 0, &a, 100, &rule));
	assert_int_equal(throttle_slowness(t, 0, &a, 100, &rule), 1);
	assert_false(throttle_note_wrong(t, 0, &near, 200, &rule));
	assert_int_equal(throttle_slowness(t, 0, &a, 200, &rule), 2);
	assert_false(throttle_note_wrong(t, 0, &a, 300, &rule));
	assert_int_equal(throttle_slowness(t, 0, &near, 300, &rule), 4);
	assert_int_equal(throttle_wait(t, 0, &a, 300), 0);
	assert_true(throttle_note_wrong(t, 0, &a, 400, &rule));
	assert_int_equal(throttle_wait(t, 0, &near, 500), 900);
	assert_int_equal(throttle_wait(t, 0, &far, 500), 0);
	assert_int_equal(throttle_wait(t, 7, &a, 500), 0);	/* another account's entry */
	assert_int_equal(throttle_wait(t, 0, &a, 1400), 0);
	/* Those that are too old do not count. */
	for (uint64_t now = 2000; now < 20000; now += 500)
		assert_false(throttle_note_wrong(t, 0, &far, now, &rule));
	for (size_t i = 0; i < 100; i++)
		assert_false(throttle_note_wrong(t, 0, &a, 30000, &(struct throttle_rule){ 0, 1000 }));
	/* Good ones, by account and network; loopback addresses are networks by themselves. */
	throttle_note_good(t, 7, &own, 100);
	assert_true(throttle_is_known(t, 7, &own));
	assert_false(throttle_is_known(t, 7, &other_own));
	assert_false(throttle_is_known(t, 8, &own));
	/* However many come, it does not grow, and the latest are there. */
	for (uint32_t i = 0; i < 100000; i++) {
		struct netaddr one = { .family = 4, .octets = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };

		one.octets[0] = (uint8_t)(1 + i % 100);
		throttle_note_good(t, i, &one, 50000 + i);
		assert_true(throttle_is_known(t, i, &one));
	}
	free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue_is_fair),
		cmocka_unit_test(test_queue_is_bounded),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_remember),
		cmocka_unit_test(test_queue_spares_known),
		cmocka_unit_test(test_throttle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
