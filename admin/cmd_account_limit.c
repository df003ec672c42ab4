/*
 * smtpadm account limit: what one account may do other than the configuration says. Runs with the admin's rights and writes the
 * registry in one transaction; with --dry-run it is rolled back.
 */
#include "command.h"

#include "err.h"
#include "limit.h"
#include "out.h"
#include "people.h"

static void
show(const struct registry_account *account, bool dry_run)
{
	struct registry_limits l = account->limits;
	struct json j;

	if (!out_is_json()) {
		limit_print(&l, "default");
		return;
	}
	json_begin(&j);
	json_put_str(&j, "account", account->name);
	people_put_limits(&j, &l);
	json_put_bool(&j, "dry_run", dry_run);
	json_end(&j, stdout);
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
		code = limit_read(a, &account.limits, a->words[i], false);
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
