/*
 * Network addresses and networks: text forms, the kernel's forms, membership.
 */
#include <netinet/in.h>
#include <string.h>

#include "err.h"
#include "netaddr.h"
#include "unit.h"

static void
addresses(void **state)
{
	static const struct {
		const char	*text, *shown;	/* shown NULL: refused */
	} rows[] = {
		{ "127.0.0.1:587", "127.0.0.1:587" },
		{ "0.0.0.0:25", "0.0.0.0:25" },
		{ "[::1]:587", "[::1]:587" },
		{ "[::]:465", "[::]:465" },
		{ "*:587", "[::]:587" },
		{ ":587", "[::]:587" },
		{ "[2001:DB8:0:0::1]:1", "[2001:db8::1]:1" },
		{ "[::ffff:192.0.2.1]:25", "192.0.2.1:25" },
		{ "127.0.0.1:65535", "127.0.0.1:65535" },
		{ "127.0.0.1:0", "127.0.0.1:0" },
		{ "127.0.0.1:65536", NULL },
		{ "127.0.0.1:", NULL },
		{ "127.0.0.1", NULL },
		{ "127.0.0.1:25x", NULL },
		{ "127.0.0.1: 25", NULL },
		{ "127.0.0.1:-1", NULL },
		{ "127.0.0.1:+1", NULL },
		{ "127.0.0:25", NULL },
		{ "127.0.0.256:25", NULL },
		{ "::1:25", NULL },
		{ "[::1]25", NULL },
		{ "[::1:25", NULL },
		{ "::1]:25", NULL },
		{ "[::g]:25", NULL },
		{ "[fe80::1%lo]:25", NULL },
		{ "localhost:25", NULL },
		{ "", NULL },
		{ ":", NULL },
		{ "[]:25", "[::]:25" },
		{ "[1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]:25", NULL },
		{ "[1111:2222:3333:4444:5555:6666:7777:8888]:65535", "[1111:2222:3333:4444:5555:6666:7777:8888]:65535" },
	};
	char shown[NETADDR_TEXT];
	struct netaddr a, b;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_row(i, netaddr_parse(&a, rows[i].text) == (rows[i].shown != NULL ? ERR_OK : ERR_SYNTAX));
		if (rows[i].shown != NULL)
			check_row(i, strcmp(netaddr_put(shown, &a), rows[i].shown) == 0);
	}
	a = (struct netaddr){ .family = 0 };
	assert_string_equal(netaddr_put_host(shown, &a), "-");
	a = netaddr_of_user(4294967294U);
	assert_string_equal(netaddr_put_host(shown, &a), "local uid=4294967294");
	assert_string_equal(netaddr_put(shown, &a), "local uid=4294967294");
	assert_int_equal(netaddr_user(&a), 4294967294U);
	b = netaddr_network(&a, 24, 64);
	assert_true(netaddr_is_equal(&a, &b));
	b = netaddr_of_user(4294967293U);
	assert_false(netaddr_is_equal(&a, &b) || netaddr_is_loopback(&a));
}

static void
networks(void **state)
{
	static const struct {
		const char	*network, *address;	/* address NULL: the network is refused */
		bool		 inside;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.255.255:1", true },
		{ "10.0.0.0/8", "11.0.0.0:1", false },
		{ "192.168.1.0/24", "192.168.1.255:1", true },
		{ "192.168.1.0/24", "192.168.2.0:1", false },
		{ "192.0.2.128/25", "192.0.2.127:1", false },
		{ "192.0.2.128/25", "192.0.2.128:1", true },
		{ "192.0.2.1", "192.0.2.1:1", true },
		{ "192.0.2.1/32", "192.0.2.2:1", false },
		{ "0.0.0.0/0", "255.255.255.255:1", true },
		{ "0.0.0.0/0", "[::1]:1", false },
		{ "::/0", "127.0.0.1:1", false },
		{ "::/0", "[ffff::1]:1", true },
		{ "fd00::/8", "[fdff:ffff::1]:1", true },
		{ "fd00::/8", "[fe00::1]:1", false },
		{ "2001:db8::/33", "[2001:db8:7fff::1]:1", true },
		{ "2001:db8::/33", "[2001:db8:8000::1]:1", false },
		{ "::1", "[::1]:1", true },
		{ "10.0.0.1/8", NULL, false },
		{ "fd00::1/8", NULL, false },
		{ "10.0.0.0/33", NULL, false },
		{ "::/129", NULL, false },
		{ "10.0.0.0/", NULL, false },
		{ "10.0.0.0/x", NULL, false },
		{ "/8", NULL, false },
		{ "", NULL, false },
		{ "10.0.0.0/8/8", NULL, false },
		{ "10.0.0.0/-1", NULL, false },
	};
	struct netmask m;
	struct netaddr a;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_row(i, netmask_parse(&m, rows[i].network) == (rows[i].address != NULL ? ERR_OK : ERR_SYNTAX));
		if (rows[i].address == NULL)
			continue;
		check_row(i, netaddr_parse(&a, rows[i].address) == ERR_OK);
		check_row(i, netaddr_is_in(&a, &m) == rows[i].inside);
	}
}

static void
facts(void **state)
{
	static const struct {
		const char	*text;
		bool		 loopback, any;
	} rows[] = {
		{ "127.0.0.1:1", true, false }, { "127.255.255.254:1", true, false }, { "128.0.0.1:1", false, false },
		{ "[::1]:1", true, false }, { "[::2]:1", false, false }, { "[::ffff:127.0.0.1]:1", true, false },
		{ "0.0.0.0:1", false, true }, { "*:1", false, true }, { "[::]:1", false, true },
	};
	struct netaddr a, b;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_row(i, netaddr_parse(&a, rows[i].text) == ERR_OK);
		check_row(i, netaddr_is_loopback(&a) == rows[i].loopback);
		check_row(i, netaddr_is_any(&a) == rows[i].any);
	}
	assert_int_equal(netaddr_parse(&a, "[2001:db8:1:2:3:4:5:6]:25"), ERR_OK);
	b = netaddr_network(&a, 24, 64);
	assert_int_equal(netaddr_parse(&a, "[2001:db8:1:2::]:0"), ERR_OK);
	assert_true(netaddr_is_equal(&a, &b));
	assert_int_equal(netaddr_parse(&a, "192.0.2.77:25"), ERR_OK);
	b = netaddr_network(&a, 24, 64);
	assert_int_equal(netaddr_parse(&a, "192.0.2.0:0"), ERR_OK);
	assert_true(netaddr_is_equal(&a, &b));
	a.port = 1;
	assert_false(netaddr_is_equal(&a, &b));
}

static void
sockaddrs(void **state)
{
	static const char *const texts[] = { "127.0.0.1:587", "[::1]:465", "[2001:db8::5]:1", "255.255.255.255:65535" };
	struct sockaddr_storage ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	struct netaddr a, b;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		check_row(i, netaddr_parse(&a, texts[i]) == ERR_OK);
		check_row(i, netaddr_to_sockaddr(&a, &ss) == (a.family == 4 ? sizeof(struct sockaddr_in) : sizeof(*in6)));
		check_row(i, netaddr_from_sockaddr(&b, &ss) == ERR_OK);
		check_row(i, netaddr_is_equal(&a, &b));
	}
	memset(&ss, 0, sizeof(ss));
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(25);
	memcpy(&in6->sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
	assert_int_equal(netaddr_from_sockaddr(&a, &ss), ERR_OK);
	assert_int_equal(a.family, 4);
	assert_true(netaddr_is_loopback(&a));
	ss.ss_family = AF_UNIX;
	assert_int_equal(netaddr_from_sockaddr(&a, &ss), ERR_SYNTAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(networks),
		cmocka_unit_test(facts),
		cmocka_unit_test(sockaddrs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
