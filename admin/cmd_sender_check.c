/*
 * smtpadm sender who, sender check: who may send as an address, answered as postern-auth answers MAIL. Runs with the admin's
 * rights and only reads the registry.
 */
#include "command.h"

#include <string.h>

#include "addr.h"
#include "err.h"
#include "out.h"
#include "pattern.h"
#include "people.h"
#include "str.h"

static const struct table_column columns[] = { { "ACCOUNT", false, 20 }, { "SENDER", false, 20 }, { "STATE", false, 0 } };

struct search {
	struct registry	*r;
	struct addr	 address;
	const char	*text;
	struct table	*table;
	size_t		 n;			/* accounts that are enabled */
	char		 pattern[REGISTRY_PATTERN_MAX];	/* that permits it, or "" */
};

static int
parse_address(const char *text, struct search *s)
{
	s->text = text;
	s->address = (struct addr){ .len = 0 };
	if (strcmp(text, "<>") == 0 || addr_parse(&s->address, text, strlen(text), true) == ERR_OK)
		return EX_OK;
	out_fix("user@domain, or '<>' for the empty sender");
	return out_fail(EX_DATAERR, "bad_address", "'%s' is no address", text);
}

static bool
permits(const struct search *s, const char *pattern)
{
	char candidate[REGISTRY_PATTERN_MAX];

	for (size_t i = 0; pattern_candidate(candidate, &s->address, i) == ERR_OK; i++)
		if (str_is_equal_nocase(candidate, strlen(candidate), pattern, strlen(pattern)))
			return true;
	return false;
}

static int
take_who(const struct registry_sender *sender, void *arg)
{
	struct registry_account account;
	struct search *s = arg;
	struct json j;
	int err;

	if (!permits(s, sender->pattern))
		return 0;
	if ((err = registry_find_account_id(s->r, sender->account, &account)) != ERR_OK)
		return err;
	s->n += !account.disabled;
	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "account", account.name);
		json_put_str(&j, "sender", sender->pattern);
		json_put_str(&j, "state", account.disabled ? "disabled" : "enabled");
		json_end(&j, stdout);
		return 0;
	}
	table_add(s->table, account.name);
	table_add(s->table, sender->pattern);
	table_add(s->table, account.disabled ? "disabled" : "enabled");
	return 0;
}

int
cmd_sender_who(struct admin *a)
{
	static struct search s;
	struct table t;
	int code, err;

	if ((code = parse_address(a->words[0], &s)) != EX_OK || (code = people_open(a, false, &s.r)) != EX_OK)
		return code;
	table_open(&t, columns, sizeof(columns) / sizeof(columns[0]));
	s.table = &t;
	if ((err = registry_walk_senders(s.r, 0, take_who, &s)) != ERR_OK)
		code = people_fail(s.r, err, "senders");
	else if (s.n == 0)
		code = EX_NO;
	if (code == EX_NO)
		out_say("no account may send as %s", s.text);
	table_print(&t);
	registry_close(s.r);
	return code;
}

static int
take_pattern(const struct registry_sender *sender, void *arg)
{
	struct search *s = arg;

	if (!permits(s, sender->pattern))
		return 0;
	str_copy(s->pattern, sizeof(s->pattern), sender->pattern, strlen(sender->pattern));
	return 1;
}

static int
answer(const struct search *s, const struct registry_account *account)
{
	bool allowed = s->pattern[0] != 0 && !account->disabled;
	struct json j;

	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "account", account->name);
		json_put_str(&j, "sender", s->text);
		json_put_bool(&j, "allowed", allowed);
		json_put_str(&j, "pattern", s->pattern[0] != 0 ? s->pattern : NULL);
		json_put_str(&j, "state", account->disabled ? "disabled" : "enabled");
		json_end(&j, stdout);
	} else if (allowed) {
		out_print("yes: %s may send as %s, by %s\n", account->name, s->text, s->pattern);
	} else if (s->pattern[0] != 0) {
		out_print("no: %s is disabled; enabled, it may send as %s, by %s\n", account->name, s->text, s->pattern);
	} else {
		out_print("no: no sender of %s permits %s\n", account->name, s->text);
	}
	return allowed ? EX_OK : EX_NO;
}

int
cmd_sender_check(struct admin *a)
{
	struct registry_account account;
	static struct search s;
	int code, err;

	if ((code = parse_address(a->words[1], &s)) != EX_OK || (code = people_open(a, false, &s.r)) != EX_OK)
		return code;
	if ((code = people_find(s.r, a->words[0], &account)) == EX_OK) {
		err = registry_walk_senders(s.r, account.id, take_pattern, &s);
		code = err == ERR_OK || err == 1 ? answer(&s, &account) : people_fail(s.r, err, account.name);
	}
	registry_close(s.r);
	return code;
}
