/*
 * The registry library: names and patterns as tables of cases, changes and their history, transactions of two writers.
 */
#include <stdio.h>
#include <string.h>

#include "registry_fixture.h"

#include "err.h"

static void
test_names(void **state)
{
	static const struct {
		const char	*name;
		int		 result;
		uint64_t	 senders;
	} cases[] = {
		{ "alice@example.org", ERR_OK, 1 }, { "Alice@Example.org", ERR_EXISTS, 0 }, { "printer", ERR_OK, 0 },
		{ "PRINTER", ERR_EXISTS, 0 }, { "a.b_c+d-e", ERR_OK, 0 }, { "", ERR_SYNTAX, 0 }, { "two words", ERR_SYNTAX, 0 },
		{ "*@example.org", ERR_SYNTAX, 0 }, { "x+*@example.org", ERR_SYNTAX, 0 }, { "\"a b\"@example.org", ERR_SYNTAX, 0 },
		{ "a@", ERR_SYNTAX, 0 }, { "@b", ERR_SYNTAX, 0 }, { "a@b@c", ERR_SYNTAX, 0 }, { "caf\xc3\xa9@example.org", ERR_OK, 1 },
		{ "caf\xc3@example.org", ERR_SYNTAX, 0 }, { "a'b;--@example.org", ERR_SYNTAX, 0 }, { "a'b@example.org", ERR_OK, 1 },
	};
	struct registry *r = open_registry(*state);
	struct registry_account a;
	uint64_t id;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int result = registry_add_account(r, cases[i].name, HASH, &id);

		if (result != cases[i].result)
			fail_msg("%s: %d, %s", cases[i].name, result, registry_reason(r));
		if (result == ERR_OK) {
			assert_int_equal(registry_find_account(r, cases[i].name, &a), ERR_OK);
			assert_int_equal(a.id, id);
			assert_int_equal(a.senders, cases[i].senders);
			assert_int_equal(a.credentials, 1);
			assert_string_equal(a.name, cases[i].name);
		}
	}
	assert_int_equal(registry_find_account(r, "ALICE@EXAMPLE.ORG", &a), ERR_OK);
	assert_int_equal(registry_find_account(r, "nobody", &a), ERR_NOTFOUND);
	assert_int_equal(registry_add_account(r, "bob", "secret", &id), ERR_SYNTAX);
	registry_close(r);
}

static void
test_patterns(void **state)
{
	static const struct {
		const char	*pattern;
		int		 result;
	} patterns[] = {
		{ "user@domain.example", ERR_OK }, { "USER@domain.EXAMPLE", ERR_EXISTS }, { "*@whole.example", ERR_OK },
		{ "tag+*@domain.example", ERR_OK }, { "a+b+*@domain.example", ERR_OK }, { "<>", ERR_OK }, { "<>", ERR_EXISTS },
		{ "*", ERR_SYNTAX }, { "*user@domain.example", ERR_SYNTAX }, { "us*er@domain.example", ERR_SYNTAX },
		{ "+*@domain.example", ERR_SYNTAX }, { "user@*", ERR_SYNTAX }, { "user@*.example", ERR_SYNTAX },
		{ "", ERR_SYNTAX }, { "<user@domain.example>", ERR_SYNTAX }, { "u+*+*@domain.example", ERR_SYNTAX },
		{ "\"q u\"@domain.example", ERR_OK },
	};
	static const struct {
		const char	*address;
		bool		 allowed;
	} addresses[] = {
		{ "user@domain.example", true }, { "User@Domain.Example", true }, { "user+x@domain.example", false },
		{ "other@domain.example", false }, { "user@sub.domain.example", false }, { "anyone@whole.example", true },
		{ "any+one@WHOLE.example", true }, { "x@sub.whole.example", false }, { "tag+1@domain.example", true },
		{ "TAG+1+2@domain.example", true }, { "tag+@domain.example", true }, { "tag@domain.example", false },
		{ "tagx+1@domain.example", false }, { "a+b+c@domain.example", true }, { "a+c@domain.example", false },
		{ "", true }, { "account@domain.example", true }, { "\"q u\"@domain.example", true },
		{ "\"tag+ 1\"@domain.example", false }, { "*@domain.example", false },
	};
	struct registry *r = open_registry(*state);
	uint64_t id, other;
	struct addr a;

	assert_int_equal(registry_add_account(r, "account@domain.example", HASH, &id), ERR_OK);
	assert_int_equal(registry_add_account(r, "other", HASH, &other), ERR_OK);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (registry_add_sender(r, id, patterns[i].pattern) != patterns[i].result)
			fail_msg("%s: %s", patterns[i].pattern, registry_reason(r));
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		addr_set_null(&a);
		if (addresses[i].address[0] != 0)
			assert_int_equal(addr_parse(&a, addresses[i].address, strlen(addresses[i].address), true), ERR_OK);
		if ((registry_check_sender(r, id, &a) == ERR_OK) != addresses[i].allowed)
			fail_msg("%s", addresses[i].address);
		assert_int_equal(registry_check_sender(r, other, &a), ERR_DENIED);
	}
	assert_int_equal(registry_remove_sender(r, id, "USER@domain.example"), ERR_OK);
	assert_int_equal(registry_remove_sender(r, id, "user@domain.example"), ERR_NOTFOUND);
	assert_int_equal(registry_add_sender(r, 4711, "x@y"), ERR_NOTFOUND);
	registry_close(r);
}

static int
count_account(const struct registry_account *a, void *arg)
{
	(void)a;
	return ++*(int *)arg == 2 ? 7 : 0;
}

static int
join_sender(const struct registry_sender *s, void *arg)
{
	char *to = arg;

	snprintf(to + strlen(to), 200 - strlen(to), "%s=%s ", s->account_name, s->pattern);
	return 0;
}

static void
test_walks(void **state)
{
	struct registry *r = open_registry(*state);
	char text[200] = "";
	uint64_t a, b;
	int n = 0;

	assert_int_equal(registry_add_account(r, "b@x", HASH, &b), ERR_OK);
	assert_int_equal(registry_add_account(r, "a@x", HASH, &a), ERR_OK);
	assert_int_equal(registry_add_sender(r, b, "B2@x"), ERR_OK);
	assert_int_equal(registry_walk_accounts(r, count_account, &n), 7);
	assert_int_equal(n, 2);
	assert_int_equal(registry_walk_senders(r, 0, join_sender, text), 0);
	assert_string_equal(text, "a@x=a@x b@x=B2@x b@x=b@x ");
	text[0] = 0;
	assert_int_equal(registry_walk_senders(r, a, join_sender, text), 0);
	assert_string_equal(text, "a@x=a@x ");
	registry_close(r);
}

static void
test_credentials(void **state)
{
	struct registry *r = open_registry(*state);
	struct registry_credential c[2], was;
	struct registry_account a;
	uint64_t id;
	size_t n;

	assert_int_equal(registry_add_account(r, "a@x", HASH, &id), ERR_OK);
	assert_int_equal(registry_list_credentials(r, id, c, 2, &n), ERR_OK);
	assert_int_equal(n, 1);
	assert_string_equal(c[0].name, "password");
	assert_string_equal(c[0].hash, HASH);
	was = c[0];
	assert_int_equal(check_login(r, id, was.id, was.changed_us), ERR_OK);
	/* Replaced: the same entry, never the same time. */
	for (int i = 0; i < 20; i++) {
		assert_int_equal(registry_set_credential(r, id, "password", HASH_2), ERR_OK);
		assert_int_equal(check_login(r, id, was.id, was.changed_us), ERR_DENIED);
		assert_int_equal(registry_list_credentials(r, id, c, 2, &n), ERR_OK);
		assert_true(c[0].changed_us > was.changed_us);
		was = c[0];
	}
	assert_int_equal(registry_set_credential(r, id, "phone", HASH), ERR_OK);
	assert_int_equal(registry_set_credential(r, id, "third", HASH), ERR_OK);
	assert_int_equal(registry_list_credentials(r, id, c, 2, &n), ERR_OK);
	assert_int_equal(n, 2);
	assert_int_equal(registry_remove_credential(r, id, "PHONE"), ERR_OK);
	assert_int_equal(check_login(r, id, c[1].id, c[1].changed_us), ERR_DENIED);
	assert_int_equal(registry_remove_credential(r, id, "phone"), ERR_NOTFOUND);
	/* Disabled and enabled again. */
	assert_int_equal(check_login(r, id, was.id, was.changed_us), ERR_OK);
	assert_int_equal(registry_set_disabled(r, id, true), ERR_OK);
	assert_int_equal(check_login(r, id, was.id, was.changed_us), ERR_DENIED);
	assert_int_equal(registry_find_account_id(r, id, &a), ERR_OK);
	assert_true(a.disabled);
	assert_int_equal(registry_set_disabled(r, id, false), ERR_OK);
	assert_int_equal(check_login(r, id, was.id, was.changed_us), ERR_OK);
	/* Removed, and a namesake is not it. */
	assert_int_equal(registry_remove_account(r, id), ERR_OK);
	assert_int_equal(registry_remove_account(r, id), ERR_NOTFOUND);
	assert_int_equal(registry_add_account(r, "a@x", HASH, &a.id), ERR_OK);
	assert_true(a.id != id);
	assert_int_equal(check_login(r, id, was.id, was.changed_us), ERR_DENIED);
	assert_int_equal(check_login(r, a.id, was.id, was.changed_us), ERR_DENIED);
	registry_close(r);
}

static void
test_history(void **state)
{
	struct registry *r = open_registry(*state);
	uint64_t id;

	assert_int_equal(registry_add_account(r, "a@x", HASH, &id), ERR_OK);
	assert_int_equal(registry_add_account(r, "a@x", HASH, &id), ERR_EXISTS);
	assert_int_equal(registry_set_disabled(r, id, true), ERR_OK);
	assert_int_equal(registry_set_disabled(r, id, true), ERR_OK);	/* no change, no line */
	assert_int_equal(registry_remove_account(r, id), ERR_OK);
	registry_close(r);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM history"), 5);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM history WHERE account_name = 'a@x'"), 5);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM history WHERE detail LIKE '%$%'"), 0);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM sender"), 0);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM credential"), 0);
}

static void
test_transaction(void **state)
{
	struct registry *r = open_registry(*state), *other = open_registry(*state);
	struct registry_account a;
	uint64_t id;

	assert_int_equal(registry_begin(r), ERR_OK);
	assert_int_equal(registry_add_account(r, "a@x", HASH, &id), ERR_OK);
	assert_int_equal(registry_add_account(r, "a@x", HASH, NULL), ERR_EXISTS);	/* undoes only itself */
	assert_int_equal(registry_find_account(other, "a@x", &a), ERR_NOTFOUND);
	/* Two writers: the other one waits, then gives up. */
	registry_set_timeout(other, 100);
	assert_int_equal(registry_add_account(other, "b@x", HASH, NULL), ERR_BUSY);
	assert_non_null(strstr(registry_reason(other), "locked"));
	assert_int_equal(registry_commit(r), ERR_OK);
	assert_int_equal(registry_find_account(other, "a@x", &a), ERR_OK);
	assert_int_equal(registry_add_account(other, "b@x", HASH, NULL), ERR_OK);
	assert_int_equal(registry_begin(r), ERR_OK);
	assert_int_equal(registry_remove_account(r, id), ERR_OK);
	registry_rollback(r);
	assert_int_equal(registry_find_account(r, "a@x", &a), ERR_OK);
	registry_close(other);
	registry_close(r);
}

static void
test_read_only(void **state)
{
	struct place *p = *state;
	struct registry *r, *w = open_registry(p);
	struct registry_account a;

	assert_int_equal(registry_open(&r, &p->in, &p->ids, false), ERR_OK);
	assert_int_equal(registry_add_account(r, "a@x", HASH, NULL), ERR_DENIED);
	assert_int_equal(registry_add_account(w, "a@x", HASH, NULL), ERR_OK);
	assert_int_equal(registry_find_account(r, "a@x", &a), ERR_OK);
	registry_close(w);
	registry_close(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_patterns, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_walks, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_credentials, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_history, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_transaction, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_read_only, registry_set_up, registry_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
