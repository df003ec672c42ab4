/*
 * Passwords: which hashes are accepted, hashing and comparing, lengths, new ones. The hashes below are
 * of "secret".
 */
#include <crypt.h>
#include <string.h>

#include "unit.h"

#include "err.h"
#include "password.h"

static void
test_which_hashes(void **state)
{
	static const struct {
		const char	*hash;
		bool		 good;
	} cases[] = {
		{ "", false }, { "secret", false }, { "!", false }, { "*", false }, { "$y$", false }, { "$y$j9T$salt", false },
		{ "$y$j9T$saltsalt$", false }, { "$6$saltsalt$short", false }, { "$1$salt$5XkjcdK1LZFrwNVg9wfs91", false },
		{ "ab01FAX.bQRSU", false },	/* DES */
		{ "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/", true },
		{ "$6$rounds=5000$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/", true },
		{ "$6$rounds=99999999$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/", false },
		{ "$6$salt salt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/", false },
		{ "$5$saltsalt$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8", true },
		{ "$2b$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui", true },
		{ "$2y$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui", true },
		{ "$2b$31$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui", false },
		{ "$2b$5$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui", false },
		{ "$7$CU..../....2Q9obwLhin8qvQl6sisAO/$sZ2Wpm6ZlY5IrHyLtuIkr92qPpdxPY3nwZGjiTbQhv5", false },
		{ "$y$jFT$LdJMENpBABJJ3hIHjB1Bi.$HboGM6qPrsK.StKYGt6KErmUYtioHreJd98oIugoNB6", false },	/* 1 GiB */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		check_row(i, password_is_hash(cases[i].hash) == cases[i].good);
}

static void
test_methods(void **state)
{
	static const char *const prefixes[] = { "$y$", "$6$", "$5$", "$2b$", "$2y$" };

	(void)state;
	for (size_t i = 0; i < COUNT(prefixes); i++) {
		char setting[CRYPT_GENSALT_OUTPUT_SIZE];
		struct crypt_data d = { .initialized = 0 };

		assert_non_null(crypt_gensalt_rn(prefixes[i], i >= 3 ? 5 : 0, NULL, 0, setting, sizeof(setting)));
		assert_non_null(crypt_rn("secret", setting, &d, sizeof(d)));
		check_row(i, password_is_hash(d.output));
		check_row(i, password_matches("secret", 6, d.output));
		check_row(i, !password_matches("Secret", 6, d.output));
		check_row(i, !password_matches("secret", 5, d.output));
	}
	assert_false(password_matches("secret", 6, "*0"));
	assert_false(password_matches("secret", 6, ""));
}

static void
test_hash(void **state)
{
	char one[REGISTRY_HASH_MAX], two[REGISTRY_HASH_MAX], longest[PASSWORD_MAX + 2];

	(void)state;
	assert_int_equal(password_hash("secret", 6, one), ERR_OK);
	assert_int_equal(password_hash("secret", 6, two), ERR_OK);
	assert_true(password_is_hash(one));
	assert_memory_equal(one, "$y$", 3);
	assert_string_not_equal(one, two);
	assert_true(password_matches("secret", 6, one));
	assert_int_equal(password_hash("", 0, one), ERR_SYNTAX);
	assert_int_equal(password_hash("a\0b", 3, one), ERR_SYNTAX);
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(password_hash(longest, PASSWORD_MAX, one), ERR_OK);
	assert_true(password_matches(longest, PASSWORD_MAX, one));
	assert_false(password_matches(longest, PASSWORD_MAX - 1, one));
	assert_false(password_matches(longest, PASSWORD_MAX + 1, one));
	assert_int_equal(password_hash(longest, PASSWORD_MAX + 1, one), ERR_TOOBIG);
	assert_false(password_matches("a\0b", 3, one));
}

/* What could not be computed is no wrong password. */
static void
test_check(void **state)
{
	char hash[REGISTRY_HASH_MAX];

	(void)state;
	assert_int_equal(password_hash("secret", 6, hash), ERR_OK);
	assert_int_equal(password_check("secret", 6, hash), ERR_OK);
	assert_int_equal(password_check("Secret", 6, hash), ERR_DENIED);
	assert_int_equal(password_check("a\0b", 3, hash), ERR_DENIED);
	assert_int_equal(password_check("", 0, hash), ERR_DENIED);
	assert_int_equal(password_check("secret", 6, "$unknown$salt$hash"), ERR_SYSTEM);
	assert_int_equal(password_check("secret", 6, "!"), ERR_SYSTEM);
	assert_int_equal(password_check("secret", 6, ""), ERR_SYSTEM);
}

static void
test_generate(void **state)
{
	char one[25], two[25];

	(void)state;
	assert_int_equal(password_generate(one), ERR_OK);
	assert_int_equal(password_generate(two), ERR_OK);
	assert_int_equal(strlen(one), 24);
	assert_string_not_equal(one, two);
	assert_int_equal(strcspn(one, "0O1Ilo$ '\""), 24);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_hashes),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_generate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
