/*
 * What DNS is to say of a domain: sender policy, keys, DMARC, and a way for bounces. Pure but for the name of the instance in what is advised; part of smtpadm.
 */
#include "domain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "out.h"

static const char *const names[] = {
	[WANT_SPF] = "spf", [WANT_DKIM] = "dkim", [WANT_DMARC] = "dmarc", [WANT_MX] = "mx", [WANT_ADDRESS] = "address", [WANT_PTR] = "ptr",
};

const char *
domain_want_name(enum domain_want_kind kind)
{
	return names[kind];
}

static struct domain_want *
want(struct domain_wants *w, enum domain_want_kind kind, const char *prefix, const char *domain)
{
	struct domain_want *found = &w->wants[w->n < DOMAIN_WANTS_MAX - 1 ? w->n++ : DOMAIN_WANTS_MAX - 1];

	*found = (struct domain_want){ .kind = kind };
	snprintf(found->name, sizeof(found->name), "%s%s", prefix, domain);
	return found;
}

static void
want_spf(struct domain_wants *w, const char *domain, const struct conf *c)
{
	struct domain_want *d = want(w, WANT_SPF, "", domain);

	if (w->route != NULL && (w->route->kind == ROUTE_SMTP || w->route->kind == ROUTE_SMTPS)) {
		snprintf(d->text, sizeof(d->text), "v=spf1 a:%s ~all", w->route->host);
		snprintf(d->note, sizeof(d->note), "mail leaves by %s: if its operator names an include: for this, put it in place of a:",
		    w->route->host);
	} else {
		snprintf(d->text, sizeof(d->text), "v=spf1 a:%s ~all", c->hostname);
		snprintf(d->note, sizeof(d->note), "mail leaves from the addresses of %s; there may be one such record only: add a: to the "
		    "one that is there", c->hostname);
	}
}

static void
want_dkim(struct domain_wants *w, const char *domain, const struct dkim_rows *keys)
{
	struct domain_want *d;
	size_t n = 0;

	for (size_t i = 0; i < keys->n; i++) {
		const struct dkim_row *k = &keys->rows[i];

		if (strcmp(k->domain, domain) != 0 || strcmp(k->state, "retired") == 0)
			continue;
		d = want(w, WANT_DKIM, "", "");
		d->key = k;
		dkim_put_name(d->name, k);
		dkim_put_record(d->text, k);
		if (k->state[0] == 'w')
			snprintf(d->note, sizeof(d->note), "this key waits: publish its record, then %.200sdkim activate %s %s",
			    out_program(), domain, k->selector);
		n++;
	}
	if (n == 0) {
		d = want(w, WANT_DKIM, "_domainkey.", domain);
		snprintf(d->note, sizeof(d->note), "there is no key: mail from this domain is not signed; %.200sdkim add %s",
		    out_program(), domain);
	}
}

void
domain_find_wants(struct domain_wants *w, const char *domain, const struct conf *c, const struct dkim_rows *keys)
{
	struct domain_want *d;

	*w = (struct domain_wants){ .n = 0 };
	w->route = conf_find_route(c, "", domain, "");
	want_spf(w, domain, c);
	want_dkim(w, domain, keys);
	d = want(w, WANT_DMARC, "_dmarc.", domain);
	snprintf(d->text, sizeof(d->text), "v=DMARC1; p=none; rua=mailto:postmaster@%s", domain);
	snprintf(d->note, sizeof(d->note), "p=none to begin with; quarantine or reject once the reports show that all mail is signed");
	d = want(w, WANT_MX, "", domain);
	snprintf(d->note, sizeof(d->note), "where mail to this domain goes, bounces among it: the server that has its mailboxes");
	if (w->route == NULL || w->route->kind != ROUTE_MX)
		return;
	d = want(w, WANT_ADDRESS, "", c->hostname);
	snprintf(d->note, sizeof(d->note), "an A or AAAA record with the address that mail leaves from");
	d = want(w, WANT_PTR, "", c->hostname);
	snprintf(d->note, sizeof(d->note), "that address leads back to %s: who has given you the address can set this", c->hostname);
}
