/*
 * The parts of postern-auth that know no socket: the fair queue, the slots of an account, moments to
 * come, remembered passwords.
 */
#include <stdlib.h>

#include "unit.h"

#include "counters.h"
#include "deadlines.h"
#include "err.h"
#include "queue.h"
#include "remember.h"

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

static void
test_queue_is_bounded(void **state)
{
	struct queue_job *jobs = calloc(QUEUE_MAX + 40, sizeof(*jobs));
	size_t accepted = 0;
	struct queue q;

	(void)state;
	queue_init(&q);
	for (size_t i = 0; i < 40; i++) {
		init_job(&jobs[i], "192.0.2.1:1");
		check_row(i, queue_put(&q, &jobs[i], false) == (i < QUEUE_NETWORK_MAX ? ERR_OK : ERR_BUSY));
	}
	for (size_t i = 40; i < QUEUE_MAX + 40; i++) {
		char client[32];

		snprintf(client, sizeof(client), "10.0.%zu.1:1", i % 250);
		init_job(&jobs[i], client);
		accepted += queue_put(&q, &jobs[i], false) == ERR_OK;
	}
	assert_int_equal(accepted, QUEUE_MAX - QUEUE_NETWORK_MAX);
	assert_int_equal(q.n, QUEUE_MAX);
	/* One that was accepted before always finds room, in front. */
	init_job(&jobs[39], "192.0.2.9:1");
	assert_int_equal(queue_put(&q, &jobs[39], true), ERR_OK);
	assert_ptr_equal(queue_take(&q), &jobs[39]);
	queue_remove(&q, &jobs[39]);
	for (size_t i = 0; i < QUEUE_MAX + 40; i++)
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue_is_fair),
		cmocka_unit_test(test_queue_is_bounded),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_remember),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
