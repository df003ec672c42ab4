/*
 * What MIME's smaller parsers make of their octets: decoded sizes at every cut, names as they are shown, fields too
 * long.
 */
#include <string.h>

#include "unit.h"

#include "mime.h"

struct count_case {
	const char	*text;
	size_t		 n;
	uint64_t	 octets, before_delimiter;
};

static const struct count_case plain[] = {
	{ TEXT(""), 0, 0 }, { TEXT("a"), 1, 1 }, { TEXT("a\r\n"), 3, 1 }, { TEXT("\r\n"), 2, 0 }, { TEXT("a\n"), 2, 1 },
	{ TEXT("a\r\n\r\n"), 5, 3 }, { TEXT("a\0b \r\n"), 6, 4 }, { TEXT("=41\r\n"), 5, 3 },
};

static const struct count_case base64[] = {
	{ TEXT(""), 0, 0 }, { TEXT("\r\n\r\n"), 0, 0 }, { TEXT("QUJD\r\n"), 3, 3 }, { TEXT("QUI=\r\n"), 2, 2 },
	    { TEXT("QQ==\r\n"), 1, 1 },
	/* Without padding, with too much, one character too many. */
	{ TEXT("QUI\r\n"), 2, 2 }, { TEXT("QQ"), 1, 1 }, { TEXT("Q"), 0, 0 }, { TEXT("QUJDQ"), 3, 3 },
	    { TEXT("QQ======\r\n"), 1, 1 },
	/* Lines, blanks and junk anywhere. */
	{ TEXT("Q\r\nU J\tD"), 3, 3 }, { TEXT("Q-U_J!D.\x80\xff*\0?"), 3, 3 }, { TEXT("QUJD\r\n\r\nQUJD\r\n"), 6, 6 },
	/* Several texts one behind the other. */
	{ TEXT("QQ==QQ==\r\nQUI=QQ"), 5, 5 }, { TEXT("Q=Q=Q=Q="), 0, 0 }, { TEXT("+/+/"), 3, 3 },
	{ TEXT("QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUI=\r\n"), 56, 56 },
};

static const struct count_case quoted[] = {
	{ TEXT(""), 0, 0 }, { TEXT("abc\r\n"), 5, 3 }, { TEXT("=41=e4=E4\r\n"), 5, 3 }, { TEXT("a=\r\nb\r\n"), 4, 2 },
	/* Blanks at a line's end, behind a soft break, inside. */
	{ TEXT("a \t \r\nb"), 4, 4 }, { TEXT("a= \t\r\nb\r\n"), 4, 2 }, { TEXT(" a b \r\n"), 6, 4 }, { TEXT(" \r\n"), 2,
	    0 },
	/* A soft break has no line end that a delimiter could take. */
	{ TEXT("ab=\r\n"), 2, 2 }, { TEXT("=\r\n"), 0, 0 }, { TEXT("a\r\n=\r\n"), 3, 3 },
	/* What is none counts as it stands. */
	{ TEXT("=4X\r\n"), 5, 3 }, { TEXT("=XY\r\n"), 5, 3 }, { TEXT("=4\r\n"), 4, 2 }, { TEXT("==41\r\n"), 4, 2 },
	    { TEXT("= 4\r\n"), 5, 3 },
	{ TEXT("=4=41"), 3, 3 }, { TEXT("= =41"), 3, 3 }, { TEXT("=4 \r\n"), 4, 2 }, { TEXT("a\xe4\0\r\n"), 5, 3 },
	/* Line ends that are refused elsewhere. */
	{ TEXT("a=\nb\n"), 4, 2 }, { TEXT("=4\n"), 4, 2 },
};

static void
check_count(const char *what, size_t row, enum mime_encoding encoding, const struct count_case *c)
{
	for (size_t cut = 0; cut <= c->n; cut++) {
		struct mime_count count;

		mime_count_init(&count, encoding);
		mime_count_take(&count, (const uint8_t *)c->text, cut);
		if (cut != 0)
			mime_count_take(&count, (const uint8_t *)c->text + cut, c->n - cut);
		else
			for (size_t i = 0; i < c->n; i++)
				mime_count_take(&count, (const uint8_t *)c->text + i, 1);
		if (mime_count_get(&count, false) == c->octets && mime_count_get(&count, true) == c->before_delimiter)
			continue;
		print_error("%s, row %zu, cut at %zu: %llu octets, %llu before a delimiter\n", what, row, cut,
		    (unsigned long long)mime_count_get(&count, false), (unsigned long long)mime_count_get(&count,
		    true));
		fail();
	}
}

static void
decoded_octets_are_counted(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(plain); i++) {
		check_count("plain", i, MIME_PLAIN, &plain[i]);
		check_count("unknown", i, MIME_UNKNOWN, &plain[i]);
	}
	for (size_t i = 0; i < COUNT(base64); i++)
		check_count("base64", i, MIME_BASE64, &base64[i]);
	for (size_t i = 0; i < COUNT(quoted); i++)
		check_count("quoted-printable", i, MIME_QUOTED_PRINTABLE, &quoted[i]);
}

static void
names_are_read(void **state)
{
	static const struct { const char *disposition; const char *type; const char *name; } rows[] = {
		{ "attachment; filename=a.pdf", "", "a.pdf" },
		{ "attachment; FileName = \"a b.pdf\" ", "", "a b.pdf" },
		{ "attachment; filename=\"a\\\"b\\\\.pdf\"", "", "a\"b\\.pdf" },
		{ "attachment; filename=\"never closed", "", "never closed" },
		{ "attachment; filename=a.pdf", "x/y; name=b.pdf", "a.pdf" },
		{ "attachment", "x/y; name=b.pdf", "b.pdf" },
		{ "attachment; filename=\"\"", "x/y; name=b.pdf", "b.pdf" },
		{ "attachment; xfilename=a; filename-x=b", "", "" },
		{ "filename=a.pdf", "", "" },
		{ "; filename=a.pdf", "", "a.pdf" },
		{ "attachment filename=a.pdf;;;", "", "a.pdf" },
		{ "attachment; filename(c)=(d)a.pdf(e)", "", "a.pdf" },
		/* RFC 2231. */
		{ "attachment; filename*=UTF-8''%C3%9Cbung%20%E2%82%AC.pdf", "", "?bung ?.pdf" },
		{ "attachment; filename*=iso-8859-1'de'%DCbung.pdf; filename=x", "", "?bung.pdf" },
		{ "attachment; filename=x; filename*0=\"a \"; filename*1*=%62; filename*2=%63", "", "a b%63" },
		{ "attachment; filename*0*=utf-8''a%C3; filename*1*=%9Cb", "", "a?b" },
		{ "attachment; filename*0=a; filename*2=c; filename*1=b", "", "ab" },
		{ "attachment; filename*0=a; filename*0=b; filename*x=c; filename**=d", "", "a" },
		{ "attachment; filename*=a%4", "", "a%4" },
		{ "attachment; filename*=", "", "" },
		{ "attachment; filename*99999999999999999999=a", "", "" },
		/* RFC 2047, where it should not be. */
		{ "attachment; filename=\"=?UTF-8?B?w5xidW5n?=.pdf\"", "", "?bung.pdf" },
		{ "attachment; filename==?utf-8?q?=C3=9Cb_ng=2Epdf?=", "", "?b ng.pdf" },
		{ "attachment; filename=\"=?utf-8?B?YQ==?=  =?utf-8?B?Yg==?= c =?utf-8?Q?d?=\"", "", "ab c d" },
		{ "", "x/y; name=\"=?utf-8?Q?a?=\t=?utf-8?Q?b?=\"", "ab" },
		{ "attachment; filename=\"=?utf-8?B?!!?= =?utf-8?X?a?= =?utf-8?Q?a =?utf-8?Q =?\"", "",
		    "=?utf-8?B?!!?= =?utf-8?X?a?= =?utf-8?Q?a =?utf-8?Q =?" },
		{ "attachment; filename=\"=?utf-8?Q?" "?=\"", "x/y; name=b", "b" },
		/* Printable. */
		{ "attachment; filename=\"  a\x01\x7f\tb \"", "", "a???b" },
		{ "attachment; filename=\"\xc3\x9c\xe2\x82\xac\"", "", "??" },
		{ "attachment; filename=\"\xc3\x9c\xe4\"", "", "???" },
		{ "attachment; filename=\"=?utf-8?B?DQoyNTA=?=\"", "", "??250" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		/* The order of the fields does not matter. */
		for (int order = 0; order < 2; order++) {
			struct mime_part p;

			mime_part_init(&p, false);
			for (int field = 0; field < 2; field++) {
				bool is_type = field == order;
				const char *value = is_type ? rows[i].type : rows[i].disposition;

				mime_part_take(&p, is_type ? MIME_FIELD_TYPE : MIME_FIELD_DISPOSITION,
				    (const uint8_t *)value,
				    strlen(value), false);
			}
			if (strcmp(p.name, rows[i].name) != 0)
				print_error("name %s\n", p.name);
			check_row(i, strcmp(p.name, rows[i].name) == 0);
		}
	}
}

static void
names_are_bounded(void **state)
{
	char value[4096] = "attachment; filename=", expected[MIME_NAME_MAX];
	size_t start = strlen(value);

	(void)state;
	memset(value + start, 'x', sizeof(value) - start);
	for (size_t n = 0; n + start <= sizeof(value); n += n < 200 ? 1 : 97) {
		struct mime_part p;

		mime_part_init(&p, false);
		mime_part_take(&p, MIME_FIELD_DISPOSITION, (const uint8_t *)value, start + n, false);
		memset(expected, 'x', sizeof(expected));
		expected[n < sizeof(expected) ? n : sizeof(expected) - 1] = 0;
		if (n >= sizeof(expected))
			memcpy(expected + sizeof(expected) - 4, "...", 3);
		assert_string_equal(p.name, expected);
	}
}

/* What stands behind the part of a field that is read could be anything. */
static void
long_fields_are_attachments(void **state)
{
	struct mime_part p;

	(void)state;
	mime_part_init(&p, false);
	mime_part_take(&p, MIME_FIELD_TYPE, (const uint8_t *)"text/plain", 10, true);
	assert_true(p.is_attachment);
	mime_part_init(&p, false);
	mime_part_take(&p, MIME_FIELD_DISPOSITION, (const uint8_t *)"inline", 6, true);
	assert_true(p.is_attachment);
	mime_part_init(&p, false);
	mime_part_take(&p, MIME_FIELD_ENCODING, (const uint8_t *)"base64", 6, true);
	assert_false(p.is_attachment);
	assert_int_equal(p.encoding, MIME_UNKNOWN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoded_octets_are_counted), cmocka_unit_test(names_are_read),
		cmocka_unit_test(names_are_bounded), cmocka_unit_test(long_fields_are_attachments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
