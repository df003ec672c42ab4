/*
 * Messages of an hour: never more than the limit in any sixty minutes, and when there may be one again.
 */
#include <stdlib.h>

#include "unit.h"

#include "err.h"
#include "rates.h"

#define MINUTE 60000ULL
#define HOUR (60 * MINUTE)

static struct rates *rates;

static int
set_up(void **state)
{
	(void)state;
	return rates_open(&rates);
}

static int
tear_down(void **state)
{
	(void)state;
	rates_sweep(rates, UINT64_MAX / 2);
	free(rates);
	return 0;
}

static void
test_limit(void **state)
{
	uint64_t now = 100 * HOUR + 30000, wait;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rates_wait(rates, RATE_OF_ACCOUNT, 5, 3, now), 0);
		assert_int_equal(rates_take(rates, RATE_OF_ACCOUNT, 5, now), ERR_OK);
	}
	wait = rates_wait(rates, RATE_OF_ACCOUNT, 5, 3, now);
	assert_true(wait >= HOUR && wait <= HOUR + MINUTE);
	/* Others have their own; a larger limit leaves room. */
	assert_int_equal(rates_wait(rates, RATE_OF_CREDENTIAL, 5, 3, now), 0);
	assert_int_equal(rates_wait(rates, RATE_OF_ACCOUNT, 6, 3, now), 0);
	assert_int_equal(rates_wait(rates, RATE_OF_ACCOUNT, 5, 4, now), 0);
	/* To the millisecond as it was said. */
	assert_true(rates_wait(rates, RATE_OF_ACCOUNT, 5, 3, now + wait - 1) == 1);
	assert_int_equal(rates_wait(rates, RATE_OF_ACCOUNT, 5, 3, now + wait), 0);
}

static void
test_oldest_goes_first(void **state)
{
	uint64_t now = 100 * HOUR, wait;

	(void)state;
	/* One a minute, ten minutes long. */
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(rates_take(rates, RATE_OF_ACCOUNT, 5, now + i * MINUTE), ERR_OK);
	now += 9 * MINUTE;
	wait = rates_wait(rates, RATE_OF_ACCOUNT, 5, 10, now);
	assert_int_equal(wait, 52 * MINUTE);
	assert_int_equal(rates_wait(rates, RATE_OF_ACCOUNT, 5, 10, now + wait), 0);
	/* A smaller limit waits for more of them. */
	assert_int_equal(rates_wait(rates, RATE_OF_ACCOUNT, 5, 1, now), 61 * MINUTE);
}

static void
test_any_hour(void **state)
{
	uint64_t taken[64] = { 0 }, now = 100 * HOUR + 17;
	size_t n = 0;

	(void)state;
	/* Whoever takes as soon as it may, for five hours, never has more than 7 in an hour. */
	for (uint64_t end = now + 5 * HOUR; now < end; now += 7001) {
		if (rates_wait(rates, RATE_OF_ACCOUNT, 5, 7, now) != 0)
			continue;
		assert_int_equal(rates_take(rates, RATE_OF_ACCOUNT, 5, now), ERR_OK);
		if (n >= 7)
			assert_true(now - taken[n - 7] > HOUR);
		assert_true(n < COUNT(taken));
		taken[n++] = now;
	}
	assert_true(n >= 4 * 7);
}

static void
test_given_back(void **state)
{
	uint64_t now = 100 * HOUR;

	(void)state;
	assert_int_equal(rates_take(rates, RATE_OF_ACCOUNT, 5, now), ERR_OK);
	assert_int_equal(rates_take(rates, RATE_OF_ACCOUNT, 5, now + MINUTE), ERR_OK);
	assert_true(rates_wait(rates, RATE_OF_ACCOUNT, 5, 2, now + MINUTE) != 0);
	rates_give_back(rates, RATE_OF_ACCOUNT, 5, now, now + MINUTE);
	assert_int_equal(rates_wait(rates, RATE_OF_ACCOUNT, 5, 2, now + MINUTE), 0);
	/* Of what counts no more, or never did, nothing is taken. */
	rates_give_back(rates, RATE_OF_ACCOUNT, 5, now, now + MINUTE);
	rates_give_back(rates, RATE_OF_ACCOUNT, 7, now, now);
	rates_give_back(rates, RATE_OF_ACCOUNT, 5, now + MINUTE, now + 2 * HOUR);
	assert_true(rates_wait(rates, RATE_OF_ACCOUNT, 5, 1, now + MINUTE) != 0);
	assert_int_equal(rates_take(rates, RATE_OF_ACCOUNT, 5, now + 2 * HOUR), ERR_OK);
	rates_give_back(rates, RATE_OF_ACCOUNT, 5, now + MINUTE, now + 2 * HOUR);
	assert_true(rates_wait(rates, RATE_OF_ACCOUNT, 5, 1, now + 2 * HOUR) != 0);
}

static void
test_sweep(void **state)
{
	uint64_t now = 100 * HOUR;

	(void)state;
	for (uint64_t id = 1; id <= 5000; id++)
		assert_int_equal(rates_take(rates, RATE_OF_CREDENTIAL, id, now), ERR_OK);
	rates_sweep(rates, now + HOUR);
	assert_true(rates_wait(rates, RATE_OF_CREDENTIAL, 5000, 1, now + HOUR) != 0);
	rates_sweep(rates, now + HOUR + MINUTE);
	assert_int_equal(rates_wait(rates, RATE_OF_CREDENTIAL, 5000, 1, now), 0);	/* it is gone */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_oldest_goes_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_any_hour, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_given_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sweep, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
