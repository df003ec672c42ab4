/*
 * What a mistyped setting or section was meant to be.
 */
#include <string.h>

#include "conf.h"
#include "err.h"
#include "unit.h"

static const struct {
	const char	*section, *key, *text;	/* text: the whole sentence, or its beginning when it ends with "..." */
} rows[] = {
	{ "limits", "rcpts", "unknown setting 'limits.rcpts', did you mean 'limits.recipients'?" },
	{ "limits", "msg_size", "unknown setting 'limits.msg_size', did you mean 'limits.message_size'?" },
	{ "limits", "recipents", "unknown setting 'limits.recipents', did you mean 'limits.recipients'?" },
	{ "limits", "recipients_", "unknown setting 'limits.recipients_', did you mean 'limits.recipients'?" },
	{ "limit", "recipients", "unknown setting 'limit.recipients', did you mean 'limits.recipients'?" },
	{ "", "recipients", "unknown setting 'recipients', did you mean 'limits.recipients'?" },
	{ "", "hostnam", "unknown setting 'hostnam', did you mean 'hostname'?" },
	{ "limits", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "unknown setting 'limits.zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz'" },
	{ "limit", "foo", "there is no section [limit], did you mean [limits]?" },
	{ "Limits", "foo", "there is no section [Limits], did you mean [limits]?" },
	{ "listner x", "address", "there is no section [listner x], did you mean [listener x]?" },
	{ "listner", "address", "there is no section [listner], did you mean [listener NAME]?" },
	{ "listener", "address", "there is no section [listener], did you mean [listener NAME]?" },
	{ "listener ", "kind", "there is no section [listener ], did you mean [listener NAME]?" },
	{ "certificate", "key", "there is no section [certificate], did you mean [certificate NAME]?" },
	{ "certificates other", "file", "there is no section [certificates other], did you mean [certificate other]?" },
	{ "zzzzzzzz", "foo", "there is no section [zzzzzzzz]; there are [spool]..." },
};

static bool
is_said(const char *said, const char *text)
{
	size_t n = strlen(text);

	if (n > 3 && strcmp(text + n - 3, "...") == 0)
		return strncmp(said, text, n - 3) == 0;
	return strcmp(said, text) == 0;
}

static void
sentences(void **state)
{
	char to[400];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		conf_explain_unknown(to, sizeof(to), rows[i].section, rows[i].key);
		if (!is_said(to, rows[i].text))
			print_error("%s\n", to);
		check_row(i, is_said(to, rows[i].text));
	}
}

/* Whatever it is, and however little room there is: a string within its bounds. */
static void
bounds(void **state)
{
	char to[401], section[1024], key[1024];

	(void)state;
	memset(section, 's', sizeof(section) - 1);
	section[sizeof(section) - 1] = 0;
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = 0;
	for (size_t size = 1; size <= 400; size++) {
		for (size_t i = 0; i < COUNT(rows) + 1; i++) {
			memset(to, 0x5a, sizeof(to));
			conf_explain_unknown(to, size, i < COUNT(rows) ? rows[i].section : section, i < COUNT(rows) ? rows[i].key : key);
			assert_non_null(memchr(to, 0, size));
			assert_int_equal(to[size], 0x5a);
		}
	}
}

/* Every name is nearest to itself with a letter left out, and no name of a setting is unknown. */
static void
every_setting(void **state)
{
	const struct conf_setting *s;
	size_t n, found = 0;

	(void)state;
	s = conf_settings(&n);
	for (size_t i = 0; i < n; i++) {
		char name[128];
		size_t len = strlen(s[i].name);

		memcpy(name, s[i].name, len + 1);
		memmove(name + len - 2, name + len - 1, 2);
		assert_non_null(conf_nearest(name));
		found += strcmp(conf_nearest(name), s[i].name) == 0;
	}
	assert_true(found * 10 >= n * 9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sentences),
		cmocka_unit_test(bounds),
		cmocka_unit_test(every_setting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
