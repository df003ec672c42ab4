/*
 * The pure bricks: buf, wire, str, base64, mem, err. Tables of cases, each limit one below, at and one above.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "buf.h"
#include "err.h"
#include "mem.h"
#include "str.h"
#include "unit.h"
#include "wire.h"

static void
buf_stays_in_its_bound(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(buf_put(&b, NULL, 0), ERR_OK);
	assert_int_equal(buf_put(&b, "123456789", 9), ERR_OK);
	assert_int_equal(buf_put(&b, "ab", 2), ERR_TOOBIG);
	assert_int_equal(b.len, 9);
	assert_int_equal(buf_put_str(&b, "a"), ERR_OK);
	assert_int_equal(buf_put(&b, "b", 1), ERR_TOOBIG);
	assert_int_equal(buf_put(&b, "b", SIZE_MAX), ERR_TOOBIG);
	assert_int_equal(buf_put_nul(&b), ERR_TOOBIG);
	assert_memory_equal(b.data, "123456789a", 10);
	assert_true(b.size <= b.max);
	buf_drop(&b, 0);
	buf_drop(&b, 9);
	assert_int_equal(b.len, 1);
	assert_int_equal(b.data[0], 'a');
	assert_int_equal(buf_put_nul(&b), ERR_OK);
	assert_int_equal(b.len, 1);
	assert_int_equal(b.data[1], 0);
	buf_drop(&b, 1);
	assert_int_equal(b.len, 0);
	buf_reset(&b);
	buf_wipe(&b);
	assert_null(b.data);
	assert_int_equal(b.max, 10);
	buf_free(&b);
}

static void
buf_grows_and_formats(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100000);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(buf_put_fmt(&b, "%04u", i), ERR_OK);
	assert_int_equal(b.len, 40000);
	assert_memory_equal(b.data + 39996, "9999", 4);
	assert_int_equal(buf_reserve(&b, 60000), ERR_OK);
	assert_true(b.size <= b.max);
	assert_int_equal(buf_reserve(&b, 60001), ERR_TOOBIG);
	buf_free(&b);
	buf_init(&b, 4);
	assert_int_equal(buf_put_fmt(&b, "%s", "abcd"), ERR_OK);
	assert_int_equal(b.len, 4);
	assert_int_equal(buf_put_fmt(&b, "%s", "e"), ERR_TOOBIG);
	assert_memory_equal(b.data, "abcd", 4);
	buf_free(&b);
}

static void
wire_round_trip_and_every_cut(void **state)
{
	uint8_t data[64];
	struct wire_out out;
	const uint8_t *p;
	size_t n;

	(void)state;
	wire_out_init(&out, data, sizeof(data));
	wire_put_u8(&out, 0x12);
	wire_put_u16(&out, 0x3456);
	wire_put_u32(&out, 0x789abcde);
	wire_put_u64(&out, 0xf0123456789abcdeULL);
	wire_put_str(&out, "abc", 3);
	wire_put_str(&out, NULL, 0);
	wire_put_raw(&out, "xy", 2);
	assert_int_equal(wire_out_end(&out), ERR_OK);
	assert_int_equal(out.len, 1 + 2 + 4 + 8 + 5 + 2 + 2);
	assert_memory_equal(data, "\x12\x34\x56\x78\x9a\xbc\xde\xf0\x12\x34\x56\x78\x9a\xbc\xde\0\3abc\0\0xy", out.len);
	for (size_t len = 0; len <= out.len + 1; len++) {
		struct wire_in in;
		char text[4];

		wire_in_init(&in, data, len);
		if (len >= out.len) {
			assert_int_equal(wire_get_u8(&in), 0x12);
			assert_int_equal(wire_get_u16(&in), 0x3456);
			assert_int_equal(wire_get_u32(&in), 0x789abcde);
			assert_true(wire_get_u64(&in) == 0xf0123456789abcdeULL);
		} else {
			wire_get_u8(&in);
			wire_get_u16(&in);
			wire_get_u32(&in);
			wire_get_u64(&in);
		}
		wire_get_text(&in, text, sizeof(text));
		wire_get_str(&in, &p, &n, 0);
		p = wire_get_raw(&in, 2);
		if (len >= out.len) {
			assert_string_equal(text, "abc");
			assert_memory_equal(p, "xy", 2);
		}
		assert_int_equal(wire_in_end(&in), len < out.len ? ERR_SHORT : len == out.len ? ERR_OK : ERR_TRAILING);
	}
}

static void
wire_bounds(void **state)
{
	static uint8_t big[70000];
	uint8_t small[4];
	struct wire_out out;
	struct wire_in in;
	const uint8_t *p;
	char text[4];
	size_t n;

	(void)state;
	wire_out_init(&out, small, sizeof(small));
	wire_put_u32(&out, 1);
	wire_put_u8(&out, 1);
	assert_int_equal(wire_out_end(&out), ERR_TOOBIG);
	assert_int_equal(out.len, 4);
	wire_out_init(&out, big, sizeof(big));
	wire_put_str(&out, big, 65536);
	assert_int_equal(wire_out_end(&out), ERR_TOOBIG);
	wire_out_init(&out, big, sizeof(big));
	wire_put_str(&out, big + 2, 65535);
	assert_int_equal(wire_out_end(&out), ERR_OK);

	wire_in_init(&in, "\0\4abcd", 6);	/* one over the buffer's room */
	wire_get_text(&in, text, sizeof(text));
	assert_string_equal(text, "");
	assert_int_equal(wire_in_end(&in), ERR_SHORT);
	wire_in_init(&in, "\0\3a\0c", 5);	/* a NUL inside */
	wire_get_text(&in, text, sizeof(text));
	assert_string_equal(text, "");
	assert_int_equal(wire_in_end(&in), ERR_SHORT);
	wire_in_init(&in, "\0\3abc", 5);
	wire_get_str(&in, &p, &n, 2);
	assert_null(p);
	assert_int_equal(n, 0);
	wire_in_init(&in, "\3\4", 2);
	assert_int_equal(wire_get_enum(&in, 3), 3);
	assert_int_equal(wire_get_enum(&in, 3), 0);
	assert_int_equal(wire_in_end(&in), ERR_SHORT);
	wire_in_init(&in, NULL, 0);
	wire_get_rest(&in, &p, &n);
	assert_int_equal(n, 0);
	assert_int_equal(wire_in_end(&in), ERR_OK);
	wire_in_init(&in, "abc", 3);
	wire_get_rest(&in, &p, &n);
	assert_int_equal(n, 3);
	assert_int_equal(wire_in_end(&in), ERR_OK);
	wire_get_u8(&in);	/* an error sticks */
	wire_get_rest(&in, &p, &n);
	assert_int_equal(wire_in_end(&in), ERR_SHORT);
}

static const struct {
	const char	*text;
	int		 err;
	uint64_t	 value;
	const char	*shown;
} sizes[] = {
	{ "0", ERR_OK, 0, "0" },
	{ "1", ERR_OK, 1, "1" },
	{ "8M", ERR_OK, 8388608, "8M" },
	{ "8m", ERR_OK, 8388608, "8M" },
	{ "8388608", ERR_OK, 8388608, "8M" },
	{ "8388609", ERR_OK, 8388609, "8388609" },
	{ "512K", ERR_OK, 524288, "512K" },
	{ "1024K", ERR_OK, 1048576, "1M" },
	{ "1G", ERR_OK, 1073741824, "1G" },
	{ "17179869183G", ERR_OK, 17179869183ULL << 30, "17179869183G" },
	{ "17179869184G", ERR_TOOBIG, 0, NULL },
	{ "18446744073709551615", ERR_OK, UINT64_MAX, "18446744073709551615" },
	{ "18446744073709551616", ERR_TOOBIG, 0, NULL },
	{ "", ERR_SYNTAX, 0, NULL },
	{ "M", ERR_SYNTAX, 0, NULL },
	{ "8MB", ERR_SYNTAX, 0, NULL },
	{ "8 M", ERR_SYNTAX, 0, NULL },
	{ "-1", ERR_SYNTAX, 0, NULL },
	{ "+1", ERR_SYNTAX, 0, NULL },
	{ "1.5M", ERR_SYNTAX, 0, NULL },
	{ " 1", ERR_SYNTAX, 0, NULL },
	{ "0x10", ERR_SYNTAX, 0, NULL },
}, durations[] = {
	{ "30", ERR_OK, 30000, "30s" },
	{ "30s", ERR_OK, 30000, "30s" },
	{ "30S", ERR_OK, 30000, "30s" },
	{ "60s", ERR_OK, 60000, "1m" },
	{ "250ms", ERR_OK, 250, "250ms" },
	{ "1000ms", ERR_OK, 1000, "1s" },
	{ "0", ERR_OK, 0, "0s" },
	{ "5m", ERR_OK, 300000, "5m" },
	{ "2h", ERR_OK, 7200000, "2h" },
	{ "4d", ERR_OK, 345600000, "4d" },
	{ "7d", ERR_OK, 604800000, "1w" },
	{ "1w", ERR_OK, 604800000, "1w" },
	{ "90s", ERR_OK, 90000, "90s" },
	{ "30500024318", ERR_OK, 30500024318000ULL, "30500024318s" },
	{ "99999999999999999w", ERR_TOOBIG, 0, NULL },
	{ "", ERR_SYNTAX, 0, NULL },
	{ "s", ERR_SYNTAX, 0, NULL },
	{ "1y", ERR_SYNTAX, 0, NULL },
	{ "1sec", ERR_SYNTAX, 0, NULL },
	{ "1 s", ERR_SYNTAX, 0, NULL },
	{ "-5s", ERR_SYNTAX, 0, NULL },
};

static void
sizes_and_durations(void **state)
{
	char shown[24];
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		v = 77;
		check_row(i, str_parse_size(sizes[i].text, &v) == sizes[i].err);
		check_row(i, v == (sizes[i].err == ERR_OK ? sizes[i].value : 77));
		if (sizes[i].err != ERR_OK)
			continue;
		str_put_size(shown, v);
		check_row(i, strcmp(shown, sizes[i].shown) == 0);
	}
	for (size_t i = 0; i < COUNT(durations); i++) {
		v = 77;
		check_row(i, str_parse_duration(durations[i].text, &v) == durations[i].err);
		if (durations[i].err != ERR_OK)
			continue;
		check_row(i, v == durations[i].value);
		str_put_duration(shown, v);
		check_row(i, strcmp(shown, durations[i].shown) == 0);
	}
}

static void
numbers(void **state)
{
	uint64_t v;
	char text[33];

	(void)state;
	assert_int_equal(str_parse_u64("007", 3, 7, &v), ERR_OK);
	assert_int_equal(v, 7);
	assert_int_equal(str_parse_u64("8", 1, 7, &v), ERR_TOOBIG);
	assert_int_equal(str_parse_u64("12x", 2, 100, &v), ERR_OK);	/* counted, not ended by NUL */
	assert_int_equal(v, 12);
	assert_int_equal(str_parse_u64("12x", 3, 100, &v), ERR_SYNTAX);
	assert_int_equal(str_parse_u64("1\0", 2, 100, &v), ERR_SYNTAX);
	assert_int_equal(str_parse_u64("", 0, 100, &v), ERR_SYNTAX);
	assert_string_equal(str_put_u64(text, UINT64_MAX), "18446744073709551615");
	assert_string_equal(str_put_hex64(text, 0x1a2b), "0000000000001a2b");
	assert_string_equal(str_put_hex64(text, UINT64_MAX), "ffffffffffffffff");
	assert_string_equal(str_put_hex(text, "\x00\x7f\xff", 3), "007fff");
	assert_string_equal(str_put_hex(text, NULL, 0), "");
}

static void
times(void **state)
{
	char text[28];

	(void)state;
	assert_string_equal(str_put_time(text, 0), "1970-01-01T00:00:00.000000Z");
	assert_string_equal(str_put_time(text, 951782400000001ULL), "2000-02-29T00:00:00.000001Z");
	assert_string_equal(str_put_time(text, 1795299017123456ULL), "2026-11-21T22:10:17.123456Z");
	assert_string_equal(str_put_time(text, 1483228799999999ULL), "2016-12-31T23:59:59.999999Z");
	str_put_time(text, UINT64_MAX);	/* whatever it is, it is bounded */
	assert_true(strlen(text) < sizeof(text));
}

static void
copies(void **state)
{
	char to[4] = "zzz";

	(void)state;
	assert_int_equal(str_copy(to, sizeof(to), "abc", 3), ERR_OK);
	assert_string_equal(to, "abc");
	assert_int_equal(str_copy(to, sizeof(to), "abcd", 4), ERR_TOOBIG);
	assert_string_equal(to, "");
	assert_int_equal(str_copy(to, sizeof(to), "a\0b", 3), ERR_SYNTAX);
	assert_string_equal(to, "");
	assert_int_equal(str_copy(to, sizeof(to), NULL, 0), ERR_OK);
	assert_int_equal(str_copy(to, 0, "", 0), ERR_TOOBIG);
	assert_int_equal(str_fmt(to, sizeof(to), "%d", 123), ERR_OK);
	assert_int_equal(str_fmt(to, sizeof(to), "%d", 1234), ERR_TOOBIG);
	assert_true(str_is_equal_nocase("AbZ@[", 5, "aBz@[", 5));
	assert_false(str_is_equal_nocase("@", 1, "`", 1));
	assert_false(str_is_equal_nocase("ab", 2, "abc", 3));
	assert_true(str_is_equal_nocase(NULL, 0, "", 0));
	assert_false(str_is_equal_nocase("\xc3\x84", 2, "\xc3\xa4", 2));	/* ASCII only */
}

static void
utf8(void **state)
{
	static const struct {
		const char	*p;
		size_t		 n;
		bool		 good;
	} rows[] = {
		{ TEXT(""), true }, { TEXT("abc"), true }, { TEXT("a\0b"), true }, { TEXT("\x7f"), true },
		{ TEXT("\xc2\x80"), true }, { TEXT("\xdf\xbf"), true }, { TEXT("\xe0\xa0\x80"), true },
		{ TEXT("\xed\x9f\xbf"), true }, { TEXT("\xee\x80\x80"), true }, { TEXT("\xef\xbf\xbf"), true },
		{ TEXT("\xf0\x90\x80\x80"), true }, { TEXT("\xf4\x8f\xbf\xbf"), true },
		{ TEXT("\x80"), false }, { TEXT("\xbf"), false }, { TEXT("\xc0\x80"), false }, { TEXT("\xc1\xbf"), false },
		{ TEXT("\xe0\x9f\xbf"), false }, { TEXT("\xed\xa0\x80"), false }, { TEXT("\xed\xbf\xbf"), false },
		{ TEXT("\xf0\x8f\xbf\xbf"), false }, { TEXT("\xf4\x90\x80\x80"), false }, { TEXT("\xf5\x80\x80\x80"), false },
		{ TEXT("\xff"), false }, { TEXT("\xfe"), false },
		{ TEXT("\xc2"), false }, { TEXT("\xe2\x82"), false }, { TEXT("\xf0\x9f\x98"), false },
		{ TEXT("\xc2\x41"), false }, { TEXT("\xe2\x82\x41"), false }, { TEXT("\xf0\x9f\x98\xc0"), false },
		{ TEXT("a\xe2\x82\xac" "b"), true }, { TEXT("a\xe2\x82\xac\x80"), false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_row(i, str_is_utf8(rows[i].p, rows[i].n) == rows[i].good);
}

static void
nearest(void **state)
{
	static const char *const words[] = { "limits.recipients", "limits.errors", "workers.max", "queue", "list" };
	char longest[80];

	(void)state;
	assert_string_equal(str_nearest("limits.recipient", words, COUNT(words)), "limits.recipients");
	assert_string_equal(str_nearest("LIMITS.ERRORS", words, COUNT(words)), "limits.errors");
	assert_string_equal(str_nearest("worker.max", words, COUNT(words)), "workers.max");
	assert_string_equal(str_nearest("lsit", words, COUNT(words)), "list");
	assert_string_equal(str_nearest("queue", words, COUNT(words)), "queue");
	assert_null(str_nearest("zzzzzz", words, COUNT(words)));
	assert_null(str_nearest("list", words, 0));
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_null(str_nearest(longest, words, COUNT(words)));
}

static void
base64_good(void **state)
{
	/* RFC 4648, section 10, and the octets that use + and /. */
	static const struct {
		const char	*plain;
		size_t		 n;
		const char	*text;
	} rows[] = {
		{ TEXT(""), "" }, { TEXT("f"), "Zg==" }, { TEXT("fo"), "Zm8=" }, { TEXT("foo"), "Zm9v" },
		{ TEXT("foob"), "Zm9vYg==" }, { TEXT("fooba"), "Zm9vYmE=" }, { TEXT("foobar"), "Zm9vYmFy" },
		{ TEXT("\xfb\xff\xfe"), "+//+" }, { TEXT("\0a\0b"), "AGEAYg==" }, { TEXT("Username:"), "VXNlcm5hbWU6" },
	};
	uint8_t all[256], back[256];
	char text[BASE64_ENCODED(256) + 1];
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_row(i, base64_encode(text, rows[i].plain, rows[i].n) == strlen(rows[i].text));
		check_row(i, strcmp(text, rows[i].text) == 0);
		check_row(i, base64_decode(back, &len, text, strlen(text)) == ERR_OK && len == rows[i].n);
		check_row(i, memcmp(back, rows[i].plain, len) == 0);
	}
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(i * 151 + 3);
	for (size_t n = 0; n <= sizeof(all); n++) {
		check_row(n, base64_encode(text, all, n) == BASE64_ENCODED(n));
		check_row(n, base64_decode(back, &len, text, BASE64_ENCODED(n)) == ERR_OK && len == n);
		check_row(n, memcmp(all, back, n) == 0);
	}
}

static void
base64_strict(void **state)
{
	static const struct {
		const char	*p;
		size_t		 n;
	} rows[] = {
		{ TEXT("Z") }, { TEXT("Zg") }, { TEXT("Zg=") }, { TEXT("Zg===") }, { TEXT("Zg==Zg==") }, { TEXT("Zm8=Zm9v") },
		{ TEXT("Zh==") },	/* unused bits that are not zero */
		{ TEXT("Zm9=") }, { TEXT("=g==") }, { TEXT("Z===") }, { TEXT("====") }, { TEXT("Z=g=") }, { TEXT("Zg=a") },
		{ TEXT("Zm9v ") }, { TEXT(" Zm9v") }, { TEXT("Zm 9v") }, { TEXT("Zm9v\r\n") }, { TEXT("Zm9v\n\n\n\n") },
		{ TEXT("Zm-_") }, { TEXT("Zm9\0") }, { TEXT("\x80m9v") }, { TEXT("Zm9\xff") }, { TEXT("Zm.v") }, { TEXT("Zm*v") },
	};
	uint8_t back[8];
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		len = 99;
		check_row(i, base64_decode(back, &len, rows[i].p, rows[i].n) == ERR_SYNTAX && len == 0);
	}
}

static void
memory(void **state)
{
	uint8_t a[4] = { 1, 2, 3, 4 }, b[4] = { 1, 2, 3, 5 };
	void *p;

	(void)state;
	assert_false(mem_is_equal(a, b, 4));
	assert_true(mem_is_equal(a, b, 3));
	assert_true(mem_is_equal(NULL, NULL, 0));
	mem_wipe(a, sizeof(a));
	assert_int_equal(a[0] | a[1] | a[2] | a[3], 0);
	mem_wipe(NULL, 0);
	assert_non_null(p = xmalloc(0));
	free(p);
	assert_non_null(p = xcalloc(0, 8));
	free(p);
}

static void
every_error_has_words(void **state)
{
	(void)state;
	for (int err = 0; err >= ERR_FULL; err--) {
		errno = ENOSPC;
		assert_non_null(err_text(err));
		assert_string_not_equal(err_text(err), "unknown error");
		for (int other = 0; other > err; other--)
			assert_string_not_equal(err_text(err), err_text(other));
	}
	assert_string_equal(err_text(1), "unknown error");
	assert_string_equal(err_text(ERR_FULL - 1), "unknown error");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf_stays_in_its_bound),
		cmocka_unit_test(buf_grows_and_formats),
		cmocka_unit_test(wire_round_trip_and_every_cut),
		cmocka_unit_test(wire_bounds),
		cmocka_unit_test(sizes_and_durations),
		cmocka_unit_test(numbers),
		cmocka_unit_test(times),
		cmocka_unit_test(copies),
		cmocka_unit_test(utf8),
		cmocka_unit_test(nearest),
		cmocka_unit_test(base64_good),
		cmocka_unit_test(base64_strict),
		cmocka_unit_test(memory),
		cmocka_unit_test(every_error_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
