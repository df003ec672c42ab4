/*
 * smtpadm account usage, logins and test: what an account has in the queue, where it logged in, and whether a password is its
 * own. Runs with the admin's rights, reads only, and never prints a password. Invariant: test judges as postern-auth does, and
 * counts as no login.
 */
#include "command.h"

#include <string.h>

#include "err.h"
#include "io.h"
#include "matches.h"
#include "mem.h"
#include "out.h"
#include "password.h"
#include "people.h"
#include "secret.h"
#include "show.h"
#include "str.h"

static const struct table_column login_columns[] = {
	{ "NAME", false, 12 }, { "LAST USED", false, 0 }, { "FROM", false, 0 },
};

/* An account and its credentials, the registry closed again. Exit code. */
static int
load(const struct admin *a, struct registry_account *account, struct registry_credential *c, size_t *n)
{
	struct registry *r;
	int code, err;

	if ((code = people_open(a, false, &r)) != EX_OK)
		return code;
	if ((code = people_find(r, a->words[0], account)) == EX_OK &&
	    (err = registry_list_credentials(r, account->id, c, REGISTRY_CREDENTIALS_MAX, n)) != ERR_OK)
		code = people_fail(r, err, account->name);
	registry_close(r);
	return code;
}

struct usage {
	const char	*account;
	uint64_t	 messages, octets, recipients, oldest_us;
};

static int
count(const struct queue_message *m, void *arg)
{
	const struct spool_envelope *e = &m->envelope;
	struct usage *u = arg;

	if (e->account == NULL || !str_is_equal_nocase(e->account, strlen(e->account), u->account, strlen(u->account)))
		return 0;
	u->messages++;
	u->octets += e->message_size;
	u->recipients += e->nrecipients;
	if (u->oldest_us == 0 || e->arrival_us < u->oldest_us)
		u->oldest_us = e->arrival_us;
	return 0;
}

int
cmd_account_usage(struct admin *a)
{
	static struct registry_credential c[REGISTRY_CREDENTIALS_MAX];
	static struct admin every;
	struct registry_account account;
	struct usage u = { .account = account.name };
	struct matches ms = { .silent = true, .each = count, .arg = &u };
	char octets[40], oldest[40];
	struct json j;
	size_t n;
	int code;

	if ((code = load(a, &account, c, &n)) != EX_OK)
		return code;
	every = *a;
	every.nwords = 0;
	every.options[0] = OPT_ALL;
	every.noptions = 1;
	if ((code = matches_find(&ms, &every)) != EX_OK)
		return code;
	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "account", account.name);
		json_put_u64(&j, "messages", u.messages);
		json_put_u64(&j, "octets", u.octets);
		json_put_u64(&j, "recipients", u.recipients);
		json_put_u64(&j, "oldest_time", u.oldest_us / 1000000);
		json_end(&j, stdout);
		return EX_OK;
	}
	out_print("account     %s\nmessages    %llu\nsize        %s\nrecipients  %llu\noldest      %s\n", account.name,
	    (unsigned long long)u.messages, show_size(octets, u.octets), (unsigned long long)u.recipients,
	    u.oldest_us != 0 ? show_time(oldest, a->time, u.oldest_us) : "none");
	return EX_OK;
}

int
cmd_account_logins(struct admin *a)
{
	static struct registry_credential c[REGISTRY_CREDENTIALS_MAX];
	struct registry_account account;
	struct table t;
	char text[40];
	struct json j;
	size_t n = 0;
	int code;

	if ((code = load(a, &account, c, &n)) != EX_OK)
		return code;
	table_open(&t, login_columns, sizeof(login_columns) / sizeof(login_columns[0]));
	for (size_t i = 0; i < n; i++) {
		if (out_is_json()) {
			json_begin(&j);
			json_put_str(&j, "account", account.name);
			json_put_str(&j, "credential", c[i].name);
			json_put_u64(&j, "used_time", c[i].used_us / 1000000);
			json_put_str(&j, "used_network", c[i].used_network);
			json_end(&j, stdout);
			continue;
		}
		table_add(&t, c[i].name);
		table_add(&t, c[i].used_us != 0 ? show_time(text, a->time, c[i].used_us) : "never");
		table_add(&t, c[i].used_network);
	}
	table_print(&t);
	return EX_OK;
}

static int
read_password(const struct admin *a, const char *account, struct secret *s)
{
	char prompt[400];

	if (admin_has(a, OPT_STDIN))
		return secret_read(s);
	if (!admin_has_terminal()) {
		out_fix("smtpadm account test %s --stdin", account);
		return out_fail(EX_USAGE, "usage", "there is no terminal to ask for the password on: give --stdin");
	}
	str_fmt(prompt, sizeof(prompt), "Password of %.300s: ", account);
	if (!admin_ask(prompt, false, s->text, PASSWORD_MAX + 1))
		return out_fail(EX_NOINPUT, "no_password", "no password was typed");
	s->len = strlen(s->text);
	return EX_OK;
}

static int
say(const struct registry_account *account, const char *result, const char *credential)
{
	bool right = strcmp(result, "right") == 0;
	struct json j;

	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "account", account->name);
		json_put_bool(&j, "accepted", right);
		json_put_str(&j, "result", result);
		json_put_str(&j, "credential", credential);
		json_end(&j, stdout);
	} else if (strcmp(result, "wrong") == 0) {
		out_print("no: it is no password of %s\n", account->name);
	} else {
		out_print("%s: it is the credential %s of %s%s%s\n", right ? "yes" : "no", credential, account->name,
		    right ? "" : ", which is ", right ? "" : strcmp(result, "disabled") == 0 ? "disabled" : "expired");
	}
	return right ? EX_OK : EX_NO;
}

int
cmd_account_test(struct admin *a)
{
	static struct registry_credential c[REGISTRY_CREDENTIALS_MAX];
	struct registry_account account;
	struct secret s = { .len = 0 };
	const char *expired = NULL;
	uint64_t now_us = io_now_us();
	size_t n = 0, i;
	int code;

	if ((code = load(a, &account, c, &n)) != EX_OK || (code = read_password(a, account.name, &s)) != EX_OK)
		goto out;
	for (i = 0; i < n; i++) {
		if (c[i].kind == CREDENTIAL_LOCAL || c[i].canary || !password_matches(s.text, s.len, c[i].hash))
			continue;
		if (c[i].expires_us == 0 || c[i].expires_us > now_us)
			break;
		expired = c[i].name;
	}
	if (i == n && expired == NULL)
		code = say(&account, "wrong", NULL);
	else if (account.disabled)
		code = say(&account, "disabled", i < n ? c[i].name : expired);
	else
		code = i < n ? say(&account, "right", c[i].name) : say(&account, "expired", expired);
out:
	secret_wipe(&s);
	mem_wipe(c, sizeof(c));
	return code;
}
