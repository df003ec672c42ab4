/*
 * Settings of delivery that are lists: the times between attempts, and name servers.
 */
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "err.h"
#include "unit.h"

static int
parse(struct conf *c, const char *text, struct conf_error *error)
{
	return conf_parse(c, text, strlen(text), error);
}

static void
times_between_attempts(void **state)
{
	static const struct {
		const char	*retry;
		unsigned	 tries;
		uint64_t	 ms;
	} rows[] = {
		{ "1m", 1, 60000 }, { "1m", 0, 60000 }, { "1m", 100, 60000 }, { "1m 5m", 1, 60000 }, { "1m 5m", 2, 300000 },
		{ "1m 5m", 3, 300000 }, { "1m, 5m,2h", 3, 7200000 }, { "  200ms\t1", 1, 200 }, { "200ms 1", 2, 1000 },
	};
	struct conf_error error;
	char text[256];
	struct conf c;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(text, sizeof(text), "[delivery]\nretry = %s\n", rows[i].retry);
		check_row(i, parse(&c, text, &error) == ERR_OK && conf_retry_ms(&c, rows[i].tries) == rows[i].ms);
	}
	assert_int_equal(parse(&c, "", &error), ERR_OK);
	assert_int_equal(conf_retry_ms(&c, 7), 4 * 3600 * 1000);
}

static void
name_servers(void **state)
{
	static const char *const servers[] = { "192.0.2.1:53", "[2001:db8::1]:53", "127.0.0.1:5353" };
	struct conf_error error;
	char text[NETADDR_TEXT];
	struct netaddr a;
	struct conf c;

	(void)state;
	assert_int_equal(parse(&c, "", &error), ERR_OK);
	assert_false(conf_dns_server(&c, 0, &a));
	assert_int_equal(parse(&c, "[dns]\nservers = 192.0.2.1, 2001:db8::1 127.0.0.1@5353\n", &error), ERR_OK);
	for (size_t i = 0; i < COUNT(servers); i++)
		check_row(i, conf_dns_server(&c, i, &a) && strcmp(netaddr_put(text, &a), servers[i]) == 0);
	assert_false(conf_dns_server(&c, 3, &a));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_between_attempts),
		cmocka_unit_test(name_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
