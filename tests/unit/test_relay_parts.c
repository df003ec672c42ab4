/*
 * Pure parts of postern-relay: messages as they go out, original recipients, the order of mail exchangers, SCRAM.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "mx.h"
#include "original.h"
#include "outgoing.h"
#include "scram.h"

struct text_row {
	const char	*in;
	size_t		 in_len;
	const char	*out;
	size_t		 out_len;
};

static const struct text_row texts[] = {
	{ TEXT(""), TEXT("") },
	{ TEXT("a\r\n"), TEXT("a\r\n") },
	{ TEXT("a"), TEXT("a\r\n") },
	{ TEXT("\r\n"), TEXT("\r\n") },
	{ TEXT(".\r\n"), TEXT("..\r\n") },
	{ TEXT("."), TEXT("..\r\n") },
	{ TEXT("a\r\n.\r\nb\r\n"), TEXT("a\r\n..\r\nb\r\n") },
	{ TEXT("a\r\n..b\r\n"), TEXT("a\r\n...b\r\n") },
	{ TEXT("a.\r\n"), TEXT("a.\r\n") },
	{ TEXT("a\nb"), TEXT("a\r\nb\r\n") },
	{ TEXT("a\rb"), TEXT("a\r\nb\r\n") },
	{ TEXT("a\r"), TEXT("a\r\n") },
	{ TEXT("a\n"), TEXT("a\r\n") },
	{ TEXT("\n.\n"), TEXT("\r\n..\r\n") },
	{ TEXT("\r.\r"), TEXT("\r\n..\r\n") },
	{ TEXT("\n.\r\n"), TEXT("\r\n..\r\n") },
	{ TEXT("\r\n.\n"), TEXT("\r\n..\r\n") },
	{ TEXT("\r\n.\r"), TEXT("\r\n..\r\n") },
	{ TEXT("\r\r\n"), TEXT("\r\n\r\n") },
	{ TEXT("\r\r"), TEXT("\r\n\r\n") },
	{ TEXT("\n\r"), TEXT("\r\n\r\n") },
	{ TEXT("\n\n.x"), TEXT("\r\n\r\n..x\r\n") },
	{ TEXT("a\r\0\nb"), TEXT("a\r\n\0\r\nb\r\n") },
};

/* In pieces of n octets. */
static size_t
convert(uint8_t *to, const char *p, size_t len, size_t n)
{
	struct outgoing o;
	size_t used = 0;

	outgoing_init(&o);
	for (size_t at = 0; at < len; at += n) {
		size_t part = len - at < n ? len - at : n;
		uint8_t *in = malloc(part), *out = malloc(OUTGOING_MAX(part));
		size_t done;

		memcpy(in, p + at, part);
		done = outgoing_put(&o, out, in, part);
		assert_true(done <= OUTGOING_MAX(part));
		memcpy(to + used, out, done);
		used += done;
		free(in);
		free(out);
	}
	return used + outgoing_end(&o, to + used);
}

static void
test_outgoing(void **state)
{
	uint8_t to[256];

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		for (size_t n = 1; n <= texts[i].in_len + 1; n++) {
			size_t len = convert(to, texts[i].in, texts[i].in_len, n);

			check_row(i, len == texts[i].out_len && memcmp(to, texts[i].out, len) == 0);
		}
}

/* Whatever comes, in whatever pieces: CRLF only, and no line is a lone dot. */
static void
test_outgoing_noise(void **state)
{
	static const char alphabet[] = "\r\n.a\0";
	uint32_t seed = 99;

	(void)state;
	for (size_t round = 0; round < 50000; round++) {
		char in[24];
		uint8_t to[128], again[128];
		size_t len;

		for (size_t i = 0; i < sizeof(in); i++) {
			seed = seed * 1103515245 + 12345;
			in[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		len = convert(to, in, sizeof(in), 1 + round % sizeof(in));
		assert_int_equal(convert(again, in, sizeof(in), sizeof(in)), len);
		assert_memory_equal(to, again, len);
		assert_true(len >= 2 && to[len - 2] == '\r' && to[len - 1] == '\n');
		for (size_t i = 0; i < len; i++) {
			assert_true(to[i] != '\r' || (i + 1 < len && to[i + 1] == '\n'));
			assert_true(to[i] != '\n' || (i > 0 && to[i - 1] == '\r'));
			if (to[i] == '.' && (i == 0 || to[i - 1] == '\n'))
				assert_true(i + 1 < len && to[i + 1] == '.');
		}
	}
}

static uint32_t picks;

static uint32_t
pick(void)
{
	return picks = picks * 1103515245 + 12345, picks >> 16;
}

#define SELF "+"	/* a name with this mark is ourselves */

static void
test_mx(void **state)
{
	static const struct {
		const char	*hosts[6];	/* "10 name", "10 +name" */
		enum mx_verdict	 verdict;
		const char	*order;		/* what is left, names of one letter */
	} cases[] = {
		{ { "10 a" }, MX_USE, "a" },
		{ { "20 b", "10 a" }, MX_USE, "ab" },
		{ { "30 c", "10 a", "20 b" }, MX_USE, "abc" },
		{ { "0 " }, MX_NULL, "" },
		{ { "10 a", "0 " }, MX_USE, "a" },
		{ { "0 ", "0 " }, MX_LOOP, "" },
		{ { "10 +x" }, MX_LOOP, "" },
		{ { "10 a", "20 +x" }, MX_USE, "a" },
		{ { "10 a", "20 +x", "30 c" }, MX_USE, "a" },
		{ { "10 +x", "20 b" }, MX_LOOP, "" },
		{ { "10 b", "10 +x" }, MX_LOOP, "" },
		{ { "5 a", "10 b", "10 +x", "10 c", "20 d" }, MX_USE, "a" },
		{ { "10 +x", "5 a", "20 +y" }, MX_USE, "a" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t round = 0; round < 50; round++) {
			struct mx_host hosts[6];
			char order[8] = "";
			size_t n = 0;

			memset(hosts, 0, sizeof(hosts));
			for (; n < 6 && cases[i].hosts[n] != NULL; n++) {
				const char *name = strchr(cases[i].hosts[n], ' ') + 1;

				hosts[n].preference = (uint16_t)strtoul(cases[i].hosts[n], NULL, 10);
				hosts[n].is_self = strncmp(name, SELF, 1) == 0;
				snprintf(hosts[n].name, sizeof(hosts[n].name), "%s", name);
			}
			check_row(i, mx_order(hosts, &n, pick) == cases[i].verdict);
			if (cases[i].verdict != MX_USE)
				continue;
			for (size_t j = 0; j < n; j++)
				order[j] = hosts[j].name[0];
			check_row(i, strcmp(order, cases[i].order) == 0);
		}
}

/* Equals take turns. */
static void
test_mx_shuffle(void **state)
{
	size_t first[3] = { 0 };

	(void)state;
	for (size_t round = 0; round < 300; round++) {
		struct mx_host hosts[4] = { { .preference = 20, .name = "z" }, { .preference = 10, .name = "a" }, { .preference = 10, .name = "b" },
			{ .preference = 10, .name = "c" } };
		size_t n = 4;

		assert_int_equal(mx_order(hosts, &n, pick), MX_USE);
		assert_string_equal(hosts[3].name, "z");
		first[hosts[0].name[0] - 'a']++;
	}
	for (size_t i = 0; i < 3; i++)
		assert_true(first[i] > 50);
}

/* RFC 5802, section 5, and RFC 7677, section 3. */
static const struct {
	bool		 is_sha256;
	const char	*nonce, *first, *server_first, *final, *server_final;
} vectors[] = {
	{ false, "fyko+d2lbbFgONRv9qkxdawL", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
	    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
	{ true, "rOprNGfwEbeRWgbNEkqO", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

static void
test_scram(void **state)
{
	char text[SCRAM_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		const char *first = vectors[i].server_first, *final = vectors[i].server_final;
		struct scram s;

		check_row(i, scram_first(&s, vectors[i].is_sha256, "user", vectors[i].nonce, text) == ERR_OK);
		check_row(i, strcmp(text, vectors[i].first) == 0);
		check_row(i, scram_final(&s, first, strlen(first), "pencil", text) == ERR_OK);
		check_row(i, strcmp(text, vectors[i].final) == 0);
		check_row(i, scram_verify(&s, final, strlen(final)) == ERR_OK);
		for (size_t n = 0; n < strlen(final); n++)
			check_row(i, scram_verify(&s, final, n) != ERR_OK);
		for (size_t n = 0; n < strlen(first); n++) {
			char *copy = malloc(n + 1);
			int err;

			memcpy(copy, first, n);
			/* Only its last digits can be missing without notice, and then they are too few. */
			err = scram_final(&s, copy, n, "pencil", text);
			check_row(i, err == ERR_SYNTAX || err == ERR_DENIED);
			free(copy);
		}
		check_row(i, scram_final(&s, first, strlen(first), "Pencil", text) == ERR_OK && strcmp(text, vectors[i].final) != 0);
		check_row(i, scram_verify(&s, final, strlen(final)) == ERR_DENIED);
	}
}

static void
test_scram_refusals(void **state)
{
	static const struct {
		const char	*text;
		int		 err;
	} cases[] = {
		{ "r=noncex,s=QUJD,i=4096", ERR_OK },
		{ "r=noncex,s=QUJD,i=4096,x=later", ERR_OK },
		{ "r=nonce,s=QUJD,i=4096", ERR_DENIED },
		{ "r=other,s=QUJD,i=4096", ERR_DENIED },
		{ "r=noncex,s=QUJD,i=4095", ERR_DENIED },
		{ "r=noncex,s=QUJD,i=1000001", ERR_DENIED },
		{ "r=noncex,s=QUJD,i=99999999999999", ERR_SYNTAX },
		{ "r=noncex,s=QUJD,i=-1", ERR_SYNTAX },
		{ "r=noncex,s=,i=4096", ERR_SYNTAX },
		{ "r=noncex,s=!!!!,i=4096", ERR_SYNTAX },
		{ "s=QUJD,r=noncex,i=4096", ERR_SYNTAX },
		{ "m=x,r=noncex,s=QUJD,i=4096", ERR_SYNTAX },
		{ "e=other-error", ERR_SYNTAX },
	};
	char text[SCRAM_TEXT];
	struct scram s;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(scram_first(&s, true, "a,b=c", "nonce", text), ERR_OK);
		assert_string_equal(text, "n,,n=a=2Cb=3Dc,r=nonce");
		check_row(i, scram_final(&s, cases[i].text, strlen(cases[i].text), "x", text) == cases[i].err);
	}
	assert_int_equal(scram_verify(&s, "e=invalid-proof", 15), ERR_SYNTAX);
}

static void
test_original(void **state)
{
	static const struct {
		const char	*orcpt;
		const char	*ascii, *utf8;	/* what becomes of it, NULL: it is left out */
	} cases[] = {
		{ "rfc822;a+2Bb@c", "rfc822;a+2Bb@c", "rfc822;a+2Bb@c" },
		{ "utf-8;a\\x{FC}@c", "utf-8;a\\x{FC}@c", "utf-8;a\\x{FC}@c" },
		{ "utf-8;\xc3\xbc@c", "utf-8;\\x{FC}@c", "utf-8;\xc3\xbc@c" },
		{ "UTF-8;\xc2\x80\xdf\xbf", "UTF-8;\\x{80}\\x{7FF}", "UTF-8;\xc2\x80\xdf\xbf" },
		{ "utf-8;\xe0\xa0\x80\xef\xbf\xbf", "utf-8;\\x{800}\\x{FFFF}", "utf-8;\xe0\xa0\x80\xef\xbf\xbf" },
		{ "utf-8;\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "utf-8;\\x{10000}\\x{10FFFF}", "utf-8;\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
		{ "rfc822;\xc3\xbc@c", NULL, NULL }, { "utf-8\xc3\xbc", NULL, NULL }, { "\xc3\xbc", NULL, NULL },
		{ "utf-8;\xfc", NULL, NULL }, { "utf-8;\xc3", NULL, NULL }, { "utf-8;\xed\xa0\x80", NULL, NULL },
		{ "utf-8;a b", NULL, NULL }, { "rfc822;a\r\nRSET", NULL, NULL }, { "rfc822;a\x7f", NULL, NULL }, { "utf-8;\xc3\xbc\t", NULL, NULL },
	};
	char to[IPC_ORCPT_MAX], cut[64], longest[IPC_ORCPT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (int utf8 = 0; utf8 < 2; utf8++) {
			const char *expected = utf8 ? cases[i].utf8 : cases[i].ascii;

			check_row(i, (original_put(to, cases[i].orcpt, utf8 != 0) == ERR_OK) == (expected != NULL));
			check_row(i, expected == NULL || strcmp(to, expected) == 0);
		}
		/* Cut anywhere it is ASCII without blanks, or nothing. */
		for (size_t n = 0; n < strlen(cases[i].orcpt); n++) {
			memcpy(cut, cases[i].orcpt, n);
			cut[n] = 0;
			if (original_put(to, cut, false) == ERR_OK)
				for (const char *c = to; *c != 0; c++)
					check_row(i, *c > ' ' && *c < 0x7f);
		}
	}
	/* 8 and 82 times 6 octets are exactly the longest; as UTF-8 there may be more characters. */
	memcpy(longest, "utf-8;ab", 8);
	for (size_t i = 0; i < 83; i++)
		memcpy(longest + 8 + 2 * i, "\xc3\xbc", 3);
	assert_int_equal(original_put(to, longest, false), ERR_TOOBIG);
	assert_int_equal(original_put(to, longest, true), ERR_OK);
	assert_string_equal(to, longest);
	longest[8 + 2 * 82] = 0;
	assert_int_equal(original_put(to, longest, false), ERR_OK);
	assert_int_equal(strlen(to), 500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outgoing),
		cmocka_unit_test(test_outgoing_noise),
		cmocka_unit_test(test_original),
		cmocka_unit_test(test_mx),
		cmocka_unit_test(test_mx_shuffle),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_scram_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
