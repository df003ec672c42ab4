#ifndef ADMIN_DOMAIN_H
#define ADMIN_DOMAIN_H

#include "admin.h"
#include "conf.h"
#include "dkim.h"

/* What DNS is to say of one domain that mail is sent from, as this instance carries it on. */
enum domain_want_kind { WANT_SPF, WANT_DKIM, WANT_DMARC, WANT_MX, WANT_ADDRESS, WANT_PTR };

struct domain_want {
	enum domain_want_kind	kind;
	const struct dkim_row	*key;		/* WANT_DKIM, NULL: the domain has none */
	char			name[400];	/* of the record, without the last dot */
	char			text[DKIM_RECORD_TEXT];	/* of a TXT record, as advised; else "" */
	char			note[512];	/* a sentence */
};

#define DOMAIN_WANTS_MAX 64

struct domain_wants {
	struct domain_want	wants[DOMAIN_WANTS_MAX];
	size_t			n;
	const struct conf_route	*route;		/* of mail from this domain, NULL: none */
};

struct json;

/* "spf", "dkim", ... */
const char *domain_want_name(enum domain_want_kind kind);

/* All of it. Retired keys are left out. */
void	domain_find_wants(struct domain_wants *w, const char *domain, const struct conf *c, const struct dkim_rows *keys);

/* Its fields; one line, as an object of JSON or for a zone file. domain_print.c */
void	domain_put_want(struct json *j, const struct domain_want *w, const char *domain);
void	domain_print_want(const struct domain_want *w, const char *domain);

/* Compares DNS with what is wanted, one line each. 0; 1 when something is missing or different; 68 when name servers do not answer. */
int	domain_check(const struct domain_wants *w, const char *domain, const struct conf *c);

#endif
