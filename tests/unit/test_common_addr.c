/*
 * The mailbox grammar (RFC 5321, 4.1.2; RFC 6531, 3.3): what is a mailbox, how it is kept, when two are the same.
 */
#include <string.h>

#include "addr.h"
#include "err.h"
#include "unit.h"

static const struct {
	const char	*p;
	size_t		 n;
	bool		 utf8;
	const char	*text;		/* as kept; NULL: refused */
	size_t		 local_len;
} rows[] = {
	{ TEXT("alice@example.org"), false, "alice@example.org", 5 },
	{ TEXT("a@b"), false, "a@b", 1 },
	{ TEXT("Alice@Example.ORG"), false, "Alice@Example.ORG", 5 },
	{ TEXT("a.b.c@example.org"), false, "a.b.c@example.org", 5 },
	{ TEXT("!#$%&'*+-/=?^_`{|}~@example.org"), false, "!#$%&'*+-/=?^_`{|}~@example.org", 19 },
	{ TEXT("user+tag@example.org"), false, "user+tag@example.org", 8 },
	{ TEXT("a@my_host"), false, "a@my_host", 1 },
	{ TEXT("a@1.2.3.4"), false, "a@1.2.3.4", 1 },
	{ TEXT("a@-b.org"), false, NULL, 0 },
	{ TEXT("a@b-.org"), false, NULL, 0 },
	{ TEXT("a@b..org"), false, NULL, 0 },
	{ TEXT("a@.org"), false, NULL, 0 },
	{ TEXT("a@org."), false, NULL, 0 },
	{ TEXT("a@"), false, NULL, 0 },
	{ TEXT("@b"), false, NULL, 0 },
	{ TEXT("@"), false, NULL, 0 },
	{ TEXT(""), false, NULL, 0 },
	{ TEXT("alice"), false, NULL, 0 },
	{ TEXT("a@b@c"), false, NULL, 0 },
	{ TEXT(".a@b"), false, NULL, 0 },
	{ TEXT("a.@b"), false, NULL, 0 },
	{ TEXT("a..b@c"), false, NULL, 0 },
	{ TEXT("a b@c"), false, NULL, 0 },
	{ TEXT("a@b c"), false, NULL, 0 },
	{ TEXT(" a@b"), false, NULL, 0 },
	{ TEXT("a@b "), false, NULL, 0 },
	{ TEXT("<a@b>"), false, NULL, 0 },
	{ TEXT("a\0@b"), false, NULL, 0 },
	{ TEXT("a@b\0"), false, NULL, 0 },
	{ TEXT("a\r\n@b"), false, NULL, 0 },
	{ TEXT("a@b\r\nRCPT"), false, NULL, 0 },
	{ TEXT("a,b@c"), false, NULL, 0 },
	{ TEXT("a(b)@c"), false, NULL, 0 },
	{ TEXT("a:b@c"), false, NULL, 0 },
	{ TEXT("a@b:c"), false, NULL, 0 },
	{ TEXT("a\"b@c"), false, NULL, 0 },
	/* Quoted local parts; the quotes go where they are not needed. */
	{ TEXT("\"alice\"@example.org"), false, "alice@example.org", 5 },
	{ TEXT("\"a\\lice\"@example.org"), false, "alice@example.org", 5 },
	{ TEXT("\"a b\"@c"), false, "\"a b\"@c", 5 },
	{ TEXT("\"a@b\"@c"), false, "\"a@b\"@c", 5 },
	{ TEXT("\"a\\\"b\"@c"), false, "\"a\\\"b\"@c", 6 },
	{ TEXT("\"a\\\\b\"@c"), false, "\"a\\\\b\"@c", 6 },
	{ TEXT("\"\"@c"), false, "\"\"@c", 2 },
	{ TEXT("\".\"@c"), false, "\".\"@c", 3 },
	{ TEXT("\"a..b\"@c"), false, "\"a..b\"@c", 6 },
	{ TEXT("\"a.b\"@c"), false, "a.b@c", 3 },
	{ TEXT("\"<>\"@c"), false, "\"<>\"@c", 4 },
	{ TEXT("\"a\tb\"@c"), false, NULL, 0 },
	{ TEXT("\"a\nb\"@c"), false, NULL, 0 },
	{ TEXT("\"a\\\nb\"@c"), false, NULL, 0 },
	{ TEXT("\"a\x7f\"@c"), false, NULL, 0 },
	{ TEXT("\"a"), false, NULL, 0 },
	{ TEXT("\"a\""), false, NULL, 0 },
	{ TEXT("\"a\"@"), false, NULL, 0 },
	{ TEXT("\"a\\"), false, NULL, 0 },
	{ TEXT("\"a\\\"@c"), false, NULL, 0 },
	{ TEXT("\"a\"b@c"), false, NULL, 0 },
	{ TEXT("\"a\".b@c"), false, NULL, 0 },
	{ TEXT("\""), false, NULL, 0 },
	/* Literals. */
	{ TEXT("a@[192.0.2.1]"), false, "a@[192.0.2.1]", 1 },
	{ TEXT("a@[IPv6:2001:db8::1]"), false, "a@[IPv6:2001:db8::1]", 1 },
	{ TEXT("a@[ipv6:::1]"), false, "a@[ipv6:::1]", 1 },
	{ TEXT("a@[IPv6:::ffff:192.0.2.1]"), false, "a@[IPv6:::ffff:192.0.2.1]", 1 },
	{ TEXT("a@[2001:db8::1]"), false, NULL, 0 },
	{ TEXT("a@[192.0.2.256]"), false, NULL, 0 },
	{ TEXT("a@[192.0.2]"), false, NULL, 0 },
	{ TEXT("a@[192.0.2.1"), false, NULL, 0 },
	{ TEXT("a@192.0.2.1]"), false, NULL, 0 },
	{ TEXT("a@[]"), false, NULL, 0 },
	{ TEXT("a@["), false, NULL, 0 },
	{ TEXT("a@[IPv6:]"), false, NULL, 0 },
	{ TEXT("a@[IPv6:fe80::1%eth0]"), false, NULL, 0 },
	{ TEXT("a@[192.0.2.1].org"), false, NULL, 0 },
	{ TEXT("a@[x400:foo]"), false, NULL, 0 },
	/* UTF-8 (RFC 6531), only where SMTPUTF8 was said. */
	{ TEXT("j\xc3\xb6rg@example.org"), false, NULL, 0 },
	{ TEXT("j\xc3\xb6rg@example.org"), true, "j\xc3\xb6rg@example.org", 5 },
	{ TEXT("a@b\xc3\xbc" "cher.example"), false, NULL, 0 },
	{ TEXT("a@b\xc3\xbc" "cher.example"), true, "a@b\xc3\xbc" "cher.example", 1 },
	{ TEXT("\"j\xc3\xb6 rg\"@c"), true, "\"j\xc3\xb6 rg\"@c", 8 },
	{ TEXT("\"j\xc3\xb6 rg\"@c"), false, NULL, 0 },
	{ TEXT("j\xf6rg@example.org"), true, NULL, 0 },
	{ TEXT("\"j\xf6 rg\"@c"), true, NULL, 0 },
	{ TEXT("a@b\xfc" "cher"), true, NULL, 0 },
	{ TEXT("\xc0\x80@c"), true, NULL, 0 },
	{ TEXT("\xed\xa0\x80@c"), true, NULL, 0 },
};

static void
mailboxes(void **state)
{
	struct addr a, again;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int err = addr_parse(&a, rows[i].p, rows[i].n, rows[i].utf8);

		check_row(i, err == (rows[i].text != NULL ? ERR_OK : ERR_SYNTAX));
		if (err != ERR_OK)
			continue;
		check_row(i, strcmp(a.text, rows[i].text) == 0 && a.len == strlen(rows[i].text));
		check_row(i, a.local_len == rows[i].local_len && a.text[a.local_len] == '@');
		check_row(i, strcmp(addr_domain(&a), rows[i].text + rows[i].local_len + 1) == 0);
		check_row(i, !addr_is_null(&a));
		/* What was kept parses to itself. */
		check_row(i, addr_parse(&again, a.text, a.len, true) == ERR_OK && strcmp(again.text, a.text) == 0);
		check_row(i, addr_parse(&again, a.text, a.len, false) == (a.is_utf8 ? ERR_SYNTAX : ERR_OK));
	}
}

/* A mailbox whose local part has n octets, before @c. */
static int
parse_local(size_t n, bool quoted, struct addr *a)
{
	char text[600];
	size_t len = 0;

	if (quoted)
		text[len++] = '"';
	for (size_t i = 0; i < n; i++) {
		if (quoted)
			text[len++] = '\\';
		text[len++] = quoted ? '"' : 'x';
	}
	if (quoted)
		text[len++] = '"';
	memcpy(text + len, "@c", 2);
	return addr_parse(a, text, len + 2, false);
}

/* x@ and a domain of n octets in labels of 63, the last one shorter. */
static int
parse_domain(size_t n, struct addr *a)
{
	char text[600];

	text[0] = 'x';
	text[1] = '@';
	for (size_t i = 0; i < n; i++)
		text[2 + i] = i % 64 == 63 ? '.' : 'd';
	return addr_parse(a, text, 2 + n, false);
}

static void
limits(void **state)
{
	char text[ADDR_TEXT + 8];
	struct addr a;
	size_t n;

	(void)state;
	assert_int_equal(parse_local(63, false, &a), ERR_OK);
	assert_int_equal(parse_local(64, false, &a), ERR_OK);
	assert_int_equal(parse_local(65, false, &a), ERR_SYNTAX);
	assert_int_equal(parse_local(64, true, &a), ERR_OK);
	assert_int_equal(a.local_len, 130);
	assert_int_equal(parse_local(65, true, &a), ERR_SYNTAX);
	assert_int_equal(parse_domain(254, &a), ERR_OK);
	assert_int_equal(parse_domain(255, &a), ERR_OK);
	assert_int_equal(parse_domain(256, &a), ERR_SYNTAX);
	assert_int_equal(addr_parse(&a, "x@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b", 67, false), ERR_OK);
	assert_int_equal(addr_parse(&a, "x@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b", 68, false), ERR_SYNTAX);

	/* The longest that can be kept fills the text to its last octet. */
	n = 0;
	text[n++] = '"';
	for (size_t i = 0; i < ADDR_LOCAL_MAX; i++) {
		text[n++] = '\\';
		text[n++] = '"';
	}
	text[n++] = '"';
	text[n++] = '@';
	for (size_t i = 0; i < ADDR_DOMAIN_MAX; i++)
		text[n++] = i % 64 == 63 ? '.' : 'd';
	assert_int_equal(addr_parse(&a, text, n, false), ERR_OK);
	assert_int_equal(a.len, ADDR_TEXT - 1);
	assert_int_equal(strlen(a.text), ADDR_TEXT - 1);
}

/* Quotes that are not needed make no other mailbox; all else does. */
static void
one_form(void **state)
{
	static const struct {
		const char	*a, *b;
		bool		 same;
	} pairs[] = {
		{ "\"alice\"@example.org", "alice@example.org", true }, { "\"a b\"@c", "\"a\\ b\"@c", true },
		{ "Alice@example.org", "alice@example.org", false }, { "j\xc3\xb6rg@c", "j\xc3\x96rg@c", false },
	};
	struct addr a, b;

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		check_row(i, addr_parse(&a, pairs[i].a, strlen(pairs[i].a), true) == ERR_OK);
		check_row(i, addr_parse(&b, pairs[i].b, strlen(pairs[i].b), true) == ERR_OK);
		check_row(i, (strcmp(a.text, b.text) == 0) == pairs[i].same);
	}
	addr_set_null(&b);
	assert_true(addr_is_null(&b));
	assert_string_equal(addr_domain(&b), "");
	assert_string_equal(b.text, "");
}

static void
domains(void **state)
{
	(void)state;
	assert_true(addr_is_domain(TEXT("mail.example.org"), false));
	assert_true(addr_is_domain(TEXT("DESKTOP-1234"), false));
	assert_true(addr_is_domain(TEXT("[127.0.0.1]"), false));
	assert_true(addr_is_domain(TEXT("[IPv6:::1]"), false));
	assert_false(addr_is_domain(TEXT(""), false));
	assert_false(addr_is_domain(TEXT("[::1]"), false));
	assert_false(addr_is_domain(TEXT("a b"), false));
	assert_false(addr_is_domain(TEXT("a\0b"), false));
	assert_false(addr_is_domain(TEXT("[127.0.0.1\0]"), false));
	assert_false(addr_is_domain(TEXT("b\xc3\xbc"), false));
	assert_true(addr_is_domain(TEXT("b\xc3\xbc"), true));
	assert_false(addr_is_domain(TEXT("b\xc3"), true));
}

/* No octets whatever make it read or write where it may not (the sanitizer build looks). */
static void
noise(void **state)
{
	static const char alphabet[] = "a.\"\\@[]:-I6v \xc3\xb6\x00\r";
	uint32_t seed = 1;
	char text[48];
	struct addr a;

	(void)state;
	for (size_t round = 0; round < 200000; round++) {
		size_t n = round % sizeof(text);

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			text[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		if (addr_parse(&a, text, n, (round & 1) != 0) == ERR_OK)
			check_row(round, strlen(a.text) == a.len && a.len < ADDR_TEXT && a.text[a.local_len] == '@');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mailboxes),
		cmocka_unit_test(limits),
		cmocka_unit_test(one_form),
		cmocka_unit_test(domains),
		cmocka_unit_test(noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
