/*
 * smtpadm domain, and smtpadm dkim check: the domains that mail is sent from, what DNS needs for them, and whether it is there. Runs with
 * the admin's rights.
 */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain.h"
#include "err.h"
#include "out.h"
#include "people.h"
#include "show.h"

static const struct table_column columns[] = {
	{ "DOMAIN", false, 20 }, { "ADDED", false, 0 }, { "DKIM KEYS", false, 0 },
};

static struct conf conf;
static struct domain_wants wants;

/* The domain as written, the configuration and all keys, to be freed. */
static int
prepare(const struct admin *a, const char *word, char domain[256], struct dkim_rows *keys)
{
	int code;

	*keys = (struct dkim_rows){ .n = 0 };
	if ((code = dkim_get_domain(word, domain)) != EX_OK || (code = admin_load_conf(a, &conf)) != EX_OK)
		return code;
	return dkim_list(a, keys);
}

static int
print_wants(const char *domain, const struct dkim_rows *keys)
{
	domain_find_wants(&wants, domain, &conf, keys);
	for (size_t i = 0; i < wants.n; i++)
		domain_print_want(&wants.wants[i], domain);
	return EX_OK;
}

int
cmd_domain_dns(struct admin *a)
{
	struct dkim_rows keys;
	char domain[256];
	int code;

	if ((code = prepare(a, a->words[0], domain, &keys)) == EX_OK)
		code = print_wants(domain, &keys);
	dkim_rows_free(&keys);
	return code;
}

int
cmd_domain_add(struct admin *a)
{
	struct dkim_rows keys;
	struct registry *r;
	char domain[256];
	int code, err;

	if ((code = prepare(a, a->words[0], domain, &keys)) != EX_OK || (code = people_begin(a, &r)) != EX_OK) {
		dkim_rows_free(&keys);
		return code;
	}
	if ((err = registry_add_domain(r, domain)) == ERR_EXISTS) {
		out_fix("smtpadm domain dns %s", domain);
		code = out_fail(EX_CANTCREAT, "exists", "the domain %s is there already", domain);
	} else if (err != ERR_OK) {
		code = people_fail(r, err, domain);
	}
	if ((code = people_finish(a, r, code)) == EX_OK) {
		out_say("domain %s added%s; DNS needs these records", domain, a->dry_run ? " (dry run: nothing was changed)" : "");
		code = print_wants(domain, &keys);
	}
	registry_close(r);
	dkim_rows_free(&keys);
	return code;
}

int
cmd_domain_remove(struct admin *a)
{
	struct json j;
	struct registry *r;
	char domain[256];
	int code, err;

	if ((code = dkim_get_domain(a->words[0], domain)) != EX_OK || (code = people_begin(a, &r)) != EX_OK)
		return code;
	if ((err = registry_remove_domain(r, domain)) == ERR_NOTFOUND) {
		out_fix("smtpadm domain list");
		code = out_fail(EX_NOUSER, "no_domain", "there is no domain %s", domain);
	} else if (err != ERR_OK) {
		code = people_fail(r, err, domain);
	}
	code = people_finish(a, r, code);
	registry_close(r);
	if (code != EX_OK)
		return code;
	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "action", "removed");
		json_put_str(&j, "domain", domain);
		json_put_bool(&j, "dry_run", a->dry_run);
		json_end(&j, stdout);
	}
	out_say("domain %s removed%s; its DKIM keys, if it has any, stay: %sdkim list %s", domain,
	    a->dry_run ? " (dry run: nothing was changed)" : "", out_program(), domain);
	return EX_OK;
}

struct list {
	const struct admin	*a;
	const struct dkim_rows	*keys;
	struct table		 table;
	const char		*only;		/* one domain, or NULL */
	size_t			 n;
};

static int
list_domain(const struct registry_domain *d, void *arg)
{
	struct list *l = arg;
	char time[40], count[64];
	size_t active = 0, all = 0;
	struct json j;

	if (l->only != NULL && strcmp(l->only, d->name) != 0)
		return 0;
	l->n++;
	for (size_t i = 0; i < l->keys->n; i++) {
		const struct dkim_row *k = &l->keys->rows[i];

		all += strcmp(k->domain, d->name) == 0;
		active += strcmp(k->domain, d->name) == 0 && strcmp(k->state, "active") == 0;
	}
	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "domain", d->name);
		json_put_u64(&j, "created_time", d->created_us / 1000000);
		json_put_u64(&j, "dkim_keys", all);
		json_put_u64(&j, "dkim_keys_active", active);
		json_end(&j, stdout);
		return 0;
	}
	snprintf(count, sizeof(count), active != 0 ? "%zu active" : "none active", active);
	table_add(&l->table, d->name);
	table_add(&l->table, show_time(time, l->a->time, d->created_us));
	table_add(&l->table, count);
	return 0;
}

static int
list(struct admin *a, const char *only, const struct dkim_rows *keys, size_t *n)
{
	struct list l = { .a = a, .keys = keys, .only = only };
	struct registry *r;
	int code, err;

	*n = 0;
	if ((code = people_open(a, false, &r)) != EX_OK)
		return code;
	table_open(&l.table, columns, 3);
	if ((err = registry_walk_domains(r, list_domain, &l)) != ERR_OK)
		code = people_fail(r, err, "domains");
	if (only == NULL || l.n != 0)
		table_print(&l.table);
	registry_close(r);
	*n = l.n;
	return code;
}

int
cmd_domain_list(struct admin *a)
{
	struct dkim_rows keys;
	size_t n;
	int code;

	if ((code = dkim_list(a, &keys)) == EX_OK)
		code = list(a, NULL, &keys, &n);
	dkim_rows_free(&keys);
	return code;
}

int
cmd_domain_show(struct admin *a)
{
	struct dkim_rows keys;
	char domain[256];
	size_t n = 0;
	int code;

	if ((code = prepare(a, a->words[0], domain, &keys)) == EX_OK && (code = list(a, domain, &keys, &n)) == EX_OK) {
		if (n == 0) {
			out_fix("smtpadm domain add %s", domain);
			code = out_fail(EX_NOUSER, "no_domain", "there is no domain %s", domain);
		} else {
			code = print_wants(domain, &keys);
		}
	}
	dkim_rows_free(&keys);
	return code;
}

static int
collect(const struct registry_domain *d, void *arg)
{
	struct admin *a = arg;
	char *name = a->nwords < ADMIN_WORDS_MAX ? strdup(d->name) : NULL;

	if (name != NULL)
		a->words[a->nwords++] = name;
	return 0;
}

/* Without a word, every domain of the registry. */
static int
collect_all(struct admin *a)
{
	struct registry *r;
	int code, err;

	if ((code = people_open(a, false, &r)) != EX_OK)
		return code;
	if ((err = registry_walk_domains(r, collect, a)) != ERR_OK)
		code = people_fail(r, err, "domains");
	registry_close(r);
	if (code == EX_OK && a->nwords == 0) {
		out_fix("smtpadm domain add example.org, or smtpadm domain check example.org");
		code = out_fail(EX_NOUSER, "no_domain", "there are no domains to check");
	}
	return code;
}

int
cmd_domain_check(struct admin *a)
{
	struct dkim_rows keys;
	char domain[256];
	int code = EX_OK, worst = EX_OK;

	if (a->nwords == 0 && (code = collect_all(a)) != EX_OK)
		return code;
	for (size_t i = 0; i < a->nwords; i++) {
		if ((code = prepare(a, a->words[i], domain, &keys)) == EX_OK) {
			domain_find_wants(&wants, domain, &conf, &keys);
			code = domain_check(&wants, domain, &conf);
		}
		dkim_rows_free(&keys);
		if (code > worst)
			worst = code;
	}
	return worst;
}

/* Only what is wanted of keys. */
int
cmd_dkim_check(struct admin *a)
{
	struct dkim_rows keys;
	char domain[256];
	size_t n = 0;
	int code;

	if ((code = prepare(a, a->words[0], domain, &keys)) == EX_OK) {
		domain_find_wants(&wants, domain, &conf, &keys);
		for (size_t i = 0; i < wants.n; i++)
			if (wants.wants[i].kind == WANT_DKIM && wants.wants[i].key != NULL)
				wants.wants[n++] = wants.wants[i];
		wants.n = n;
		if (n != 0) {
			code = domain_check(&wants, domain, &conf);
		} else {
			out_fix("smtpadm dkim add %s", domain);
			code = out_fail(EX_NOUSER, "no_key", "%s has no DKIM key", domain);
		}
	}
	dkim_rows_free(&keys);
	return code;
}
