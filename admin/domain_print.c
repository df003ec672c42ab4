/*
 * The records that a domain needs in DNS, as a person pastes them into a zone file and as JSON. Runs in smtpadm with the admin's rights.
 */
#include "domain.h"

#include <stdio.h>

#include "out.h"

static const char *
type_of(const struct domain_want *w)
{
	return w->kind <= WANT_DMARC ? "TXT" : w->kind == WANT_MX ? "MX" : w->kind == WANT_PTR ? "PTR" : "A";
}

void
domain_put_want(struct json *j, const struct domain_want *w, const char *domain)
{
	json_put_str(j, "domain", domain);
	json_put_str(j, "record", domain_want_name(w->kind));
	json_put_str(j, "name", w->name);
	json_put_str(j, "type", type_of(w));
	json_put_str(j, "text", w->text[0] != 0 ? w->text : NULL);
	json_put_str(j, "note", w->note[0] != 0 ? w->note : NULL);
}

void
domain_print_want(const struct domain_want *w, const char *domain)
{
	struct json j;

	if (out_is_json()) {
		json_begin(&j);
		domain_put_want(&j, w, domain);
		json_end(&j, stdout);
		return;
	}
	if (w->note[0] != 0)
		out_print("; %s: %s\n", domain_want_name(w->kind), w->note);
	if (w->text[0] != 0)
		dkim_print_txt(w->name, w->text);
	else if (w->kind == WANT_MX)
		out_print("; %s. IN MX 10 the.server.of.the.mailboxes.\n", w->name);
	else if (w->kind == WANT_ADDRESS)
		out_print("; %s. IN A the.address\n", w->name);
}
