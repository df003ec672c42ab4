/*
 * Names and records of the DNS as the relay's resolver reads them, and domains as it asks for them.
 */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "resolver_records.h"
#include "unit.h"

static void
names_of_the_wire(void **state)
{
	static const struct {
		const char	*wire;
		size_t		 n;
		const char	*name;		/* NULL: none for a host */
	} rows[] = {
		{ "\0", 1, "" },
		{ "\2mx\7example\3org\0", 16, "mx.example.org" },
		{ "\2MX\7eXample\3ORG\0", 16, "mx.example.org" },
		{ "\5mx_-1\0", 7, "mx_-1" },
		{ "", 0, NULL },
		{ "\2mx", 3, NULL },			/* no end */
		{ "\2mx\0\0", 5, NULL },		/* something behind it */
		{ "\xc0\x0c", 2, NULL },		/* compressed */
		{ "\3m.x\0", 5, NULL },
		{ "\3m x\0", 5, NULL },
		{ "\3m\nx\0", 5, NULL },
		{ "\3m\0x\0", 5, NULL },
		{ "\3m\xc3\xbc\0", 5, NULL },
		{ "\5mx", 3, NULL },
	};
	char name[RESOLVE_NAME];
	uint8_t longest[300];
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int err = records_get_name((const uint8_t *)rows[i].wire, rows[i].n, name);

		check_row(i, (err == ERR_OK) == (rows[i].name != NULL) && (err != ERR_OK || strcmp(name, rows[i].name) == 0));
	}
	/* Cut at every octet, in memory that ends there: the sanitizer build looks. */
	for (size_t n = 0; n < 16; n++) {
		uint8_t *p = malloc(n + 1);

		memcpy(p, "\2mx\7example\3org\0", n);
		p = realloc(p, n != 0 ? n : 1);
		assert_int_equal(records_get_name(p, n, name), ERR_SYNTAX);
		free(p);
	}
	/* 253 octets as text are the most there can be. */
	for (int i = 0; i < 3; i++) {
		longest[at++] = 63;
		memset(longest + at, 'a', 63);
		at += 63;
	}
	longest[at++] = 61;
	memset(longest + at, 'b', 62);
	at += 61;
	longest[at] = 0;
	assert_int_equal(records_get_name(longest, at + 1, name), ERR_OK);
	assert_int_equal(strlen(name), 253);
	longest[at - 62]++;
	longest[at] = 'b';
	longest[at + 1] = 0;
	assert_int_equal(records_get_name(longest, at + 2, name), ERR_SYNTAX);
}

static void
exchangers(void **state)
{
	static const struct {
		const char	*data[4];
		int		 len[4];
		size_t		 n;
		uint16_t	 first;
		const char	*name;
	} rows[] = {
		{ { "\0\012\1a\0", NULL }, { 5 }, 1, 10, "a" },
		{ { "\0\012\1a\0", "\0\5\1b\0", NULL }, { 5, 5 }, 2, 5, "b" },
		{ { "\0\5\1a\0", "\0\5\1b\0", NULL }, { 5, 5 }, 2, 5, "a" },
		{ { "\0\0\0", NULL }, { 3 }, 1, 0, "" },			/* RFC 7505 */
		{ { "\0\1\3m@x\0", "\xff\xff\1b\0", NULL }, { 7, 5 }, 1, 65535, "b" },	/* the first is no host */
		{ { "\0\1\3m@x\0", NULL }, { 7 }, 0, 0, NULL },
		{ { "\0", NULL }, { 1 }, 0, 0, NULL },
		{ { "\0\1", NULL }, { 2 }, 0, 0, NULL },
		{ { NULL }, { 0 }, 0, 0, NULL },
	};
	static struct ipc_resolve_answer a;
	static char data[40][8];
	char *many[41];
	int len[40];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		records_get_mx((char *const *)(uintptr_t)rows[i].data, rows[i].len, &a);
		check_row(i, a.n == rows[i].n);
		check_row(i, a.n == 0 || (a.hosts[0].preference == rows[i].first && strcmp(a.hosts[0].name, rows[i].name) == 0));
	}
	/* Forty, worst first: the best twenty are left, in order. */
	for (int i = 0; i < 40; i++) {
		data[i][1] = (char)(100 - i);
		data[i][2] = 1;
		data[i][3] = (char)('a' + i % 26);
		many[i] = data[i];
		len[i] = 5;
	}
	many[40] = NULL;
	records_get_mx(many, len, &a);
	assert_int_equal(a.n, RESOLVE_MAX);
	for (size_t i = 0; i < RESOLVE_MAX; i++)
		check_row(i, a.hosts[i].preference == 61 + i && a.hosts[i].name[0] == 'a' + (39 - (int)i) % 26);
}

static void
addresses(void **state)
{
	static char six[16] = "\x20\x01\x0d\xb8", four[4] = "\xc0\x00\x02\x01", odd[5] = "";
	char *of_six[] = { six, NULL }, *of_four[] = { four, odd, four, NULL }, *many[RESOLVE_MAX + 2];
	int six_len[] = { 16 }, four_len[] = { 4, 5, 4 }, many_len[RESOLVE_MAX + 1];
	static struct ipc_resolve_answer a;

	(void)state;
	records_get_addresses(of_six, six_len, &a);
	records_get_addresses(of_four, four_len, &a);
	assert_int_equal(a.n, 3);
	assert_int_equal(a.addresses[0].family, 6);
	assert_int_equal(a.addresses[1].family, 4);
	assert_memory_equal(a.addresses[1].octets, four, 4);
	for (size_t i = 0; i <= RESOLVE_MAX; i++) {
		many[i] = four;
		many_len[i] = 4;
	}
	many[RESOLVE_MAX + 1] = NULL;
	records_get_addresses(many, many_len, &a);
	assert_int_equal(a.n, RESOLVE_MAX);
}

static void
domains(void **state)
{
	static const struct {
		const char *domain, *name;
	} rows[] = {
		{ "example.org", "example.org" }, { "Example.ORG.", "example.org" }, { "_dmarc.x-1.org", "_dmarc.x-1.org" },
		{ "b\xc3\xbc""cher.example", "xn--bcher-kva.example" }, { "\xc3\xbc", "xn--tda" },
		{ "\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88", "xn--r8jz45g.xn--zckzah" },	/* from the IDN tests */
		{ "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xbc\xd0\xb5\xd1\x80.\xd0\xb8\xd1\x81\xd0\xbf\xd1\x8b\xd1\x82\xd0\xb0\xd0\xbd\xd0\xb8\xd0\xb5",
		    "xn--e1afmkfd.xn--80akhbyknj4f" },
		{ "\xf0\x9f\x92\xa9.la", "xn--ls8h.la" },
		{ "", NULL }, { ".", NULL }, { "..", NULL }, { "a..b", NULL }, { ".a", NULL }, { "a b", NULL }, { "[192.0.2.1]", NULL },
		{ "a@b", NULL }, { "a\nb", NULL }, { "\xff.org", NULL }, { "\xc3.org", NULL }, { "\xed\xa0\x80.org", NULL },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org", NULL },
	};
	char name[RESOLVE_NAME], text[400];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int err = records_put_name(rows[i].domain, name);

		if ((err == ERR_OK) != (rows[i].name != NULL) || (err == ERR_OK && strcmp(name, rows[i].name) != 0)) {
			print_error("row %zu: %d %s\n", i, err, err == ERR_OK ? name : "");
			fail();
		}
	}
	/* As long as there may be, and longer; labels that grow as they are encoded. */
	for (size_t n = 1; n < 199; n++) {
		for (size_t i = 0; i < n; i++)
			snprintf(text + 2 * i, 3, i % 20 == 19 ? "a." : i % 3 == 0 ? "\xc3\xbc" : "ab");
		records_put_name(text, name);	/* the sanitizer build looks */
		assert_true(strlen(name) < RESOLVE_NAME);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_the_wire),
		cmocka_unit_test(exchangers),
		cmocka_unit_test(addresses),
		cmocka_unit_test(domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
