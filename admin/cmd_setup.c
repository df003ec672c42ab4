/*
 * smtpadm setup: an instance with everything that posternd needs, and in the system's places the service itself, started and tried.
 * Runs as root or as an ordinary user. Invariant: all that can be refused is refused before the first change; what is there stays, and
 * each thing replaced on request is named.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "out.h"
#include "people.h"
#include "route.h"
#include "setup.h"
#include "spool.h"
#include "str.h"

static int
find_account(struct setup *s, bool *exists)
{
	struct registry_account account;
	struct registry *r;
	int code, err;

	*exists = false;
	if (s->is_fresh)
		return EX_OK;
	if ((code = people_open_as(s->a, &s->ids, false, &r)) != EX_OK)
		return code;
	err = registry_find_account(r, s->account_name, &account);
	*exists = err == ERR_OK;
	if (err != ERR_OK && err != ERR_NOTFOUND)
		code = people_fail(r, err, s->account_name);
	registry_close(r);
	return code;
}

static int
plan_account(struct setup *s)
{
	const char *given = admin_value(s->a, OPT_ACCOUNT);
	char typed[REGISTRY_NAME_MAX] = "";
	size_t at = 0, n = 0;
	struct stat st;
	bool exists;
	int code;

	s->is_fresh = stat(s->a->in.registry_file, &st) != 0;
	while (admin_next(s->a, OPT_ACCOUNT, &at) != NULL)
		n++;
	if (n > 1) {
		out_fix("smtpadm account add ACCOUNT for each of the others");
		return out_fail(EX_USAGE, "usage", "setup makes one account");
	}
	out_fix("smtpadm setup --account alice@example.org --password-stdin");
	if (given == NULL && admin_has(s->a, OPT_PASSWORD_STDIN))
		return out_fail(EX_USAGE, "usage", "--password-stdin needs --account");
	out_fix("%s", "");
	if (given == NULL && admin_has_terminal() && s->is_fresh &&
	    admin_ask("First account, such as alice@example.org (empty: none): ", true, typed, sizeof(typed)) &&
	    typed[0] != 0)
		given = typed;
	if (given == NULL)
		return EX_OK;
	if ((code = people_check_name(given)) != EX_OK)
		return code;
	str_fmt(s->account_name, sizeof(s->account_name), "%s", given);
	if ((code = find_account(s, &exists)) != EX_OK)
		return code;
	s->account = !exists ? ACCOUNT_ADDED : admin_has(s->a, OPT_PASSWORD_STDIN) ? ACCOUNT_CHANGED : ACCOUNT_KEPT;
	if (s->account == ACCOUNT_KEPT)
		return EX_OK;
	if (admin_has(s->a, OPT_PASSWORD_STDIN))
		code = secret_read(&s->secret);
	else if (admin_has_terminal())
		code = secret_ask(s->account_name, &s->secret);
	else
		code = secret_generate(&s->secret);
	return code;
}

/* In one transaction; the account may have come or gone since it was looked for. */
static int
write_account(struct setup *s)
{
	struct registry_account account;
	struct registry *r;
	uint64_t id;
	int code, err;

	if (s->account == ACCOUNT_NONE || s->account == ACCOUNT_KEPT)
		return EX_OK;
	if ((code = secret_hash(&s->secret)) != EX_OK || (code = people_open_as(s->a, &s->ids, true, &r)) != EX_OK)
		return code;
	if ((err = registry_begin(r)) == ERR_OK &&
	    (err = registry_find_account(r, s->account_name, &account)) == ERR_OK) {
		struct registry_credential c[1];
		size_t n = 0;

		/* The same password again is no change: sessions and remembered logins stay. */
		if (registry_list_credentials(r, account.id, c, 1, &n) == ERR_OK && n == 1 &&
		    strcmp(c[0].name, "password") == 0 && password_matches(s->secret.text, s->secret.len, c[0].hash))
			s->account = ACCOUNT_KEPT;
		else
			err = registry_set_credential(r, account.id, "password", s->secret.hash);
	} else if (err == ERR_NOTFOUND) {
		err = registry_add_account(r, s->account_name, s->secret.hash, &id);
	}
	code = people_end(r, err == ERR_OK ? EX_OK : people_fail(r, err, s->account_name));
	registry_close(r);
	return code;
}

/* The first route; setup that is run again leaves those alone that are there. */
static int
plan_route(struct setup *s)
{
	const char *url = admin_value(s->a, OPT_ROUTE);
	int code;

	if (url == NULL || s->conf.nroutes != 0) {
		if (url != NULL)
			out_say("there are routes already, so --route is not looked at (%sroute list)", out_program());
		return EX_OK;
	}
	if ((code = route_plan(&s->route, s->a, &s->file, &s->conf, "main", url, false)) != EX_OK)
		return code;
	s->file_changed = true;
	return EX_OK;
}

static int
make_all(struct setup *s)
{
	char spool[PATH_MAX];
	int code, err;

	if ((code = setup_make_folders(s)) != EX_OK)
		return code;
	if ((code = route_write_secret(&s->route)) != EX_OK)
		return code;
	if (s->file_changed && (code = conffile_save(&s->file)) != EX_OK)
		return code;
	if ((err = registry_create(&s->a->in, &s->ids)) != ERR_OK && err != ERR_EXISTS)
		return people_fail(NULL, err, s->a->in.registry_file);
	if (instance_spool(&s->a->in, &s->conf, spool) != ERR_OK)
		return out_fail(EX_CONFIG, "configuration", "spool.path is too long");
	if ((err = spool_create(spool, &s->ids)) != ERR_OK)
		return out_fail(admin_code(err), admin_name(err), "the spool %s: %s", spool, err_text(err));
	/* The password that is made for an account is shown only when all went well. */
	if ((code = setup_make_domains(s)) != EX_OK)
		return code;
	return write_account(s);
}

/* The service is started when all is said that only this run knows; what went wrong with it stands last. */
static int
finish(struct setup *s)
{
	if (!out_is_json()) {
		setup_report_made(s);
		fflush(stdout);
	}
	if (setup_may_start(s)) {
		setup_start(s);
		if (s->service != SERVICE_FAILED)
			setup_probe(s);
	}
	if (out_is_json()) {
		setup_report_json(s);
	} else {
		setup_report_service(s);
		setup_report_dns(s);
		setup_report_next(s);
	}
	return setup_judge(s);
}

int
cmd_setup(struct admin *a)
{
	static struct setup s;
	int code;

	s.a = a;
	buf_init(&s.chain, 1024 * 1024);
	buf_init(&s.key, 1024 * 1024);
	if ((code = conffile_open(&s.file, a)) != EX_OK)
		return code;
	if ((code = setup_plan_conf(&s)) != EX_OK || (code = plan_route(&s)) != EX_OK)
		goto out;
	instance_ids(&a->in, &s.conf, &s.ids);
	if ((code = setup_plan_certificate(&s)) != EX_OK || (code = plan_account(&s)) != EX_OK ||
	    (code = setup_plan_domains(&s)) != EX_OK)
		goto out;
	if (a->dry_run || (code = make_all(&s)) == EX_OK)
		code = finish(&s);
out:
	dkim_rows_free(&s.keys);
	secret_wipe(&s.secret);
	route_plan_end(&s.route);
	conffile_close(&s.file);
	buf_free(&s.chain);
	buf_wipe(&s.key);
	return code;
}
