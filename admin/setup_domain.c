/*
 * The domains that smtpadm setup is to care for: into the registry, each with a DKIM key of every kind. Runs with the admin's rights.
 * Invariant: what is there stays, and a dry run opens nothing that is not there.
 */
#include "setup.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addr.h"
#include "err.h"
#include "out.h"
#include "people.h"
#include "process.h"
#include "str.h"

static const char *const algorithms[SETUP_ALGORITHMS] = { "rsa", "ed25519" };

const char *
setup_algorithm(size_t i)
{
	return algorithms[i];
}

static struct setup_domain *
find(struct setup *s, const char *name)
{
	for (size_t i = 0; i < s->ndomains; i++)
		if (strcmp(s->domains[i].name, name) == 0)
			return &s->domains[i];
	return NULL;
}

static int
add(struct setup *s, const char *word)
{
	char name[256];
	int code;

	if ((code = dkim_get_domain(word, name)) != EX_OK || find(s, name) != NULL)
		return code;
	if (s->ndomains == SETUP_DOMAINS_MAX) {
		out_fix("smtpadm domain add %s", name);
		return out_fail(EX_USAGE, "usage", "setup takes %d domains at most", SETUP_DOMAINS_MAX);
	}
	s->domains[s->ndomains] = (struct setup_domain){ .is_there = false };
	memcpy(s->domains[s->ndomains++].name, name, sizeof(name));
	return EX_OK;
}

/* The domain of the account, in lower case; "" when its name has none that DNS could know. */
static void
put_domain_of_account(struct setup *s)
{
	const char *at = strrchr(s->account_name, '@');

	s->other_domain[0] = 0;
	if (s->account != ACCOUNT_NONE && at != NULL && at[1] != '[' && addr_is_domain(at + 1, strlen(at + 1), false))
		dkim_get_domain(at + 1, s->other_domain);
}

/* Nobody spoke of a domain: the account's is proposed, on a terminal, once. */
static int
ask(struct setup *s)
{
	char prompt[400], typed[256];

	if (s->other_domain[0] == 0 || !s->is_fresh || !admin_has_terminal())
		return EX_OK;
	snprintf(prompt, sizeof(prompt), "Domain that mail is sent from (none: without) [%s]: ", s->other_domain);
	if (!admin_ask(prompt, true, typed, sizeof(typed)) || strcmp(typed, "none") == 0)
		return EX_OK;
	return add(s, typed[0] != 0 ? typed : s->other_domain);
}

static int
note_domain(const struct registry_domain *d, void *arg)
{
	struct setup *s = arg;
	struct setup_domain *found = find(s, d->name);

	if (found != NULL)
		found->is_there = true;
	if (strcmp(d->name, s->other_domain) == 0)
		s->other_domain[0] = 0;
	return 0;
}

static int
read_domains(struct setup *s)
{
	struct registry *r;
	int code, err;

	if ((code = people_open_as(s->a, &s->ids, false, &r)) != EX_OK)
		return code;
	if ((err = registry_walk_domains(r, note_domain, s)) != ERR_OK)
		code = people_fail(r, err, "domains");
	registry_close(r);
	return code;
}

/* What s->keys says of them. */
static void
note_keys(struct setup *s)
{
	for (size_t i = 0; i < s->keys.n; i++) {
		const struct dkim_row *k = &s->keys.rows[i];
		struct setup_domain *d = find(s, k->domain);

		for (size_t n = 0; d != NULL && n < SETUP_ALGORITHMS; n++)
			if (strcmp(k->algorithm, algorithms[n]) == 0 && strcmp(k->state, "retired") != 0)
				d->has_key[n] = true;
	}
}

static int
read_keys(struct setup *s)
{
	int code;

	dkim_rows_free(&s->keys);
	if ((code = dkim_list(s->a, &s->keys)) == EX_OK)
		note_keys(s);
	return code;
}

int
setup_plan_domains(struct setup *s)
{
	const char *word;
	size_t at = 0;
	struct stat st;
	int code;

	put_domain_of_account(s);
	while ((word = admin_next(s->a, OPT_DOMAIN, &at)) != NULL)
		if ((code = add(s, word)) != EX_OK)
			return code;
	if (s->ndomains == 0 && (code = ask(s)) != EX_OK)
		return code;
	if (find(s, s->other_domain) != NULL)
		s->other_domain[0] = 0;
	if (!s->is_fresh && (code = read_domains(s)) != EX_OK)
		return code;
	/* postern-keys needs its empty folder, which a stopped service has not; a set-up that is no dry run makes it first. */
	if (s->ndomains != 0 && s->a->dry_run && s->file.exists && stat(s->a->in.dkim_dir, &st) == 0 &&
	    stat(s->a->in.empty_dir, &st) == 0)
		return read_keys(s);
	return EX_OK;
}

static int
add_to_registry(struct setup *s)
{
	struct registry *r;
	int code, err;

	if ((code = people_open_as(s->a, &s->ids, true, &r)) != EX_OK)
		return code;
	err = registry_begin(r);
	for (size_t i = 0; i < s->ndomains && err == ERR_OK; i++)
		if ((err = registry_add_domain(r, s->domains[i].name)) == ERR_EXISTS) {
			s->domains[i].is_there = true;
			err = ERR_OK;
		}
	code = people_end(r, err == ERR_OK ? EX_OK : people_fail(r, err, "domains"));
	registry_close(r);
	return code;
}

static int
make_keys(const struct setup *s, const struct setup_domain *d, size_t *made)
{
	struct dkim_rows rows;
	int code = EX_OK;

	for (size_t i = 0; i < SETUP_ALGORITHMS && code == EX_OK; i++) {
		const char *const words[] = { "add", d->name, algorithms[i], "auto", NULL };

		if (d->has_key[i])
			continue;
		if ((code = dkim_run(s->a, words, &rows)) == EX_OK)
			(*made)++;
		dkim_rows_free(&rows);
	}
	return code;
}

int
setup_make_domains(struct setup *s)
{
	size_t made = 0;
	pid_t pid;
	int code;

	if (s->ndomains == 0)
		return EX_OK;
	if ((code = add_to_registry(s)) != EX_OK || (code = read_keys(s)) != EX_OK)
		return code;
	for (size_t i = 0; i < s->ndomains; i++)
		if ((code = make_keys(s, &s->domains[i], &made)) != EX_OK)
			return code;
	if (made == 0)
		return EX_OK;
	dkim_rows_free(&s->keys);
	if ((code = dkim_list(s->a, &s->keys)) != EX_OK)
		return code;
	/* A service that setup starts or tells itself finds them. */
	return !setup_may_start(s) && process_find_master(s->a, &pid) ? dkim_tell(s->a) : EX_OK;
}
