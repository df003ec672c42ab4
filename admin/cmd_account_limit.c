/*
 * smtpadm account limit: what one account may do other than the configuration says. Runs with the admin's rights and writes the
 * registry in one transaction; with --dry-run it is rolled back.
 */
#include "command.h"

#include <string.h>

#include "conf.h"
#include "err.h"
#include "out.h"
#include "people.h"
#include "str.h"

static const struct limit {
	const char	*name, *setting;	/* the setting has the bounds, and what holds without a limit */
	size_t		 offset;
} limits[] = {
	{ "sessions", "limits.sessions_per_account", offsetof(struct registry_limits, sessions) },
	{ "recipients", "limits.recipients", offsetof(struct registry_limits, recipients) },
	{ "message_size", "limits.message_size", offsetof(struct registry_limits, message_size) },
};
#define NLIMITS (sizeof(limits) / sizeof(limits[0]))

static uint64_t *
field_of(struct registry_limits *l, size_t i)
{
	return (uint64_t *)((char *)l + limits[i].offset);
}

/* Reads one "name=value". */
static int
set_one(struct registry_limits *l, const char *word)
{
	const struct conf_setting *s;
	const char *equals = strchr(word, '=');
	size_t i = 0, n = equals != NULL ? (size_t)(equals - word) : 0;
	uint64_t value = 0;
	int err;

	while (i < NLIMITS && (strlen(limits[i].name) != n || strncmp(limits[i].name, word, n) != 0))
		i++;
	if (i == NLIMITS) {
		out_fix("sessions=N, recipients=N or message_size=N");
		return out_fail(EX_USAGE, "usage", "'%s' is no limit of an account", word);
	}
	s = conf_find(limits[i].setting);
	err = strcmp(equals + 1, "default") == 0 ? ERR_OK : s->type == CONF_SIZE ? str_parse_size(equals + 1, &value) :
	    str_parse_u64(equals + 1, strlen(equals + 1), s->max, &value);
	if (err != ERR_OK || (value == 0 && strcmp(equals + 1, "default") != 0) || (value != 0 && value < s->min) ||
	    value > s->max) {
		out_fix("smtpadm config explain %s", s->name);
		return out_fail(EX_DATAERR, "bad_limit", "'%s' is no value for %s", equals + 1, limits[i].name);
	}
	*field_of(l, i) = value;
	return EX_OK;
}

static void
show(const struct registry_account *account, bool dry_run)
{
	struct registry_limits l = account->limits;
	char text[24];
	struct json j;

	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "account", account->name);
		people_put_limits(&j, &l);
		json_put_bool(&j, "dry_run", dry_run);
		json_end(&j, stdout);
		return;
	}
	for (size_t i = 0; i < NLIMITS; i++) {
		if (i == 2)
			str_put_size(text, *field_of(&l, i));
		else
			str_put_u64(text, *field_of(&l, i));
		out_print("%-12s  %s\n", limits[i].name, *field_of(&l, i) == 0 ? "default" : text);
	}
}

int
cmd_account_limit(struct admin *a)
{
	struct registry_account account;
	bool is_change = a->nwords > 1;
	struct registry *r;
	int code, err;

	code = is_change ? people_begin(a, &r) : people_open(a, false, &r);
	if (code != EX_OK)
		return code;
	code = people_find(r, a->words[0], &account);
	for (size_t i = 1; i < a->nwords && code == EX_OK; i++)
		code = set_one(&account.limits, a->words[i]);
	if (is_change) {
		if (code == EX_OK && (err = registry_set_limits(r, account.id, &account.limits)) != ERR_OK)
			code = people_fail(r, err, account.name);
		code = people_finish(a, r, code);
	}
	if (code == EX_OK)
		show(&account, a->dry_run);
	registry_close(r);
	return code;
}
