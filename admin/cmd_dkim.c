/*
 * smtpadm dkim: the keys that mail is signed with. Runs with the admin's rights; keys are made and named by postern-keys, started
 * for that, so that no private key is ever here.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "conf.h"
#include "dkim.h"
#include "err.h"
#include "out.h"
#include "show.h"
#include "str.h"

#define SECONDS_OF_DAY 86400
#define DAYS_IN_TRANSIT 5	/* that other servers may have a message, as long as most try (RFC 5321, 4.5.4.1) */

static const struct table_column columns[] = {
	{ "DOMAIN", false, 20 }, { "SELECTOR", false, 12 }, { "ALGORITHM", false, 0 }, { "STATE", false, 0 }, { "MADE", false, 0 },
};

static void
put_key(struct json *j, const struct dkim_row *k)
{
	char record[DKIM_RECORD_TEXT], name[400];

	dkim_put_record(record, k);
	dkim_put_name(name, k);
	json_put_str(j, "domain", k->domain);
	json_put_str(j, "selector", k->selector);
	json_put_str(j, "algorithm", k->algorithm);
	json_put_str(j, "state", k->state);
	json_put_u64(j, "created_time", k->created_s);
	json_put_str(j, "retired", k->retired[0] != 0 ? k->retired : NULL);
	json_put_str(j, "record_name", name);
	json_put_str(j, "record", record);
}

/* The day from which on nothing that this key signed is on its way any more. */
static void
put_last_day(char to[32], const struct conf *c, time_t from)
{
	time_t last = from + (time_t)(c->delivery_expire / 1000) + DAYS_IN_TRANSIT * SECONDS_OF_DAY + SECONDS_OF_DAY;
	struct tm tm;

	if (gmtime_r(&last, &tm) == NULL || strftime(to, 32, "%Y-%m-%d", &tm) == 0)
		to[0] = 0;
}

static time_t
day_of_retirement(const struct dkim_row *k)
{
	struct tm tm = { .tm_isdst = 0 };

	if (sscanf(k->retired, "%4d%2d%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday) != 3)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return timegm(&tm);
}

static void
print_key(const struct dkim_row *k, const struct conf *c)
{
	char record[DKIM_RECORD_TEXT], name[400], day[32];

	dkim_put_record(record, k);
	dkim_put_name(name, k);
	out_print("; %s key of %s, %s\n", k->algorithm, k->domain, k->state);
	if (k->state[0] == 'r') {
		put_last_day(day, c, day_of_retirement(k));
		out_print("; this record may be removed from DNS on %s\n", day);
	}
	dkim_print_txt(name, record);
	out_print("; in one line, for forms that ask for it:\n; %s\n", record);
}

int
cmd_dkim_list(struct admin *a)
{
	struct dkim_rows rows;
	char domain[256] = "", time[40];
	struct table t;
	size_t shown = 0;
	int code;

	if (a->nwords != 0 && (code = dkim_get_domain(a->words[0], domain)) != EX_OK)
		return code;
	if ((code = dkim_list(a, &rows)) != EX_OK)
		return code;
	table_open(&t, columns, 5);
	for (size_t i = 0; i < rows.n; i++) {
		const struct dkim_row *k = &rows.rows[i];
		struct json j;

		if (domain[0] != 0 && strcmp(domain, k->domain) != 0)
			continue;
		shown++;
		if (out_is_json()) {
			json_begin(&j);
			put_key(&j, k);
			json_end(&j, stdout);
			continue;
		}
		table_add(&t, k->domain);
		table_add(&t, k->selector);
		table_add(&t, k->algorithm);
		table_add(&t, k->state);
		table_add(&t, show_time(time, a->time, k->created_s * 1000000));
	}
	table_print(&t);
	dkim_rows_free(&rows);
	return domain[0] != 0 && shown == 0 ? EX_NO : EX_OK;
}

int
cmd_dkim_show(struct admin *a)
{
	static struct conf conf;
	struct dkim_rows rows;
	char domain[256];
	size_t shown = 0;
	int code;

	if ((code = admin_load_conf(a, &conf)) != EX_OK || (code = dkim_get_domain(a->words[0], domain)) != EX_OK)
		return code;
	if ((code = dkim_list(a, &rows)) != EX_OK)
		return code;
	for (size_t i = 0; i < rows.n; i++) {
		const struct dkim_row *k = &rows.rows[i];
		struct json j;

		if (strcmp(domain, k->domain) != 0 || (a->nwords > 1 && strcmp(a->words[1], k->selector) != 0))
			continue;
		shown++;
		if (out_is_json()) {
			json_begin(&j);
			put_key(&j, k);
			json_end(&j, stdout);
		} else {
			print_key(k, &conf);
		}
	}
	dkim_rows_free(&rows);
	if (shown != 0)
		return EX_OK;
	out_fix(a->nwords > 1 ? "smtpadm dkim list %s" : "smtpadm dkim add %s", domain);
	if (a->nwords > 1)
		return out_fail(EX_NOUSER, "no_key", "%s has no DKIM key with the selector %s", domain, a->words[1]);
	return out_fail(EX_NOUSER, "no_key", "%s has no DKIM key", domain);
}

/* What was done to a key, with its record where that is to be published. */
static void
report(const struct admin *a, const struct dkim_row *k, const char *action)
{
	struct json j;

	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "action", action);
		put_key(&j, k);
		json_put_bool(&j, "dry_run", a->dry_run);
		json_end(&j, stdout);
		return;
	}
	if (!a->dry_run && strcmp(action, "added") == 0 && k->state[0] != 'a')
		out_say("%s: %s key %s added, waiting: publish its record, then %sdkim activate %s %s", k->domain, k->algorithm, k->selector,
		    out_program(), k->domain, k->selector);
	else
		out_say("%s: %s key %s %s%s", k->domain, k->algorithm, k->selector, action,
		    a->dry_run ? " (dry run: nothing was changed)" : strcmp(action, "added") != 0 ? "" : ", active");
}

/* The keys that a dry run would make can't be shown: only whether they could be made is. */
static int
would_add(const struct admin *a, const char *domain, const char *algorithm, const char *selector)
{
	struct dkim_row k = { .state = "" };
	struct dkim_rows rows;
	bool exists = false;
	struct json j;
	int code;

	if ((code = dkim_list(a, &rows)) != EX_OK)
		return code;
	for (size_t i = 0; i < rows.n; i++)
		exists = exists || (strcmp(rows.rows[i].domain, domain) == 0 && strcmp(rows.rows[i].selector, selector) == 0);
	dkim_rows_free(&rows);
	if (exists) {
		out_fix("smtpadm dkim list %s", domain);
		return out_fail(EX_CANTCREAT, "exists", "%s has a DKIM key with the selector %s already", domain, selector);
	}
	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "action", "added");
		json_put_str(&j, "domain", domain);
		json_put_str(&j, "algorithm", algorithm);
		json_put_bool(&j, "dry_run", true);
		json_end(&j, stdout);
		return EX_OK;
	}
	snprintf(k.algorithm, sizeof(k.algorithm), "%s", algorithm);
	out_say("%s: a %s key would be made (dry run: nothing was changed)", domain, algorithm);
	return EX_OK;
}

static int
add(const struct admin *a, const char *domain, const char *algorithm, const char *begin, const char *selector, const struct conf *c)
{
	const char *const words[] = { "add", domain, algorithm, begin, selector, NULL };
	struct dkim_rows rows;
	int code;

	if (a->dry_run)
		return would_add(a, domain, algorithm, selector != NULL ? selector : "");
	if ((code = dkim_run(a, words, &rows)) == EX_OK && rows.n == 1) {
		report(a, &rows.rows[0], "added");
		if (!out_is_json())
			print_key(&rows.rows[0], c);
	}
	dkim_rows_free(&rows);
	return code;
}

/* Labels as of a host name, with dots between: as postern-keys takes it, so that a dry run says no less. */
static int
check_selector(const char *selector)
{
	const char *p = selector;
	size_t n;

	do {
		n = strcspn(p, ".");
		if (n == 0 || n > 63 || strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") < n || p[0] == '-' ||
		    p[n - 1] == '-') {
			out_fix("--selector mail2026, or without --selector for one that is made");
			return out_fail(EX_DATAERR, "bad_selector", "'%s' is no selector: letters, digits and hyphens, with dots between",
			    selector);
		}
		p += n;
	} while (*p++ == '.');
	return EX_OK;
}

int
cmd_dkim_add(struct admin *a)
{
	static const char *const algorithms[] = { "rsa", "ed25519" };
	const char *algorithm = admin_value(a, OPT_ALGORITHM), *selector = admin_value(a, OPT_SELECTOR);
	const char *begin = admin_has(a, OPT_ACTIVATE) ? "active" : admin_has(a, OPT_NO_ACTIVATE) ? "waiting" : "auto";
	bool both = algorithm == NULL || strcmp(algorithm, "both") == 0;
	static struct conf conf;
	char domain[256], name[80];
	int code;

	if (admin_has(a, OPT_ACTIVATE) && admin_has(a, OPT_NO_ACTIVATE))
		return out_fail(EX_USAGE, "usage", "--activate and --no-activate contradict each other");
	if (!both && strcmp(algorithm, "rsa") != 0 && strcmp(algorithm, "ed25519") != 0) {
		out_fix("--algorithm rsa, --algorithm ed25519, or without it for both");
		return out_fail(EX_USAGE, "usage", "--algorithm is rsa, ed25519 or both, not '%s'", algorithm);
	}
	if ((code = admin_load_conf(a, &conf)) != EX_OK || (code = dkim_get_domain(a->words[0], domain)) != EX_OK ||
	    (selector != NULL && (code = check_selector(selector)) != EX_OK))
		return code;
	for (size_t i = 0; i < 2 && code == EX_OK; i++) {
		if (!both && strcmp(algorithm, algorithms[i]) != 0)
			continue;
		/* One name in DNS has one key. */
		if (selector != NULL && str_fmt(name, sizeof(name), "%s%s%s", selector, both ? "-" : "", both ? algorithms[i] : "") != ERR_OK)
			return out_fail(EX_DATAERR, "bad_selector", "the selector is too long");
		for (char *c = name; selector != NULL && *c != 0; c++)
			if (*c >= 'A' && *c <= 'Z')
				*c |= 0x20;
		code = add(a, domain, algorithms[i], begin, selector != NULL ? name : NULL, &conf);
	}
	return code == EX_OK && !a->dry_run ? dkim_tell(a) : code;
}

/* activate, retire and remove: the key must be there, so that a dry run says no less. */
static int
change(struct admin *a, const char *verb, const char *action, const struct conf *c)
{
	const char *words[] = { verb, NULL, a->words[1], NULL };
	struct dkim_rows all, changed = { .n = 0 };
	const struct dkim_row *k = NULL;
	char domain[256], day[32];
	int code;

	if ((code = dkim_get_domain(a->words[0], domain)) != EX_OK)
		return code;
	words[1] = domain;
	if ((code = dkim_list(a, &all)) != EX_OK)
		return code;
	for (size_t i = 0; i < all.n && k == NULL; i++)
		if (strcmp(all.rows[i].domain, domain) == 0 && strcmp(all.rows[i].selector, a->words[1]) == 0)
			k = &all.rows[i];
	if (k == NULL) {
		out_fix("smtpadm dkim list %s", domain);
		code = out_fail(EX_NOUSER, "no_key", "%s has no DKIM key with the selector %s", domain, a->words[1]);
	} else if (strcmp(verb, "remove") == 0 && k->state[0] == 'a') {
		out_fix("smtpadm dkim retire %s %s", domain, a->words[1]);
		code = out_fail(EX_DATAERR, "bad_key", "the DKIM key %s of %s is active: retire it first", a->words[1], domain);
	} else if (!a->dry_run) {
		code = dkim_run(a, words, &changed);
	}
	if (code == EX_OK)
		report(a, changed.n == 1 ? &changed.rows[0] : k, action);
	if (code == EX_OK && strcmp(verb, "retire") == 0 && !a->dry_run) {
		put_last_day(day, c, time(NULL));
		out_say("its record %s._domainkey.%s may be removed from DNS on %s: until then mail that it signed may be on its way",
		    a->words[1], domain, day);
	}
	dkim_rows_free(&changed);
	dkim_rows_free(&all);
	return code == EX_OK && !a->dry_run ? dkim_tell(a) : code;
}

int
cmd_dkim_activate(struct admin *a)
{
	return change(a, "activate", "activated", NULL);
}

int
cmd_dkim_retire(struct admin *a)
{
	static struct conf conf;
	int code = admin_load_conf(a, &conf);

	return code != EX_OK ? code : change(a, "retire", "retired", &conf);
}

int
cmd_dkim_remove(struct admin *a)
{
	char what[400];
	const char *sample = what;
	int code;

	snprintf(what, sizeof(what), "%.60s._domainkey.%.255s", a->words[1], a->words[0]);
	if ((code = admin_confirm(a, "removes this private key", "keys", &sample, 1)) != EX_OK)
		return code;
	return change(a, "remove", "removed", NULL);
}
