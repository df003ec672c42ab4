/*
 * Which texts postern-keys signs, and by which algorithm: every shape whole, cut at every octet, with one more, and changed.
 */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "judge.h"
#include "unit.h"

#define SERVER "TLS 1.3, server CertificateVerify"
#define CLIENT "TLS 1.3, client CertificateVerify"

struct shape {
	const char		*name;
	size_t			 hash;		/* octets of the transcript's hash: TLS 1.3 */
	uint16_t		 group;		/* else TLS 1.2 */
	size_t			 point;
	uint8_t			 form;
	bool			 good;
};

static const struct shape shapes[] = {
	{ "1.3 SHA-256", 32, 0, 0, 0, true },
	{ "1.3 SHA-384", 48, 0, 0, 0, true },
	{ "1.3 SHA-1", 20, 0, 0, 0, false },
	{ "1.3 SHA-512", 64, 0, 0, 0, false },
	{ "1.2 secp256r1", 0, 23, 65, 4, true },
	{ "1.2 secp384r1", 0, 24, 97, 4, true },
	{ "1.2 secp521r1", 0, 25, 133, 4, true },
	{ "1.2 x25519", 0, 29, 32, 0x77, true },
	{ "1.2 x448", 0, 30, 56, 0x77, true },
	{ "1.2 secp256r1 compressed", 0, 23, 33, 2, false },
	{ "1.2 secp256r1 of another form", 0, 23, 65, 6, false },
	{ "1.2 secp256r1 with a point of secp384r1", 0, 23, 97, 4, false },
	{ "1.2 x25519 of x448's size", 0, 29, 56, 4, false },
	{ "1.2 secp192r1", 0, 19, 49, 4, false },
	{ "1.2 secp256k1", 0, 22, 65, 4, false },
	{ "1.2 ffdhe2048", 0, 256, 32, 4, false },
	{ "1.2 no point", 0, 29, 0, 0, false },
};

static size_t
make_text(uint8_t *text, const struct shape *s)
{
	size_t n = 64;

	memset(text, s->hash != 0 ? ' ' : 0x5a, 64);
	if (s->hash != 0) {
		memcpy(text + n, SERVER, sizeof(SERVER));
		n += sizeof(SERVER);
		memset(text + n, 0xa5, s->hash);
		return n + s->hash;
	}
	text[n++] = 3;
	text[n++] = (uint8_t)(s->group >> 8);
	text[n++] = (uint8_t)s->group;
	text[n++] = (uint8_t)s->point;
	memset(text + n, 0x77, s->point);
	if (s->point != 0)
		text[n] = s->form;
	return n + s->point;
}

/* In memory of exactly its size, so that a sanitizer sees a read behind it. */
static int
judge_exactly(const uint8_t *text, size_t n, enum judge_shape *shape)
{
	uint8_t *copy = malloc(n != 0 ? n : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, text, n);
	err = judge_text(copy, n, shape);
	free(copy);
	return err;
}

static void
test_shapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		uint8_t text[512];
		enum judge_shape shape;
		size_t n = make_text(text, &shapes[i]);
		int err = judge_exactly(text, n, &shape);

		check_row(i, err == (shapes[i].good ? ERR_OK : ERR_SYNTAX));
		if (shapes[i].good)
			check_row(i, shape == (shapes[i].hash != 0 ? JUDGE_TLS13 : JUDGE_TLS12));
	}
}

/* Of TLS 1.3, one cut is whole again: SHA-384's text cut to SHA-256's length. */
static void
test_cut_and_longer(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		uint8_t text[512] = { 0 };
		enum judge_shape shape;
		size_t n = make_text(text, &shapes[i]);

		if (!shapes[i].good)
			continue;
		for (size_t cut = 0; cut < n; cut++)
			check_row(i, judge_exactly(text, cut, &shape) ==
			    (shapes[i].hash == 48 && cut == n - 16 ? ERR_OK : ERR_SYNTAX));
		for (size_t more = 1; more < 16; more++)
			check_row(i, judge_exactly(text, n + more, &shape) == ERR_SYNTAX);
	}
}

/* Every octet that says what the text is, changed. */
static void
test_changed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		uint8_t text[512];
		enum judge_shape shape;
		size_t n = make_text(text, &shapes[i]);
		size_t from = shapes[i].hash != 0 ? 0 : 64, to = shapes[i].hash != 0 ? 64 + sizeof(SERVER) : 68;

		if (!shapes[i].good)
			continue;
		for (size_t at = from; at < to; at++) {
			text[at] ^= 0x20;
			check_row(i, judge_exactly(text, n, &shape) == ERR_SYNTAX);
			text[at] ^= 0x20;
		}
	}
}

static void
test_other_texts(void **state)
{
	static const struct {
		const char	*p;
		size_t		 n;
	} texts[] = {
		{ TEXT("") }, { TEXT("From: alice@example.org\r\n") }, { TEXT(SERVER "\0") },
	};
	uint8_t text[64 + sizeof(CLIENT) + 32];
	enum judge_shape shape;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		check_row(i, judge_exactly((const uint8_t *)texts[i].p, texts[i].n, &shape) == ERR_SYNTAX);
	memset(text, ' ', sizeof(text));
	memcpy(text + 64, CLIENT, sizeof(CLIENT));
	assert_int_equal(judge_exactly(text, sizeof(text), &shape), ERR_SYNTAX);
	memset(text, 0, sizeof(text));
	assert_int_equal(judge_exactly(text, sizeof(text), &shape), ERR_SYNTAX);
	/* A digest alone: what a general signing oracle would sign. */
	for (size_t n = 20; n <= 64; n += 4)
		assert_int_equal(judge_exactly(text, n, &shape), ERR_SYNTAX);
}

/* A row a kind of key: a bit an algorithm, in the order of enum sign_algorithm. */
static void
test_algorithms(void **state)
{
	static const struct {
		enum judge_key	key;
		unsigned	tls12, tls13;
	} rows[] = {
		{ JUDGE_RSA, 0x03f, 0x038 },
		{ JUDGE_P256, 0x1c0, 0x040 },
		{ JUDGE_P384, 0x1c0, 0x080 },
		{ JUDGE_P521, 0x1c0, 0x100 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (unsigned a = 0; a <= SIGN_ECDSA_SHA512; a++) {
			enum sign_algorithm algorithm = (enum sign_algorithm)a;

			check_row(i, judge_may_sign(rows[i].key, JUDGE_TLS12, algorithm) == (rows[i].tls12 >> a & 1));
			check_row(i, judge_may_sign(rows[i].key, JUDGE_TLS13, algorithm) == (rows[i].tls13 >> a & 1));
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_cut_and_longer),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_other_texts),
		cmocka_unit_test(test_algorithms),
	};

	return cmocka_run_group_tests_name("keys/judge", tests, NULL, NULL);
}
