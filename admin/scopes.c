/*
 * How a credential is narrowed: read from the command line, written, and shown. Runs in smtpadm with the admin's rights.
 */
#include "scopes.h"

#include <string.h>

#include "err.h"
#include "limit.h"
#include "out.h"
#include "people.h"
#include "str.h"

static const struct {
	enum option_id	 option;
	const char	*name, *title;		/* in JSON and tables; for people */
} kinds[SCOPE_KINDS] = {
	[SCOPE_SENDER] = { OPT_SENDER, "senders", "only as" },
	[SCOPE_RECIPIENT] = { OPT_RCPT, "recipients", "only to" },
	[SCOPE_NETWORK] = { OPT_NET, "networks", "only from" },
};

bool
scopes_are_given(const struct admin *a)
{
	return admin_has(a, OPT_SENDER) || admin_has(a, OPT_RCPT) || admin_has(a, OPT_NET) || admin_has(a, OPT_LIMIT);
}

int
scopes_read(struct scopes *s, const struct admin *a, const struct registry_limits *there)
{
	const char *word;
	size_t i = 0;
	int code = EX_OK;

	*s = (struct scopes){ .a = a, .has_limits = admin_has(a, OPT_LIMIT), .limits = *there };
	while (code == EX_OK && (word = admin_next(a, OPT_LIMIT, &i)) != NULL)
		code = limit_read(a, &s->limits, word, true);
	return code;
}

static int
fail(struct registry *r, int err, enum scope_kind kind, const char *name)
{
	if (err == ERR_SYNTAX && kind == SCOPE_NETWORK) {
		out_fix("--net 192.0.2.0/24 or --net 2001:db8::/32");
		return out_fail(EX_DATAERR, "bad_network", "%s", registry_reason(r));
	}
	if (err == ERR_SYNTAX) {
		out_fix("--%s user@example.org or --%s '*@example.org'", kind == SCOPE_SENDER ? "sender" : "rcpt",
		    kind == SCOPE_SENDER ? "sender" : "rcpt");
		return out_fail(EX_DATAERR, "bad_pattern", "%s", registry_reason(r));
	}
	if (err == ERR_TOOBIG) {
		out_fix("one more credential for the rest: smtpadm credential add");
		return out_fail(EX_DATAERR, "too_many", "%s: %s", name, registry_reason(r));
	}
	return people_fail(r, err, name);
}

/* One address of a pattern that must be the account's for the pattern to be of any use. */
static bool
may_be_used(struct registry *r, uint64_t account, const char *pattern)
{
	char text[REGISTRY_PATTERN_MAX];
	struct addr address;
	size_t n = 0;

	if (strcmp(pattern, "<>") == 0) {
		addr_set_null(&address);
		return registry_check_sender(r, account, &address) != ERR_DENIED;
	}
	/* "*@domain" may meet any sender of that domain. */
	if (pattern[0] == '*')
		return true;
	for (; *pattern != 0 && n + 1 < sizeof(text); pattern++)
		if (*pattern != '*')
			text[n++] = *pattern;
	text[n] = 0;
	return addr_parse(&address, text, n, true) != ERR_OK || registry_check_sender(r, account, &address) != ERR_DENIED;
}

static int
put_kind(const struct scopes *s, struct registry *r, const struct registry_account *account, const char *name,
    enum scope_kind kind)
{
	const char *pattern;
	size_t i = 0;
	int err;

	if ((err = registry_clear_scope(r, account->id, name, kind)) != ERR_OK)
		return fail(r, err, kind, name);
	while ((pattern = admin_next(s->a, kinds[kind].option, &i)) != NULL) {
		if (strcmp(pattern, "any") == 0)
			continue;
		if ((err = registry_add_scope(r, account->id, name, kind, pattern)) != ERR_OK && err != ERR_EXISTS)
			return fail(r, err, kind, name);
		if (kind == SCOPE_SENDER && !may_be_used(r, account->id, pattern))
			out_warn("%s may not send as %s, so --sender %s permits nothing: %ssender add %s %s", account->name,
			    pattern, pattern, out_program(), account->name, pattern);
	}
	return EX_OK;
}

int
scopes_put(const struct scopes *s, struct registry *r, const struct registry_account *account, const char *name)
{
	int code = EX_OK, err;

	for (int kind = 0; kind < SCOPE_KINDS && code == EX_OK; kind++)
		if (admin_has(s->a, kinds[kind].option))
			code = put_kind(s, r, account, name, (enum scope_kind)kind);
	if (code == EX_OK && s->has_limits &&
	    (err = registry_set_credential_limits(r, account->id, name, &s->limits)) != ERR_OK)
		code = people_fail(r, err, name);
	return code;
}

static int
print_one(const char *pattern, void *arg)
{
	out_print("%-11s %s\n", (const char *)arg, pattern);
	return 0;
}

int
scopes_print(struct registry *r, const struct registry_credential *c)
{
	int err = ERR_OK;

	for (int kind = 0; kind < SCOPE_KINDS && err == ERR_OK; kind++) {
		char title[16];

		str_fmt(title, sizeof(title), "%s", kinds[kind].title);
		err = registry_walk_scope(r, c->id, (enum scope_kind)kind, print_one, title);
	}
	limit_print(&c->limits, NULL);
	return err;
}

static int
put_one(const char *pattern, void *arg)
{
	json_put_str(arg, NULL, pattern);
	return 0;
}

int
scopes_put_json(struct json *j, struct registry *r, const struct registry_credential *c)
{
	int err = ERR_OK;

	for (int kind = 0; kind < SCOPE_KINDS; kind++) {
		json_open(j, kinds[kind].name, '[');
		if (err == ERR_OK)
			err = registry_walk_scope(r, c->id, (enum scope_kind)kind, put_one, j);
		json_close(j, ']');
	}
	people_put_limits(j, &c->limits);
	return err;
}

char *
scopes_name(char *to, const struct registry_credential *c)
{
	bool has_limits = c->limits.recipients != 0 || c->limits.message_size != 0 || c->limits.messages_per_hour != 0;

	to[0] = 0;
	for (int kind = 0; kind <= SCOPE_KINDS; kind++)
		if (kind < SCOPE_KINDS ? c->scoped[kind] : has_limits)
			str_fmt(to + strlen(to), 64 - strlen(to), "%s%s", to[0] != 0 ? "," : "",
			    kind < SCOPE_KINDS ? kinds[kind].name : "limits");
	return to;
}
