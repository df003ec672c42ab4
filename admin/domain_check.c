/*
 * DNS beside what it is to say of a domain. Runs in smtpadm with the admin's rights and asks name servers. Invariant: what DNS says
 * is compared and shown, and never used for anything else.
 */
#include "domain.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "dns.h"
#include "err.h"
#include "out.h"
#include "str.h"

enum verdict { FOUND, MISSING, DIFFERENT, UNKNOWN };

static const char *const verdicts[] = { [FOUND] = "found", [MISSING] = "missing", [DIFFERENT] = "different", [UNKNOWN] = "unknown" };

struct check {
	struct dns		 dns;
	const struct conf	*conf;
	const char		*domain;
	const struct conf_route	*route;
	struct dns_answer	 answer, other;
	char			 why[1024];	/* a phrase beside the verdict */
};

static enum verdict
ask(struct check *c, const char *name, enum dns_type type, struct dns_answer *a)
{
	if (dns_ask(&c->dns, name, type, a) == ERR_OK)
		return a->n != 0 ? FOUND : MISSING;
	snprintf(c->why, sizeof(c->why), "%s", c->dns.why);
	return UNKNOWN;
}

/* Keeps only the texts that begin so, as a word, without case; how many through answer.n. */
static void
keep_only(struct dns_answer *a, const char *start)
{
	size_t n = strlen(start), kept = 0;

	for (size_t i = 0; i < a->n; i++) {
		const char *v = a->values[i];

		if (strncasecmp(v, start, n) == 0 && (v[n] == 0 || v[n] == ' ' || v[n] == ';') && kept++ != i)
			memcpy(a->values[kept - 1], v, DNS_VALUE_TEXT);
	}
	a->n = kept;
}

/* Whether a policy names an address of the host. */
static bool
names_address(struct check *c, const char *mechanism, const char *host)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };

	for (size_t t = 0; t < 2; t++)
		for (size_t i = 0; ask(c, host, types[t], &c->other) == FOUND && i < c->other.n; i++) {
			size_t n = strlen(c->other.values[i]);

			if (strncasecmp(mechanism + 4, c->other.values[i], n) == 0 && (mechanism[4 + n] == 0 || mechanism[4 + n] == '/'))
				return true;
		}
	return false;
}

static bool
is_exchanger(struct check *c, const char *host)
{
	for (size_t i = 0; ask(c, c->domain, DNS_MX, &c->other) == FOUND && i < c->other.n; i++) {
		const char *blank = strchr(c->other.values[i], ' ');

		if (blank != NULL && strcasecmp(blank + 1, host) == 0)
			return true;
	}
	return false;
}

/* One mechanism: FOUND if it covers the host that mail leaves by, UNKNOWN if that depends on another domain's record. */
static enum verdict
judge_mechanism(struct check *c, const char *m, const char *host)
{
	if (*m == '+')
		m++;
	if (strncasecmp(m, "include:", 8) == 0 || strncasecmp(m, "redirect=", 9) == 0)
		return UNKNOWN;
	if (strncasecmp(m, "a:", 2) == 0)
		return strncasecmp(m + 2, host, strlen(host)) == 0 && strchr("/", m[2 + strlen(host)]) != NULL ? FOUND : MISSING;
	if (strcasecmp(m, "a") == 0)
		return strcasecmp(c->domain, host) == 0 ? FOUND : MISSING;
	if (strcasecmp(m, "mx") == 0)
		return is_exchanger(c, host) ? FOUND : MISSING;
	if (strncasecmp(m, "ip4:", 4) == 0 || strncasecmp(m, "ip6:", 4) == 0)
		return names_address(c, m, host) ? FOUND : MISSING;
	return MISSING;
}

static enum verdict
check_spf(struct check *c, const struct domain_want *w)
{
	bool is_smarthost = c->route != NULL && (c->route->kind == ROUTE_SMTP || c->route->kind == ROUTE_SMTPS);
	const char *host = is_smarthost ? c->route->host : c->conf->hostname;
	enum verdict v = ask(c, w->name, DNS_TXT, &c->answer), covered = MISSING;
	char text[DNS_VALUE_TEXT], *rest = text, *word;

	if (v == UNKNOWN)
		return v;
	keep_only(&c->answer, "v=spf1");
	if (c->answer.n == 0)
		return MISSING;
	if (c->answer.n > 1) {
		snprintf(c->why, sizeof(c->why), "there are %zu records with v=spf1, which counts as none: make one of them", c->answer.n);
		return DIFFERENT;
	}
	memcpy(text, c->answer.values[0], sizeof(text));
	while (covered != FOUND && (word = strsep(&rest, " ")) != NULL) {
		v = judge_mechanism(c, word, host);
		if (v != MISSING)
			covered = v;
	}
	if (covered == FOUND)
		return FOUND;
	if (covered == UNKNOWN) {
		snprintf(c->why, sizeof(c->why), "whether the domains that it includes name %s was not looked at", host);
		return FOUND;
	}
	snprintf(c->why, sizeof(c->why), "it does not name %s: %.600s", host, c->answer.values[0]);
	return DIFFERENT;
}

/* The value of one tag of a record, without blanks; false when it is not there. */
static bool
get_tag(const char *record, const char *tag, char *to, size_t size)
{
	char text[DNS_VALUE_TEXT], *rest = text, *part;
	size_t n = 0;

	snprintf(text, sizeof(text), "%s", record);
	while ((part = strsep(&rest, ";")) != NULL) {
		char *is = strchr(part, '=');

		part += strspn(part, " \t");
		if (is == NULL || strncmp(part, tag, strlen(tag)) != 0 || strspn(part + strlen(tag), " \t") + part + strlen(tag) != is)
			continue;
		for (const char *p = is + 1; *p != 0 && n + 1 < size; p++)
			if (strchr(" \t\r\n", *p) == NULL)
				to[n++] = *p;
		to[n] = 0;
		return true;
	}
	return false;
}

static enum verdict
check_dkim(struct check *c, const struct domain_want *w)
{
	char value[DNS_VALUE_TEXT];
	enum verdict v;

	if (w->key == NULL) {
		snprintf(c->why, sizeof(c->why), "%s", w->note);
		return MISSING;
	}
	if ((v = ask(c, w->name, DNS_TXT, &c->answer)) != FOUND)
		return v;
	if (c->answer.n > 1) {
		snprintf(c->why, sizeof(c->why), "there are %zu TXT records at this name: verifiers may take any of them", c->answer.n);
		return DIFFERENT;
	}
	if (get_tag(c->answer.values[0], "v", value, sizeof(value)) && strcmp(value, "DKIM1") != 0)
		snprintf(c->why, sizeof(c->why), "its tag v is '%.40s', not DKIM1", value);
	else if (get_tag(c->answer.values[0], "k", value, sizeof(value)) ? strcmp(value, w->key->algorithm) != 0 :
	    strcmp(w->key->algorithm, "rsa") != 0)
		snprintf(c->why, sizeof(c->why), "its tag k is not %s", w->key->algorithm);
	else if (!get_tag(c->answer.values[0], "p", value, sizeof(value)))
		snprintf(c->why, sizeof(c->why), "it has no tag p");
	else if (value[0] == 0)
		snprintf(c->why, sizeof(c->why), "its tag p is empty: the key is revoked");
	else if (strcmp(value, w->key->public_key) != 0)
		snprintf(c->why, sizeof(c->why), "its tag p is another key's");
	else
		return FOUND;
	return DIFFERENT;
}

/* Receivers also look at the domain above (RFC 7489, 6.6.3). */
static enum verdict
check_dmarc(struct check *c, const struct domain_want *w)
{
	const char *domain = c->domain;
	char name[512];
	enum verdict v;

	do {
		snprintf(name, sizeof(name), "_dmarc.%s", domain);
		if ((v = ask(c, name, DNS_TXT, &c->answer)) == UNKNOWN)
			return v;
		keep_only(&c->answer, "v=DMARC1");
		if (c->answer.n == 1) {
			if (domain != c->domain)
				snprintf(c->why, sizeof(c->why), "at %s", name);
			return FOUND;
		}
		if (c->answer.n > 1) {
			snprintf(c->why, sizeof(c->why), "there are %zu records with v=DMARC1, which counts as none", c->answer.n);
			return DIFFERENT;
		}
		if ((domain = strchr(domain, '.')) != NULL)
			domain++;
	} while (domain != NULL && strchr(domain, '.') != NULL);
	(void)w;
	return MISSING;
}

static enum verdict
check_mx(struct check *c, const struct domain_want *w)
{
	enum verdict v = ask(c, w->name, DNS_MX, &c->answer);

	if (v == UNKNOWN)
		return v;
	for (size_t i = 0; i < c->answer.n; i++) {
		const char *blank = strchr(c->answer.values[i], ' ');

		if (blank != NULL && strcmp(blank + 1, ".") == 0) {
			snprintf(c->why, sizeof(c->why), "it says that the domain takes no mail: many servers refuse its mail then");
			return DIFFERENT;
		}
	}
	if (v == FOUND)
		return FOUND;
	if ((v = ask(c, w->name, DNS_A, &c->answer)) == MISSING)
		v = ask(c, w->name, DNS_AAAA, &c->answer);
	if (v == FOUND)
		snprintf(c->why, sizeof(c->why), "there is none, but an address, which stands for it");
	return v;
}

static enum verdict
check_address(struct check *c, const struct domain_want *w)
{
	enum verdict v = ask(c, w->name, DNS_A, &c->answer);

	return v == MISSING ? ask(c, w->name, DNS_AAAA, &c->answer) : v;
}

static bool
leads_back(struct check *c, const char *address, const char *host)
{
	if (dns_ask_names(&c->dns, address, &c->other) != ERR_OK)
		return false;
	for (size_t i = 0; i < c->other.n; i++)
		if (strcasecmp(c->other.values[i], host) == 0)
			return true;
	return false;
}

static enum verdict
check_ptr(struct check *c, const struct domain_want *w)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };
	enum verdict v = MISSING;

	for (size_t t = 0; t < 2; t++) {
		enum verdict found = ask(c, w->name, types[t], &c->answer);

		if (found == UNKNOWN)
			return found;
		for (size_t i = 0; i < c->answer.n; i++) {
			if (!leads_back(c, c->answer.values[i], w->name)) {
				snprintf(c->why, sizeof(c->why), "%.100s leads to %.300s", c->answer.values[i],
				    c->other.n != 0 ? c->other.values[0] : "no name");
				return c->other.n != 0 ? DIFFERENT : MISSING;
			}
			v = FOUND;
		}
	}
	return v;
}

static void
report(const struct check *c, const struct domain_want *w, enum verdict v, bool counts)
{
	struct json j;

	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "domain", c->domain);
		json_put_str(&j, "record", domain_want_name(w->kind));
		json_put_str(&j, "name", w->name);
		json_put_str(&j, "selector", w->key != NULL ? w->key->selector : NULL);
		json_put_str(&j, "status", verdicts[v]);
		json_put_str(&j, "reason", c->why[0] != 0 ? c->why : NULL);
		json_put_str(&j, "wanted", w->text[0] != 0 ? w->text : NULL);
		json_put_bool(&j, "required", counts);
		json_end(&j, stdout);
		return;
	}
	out_print("%-9s %-7s %s%s%s\n", verdicts[v], domain_want_name(w->kind), w->name, c->why[0] != 0 ? ": " : "", c->why);
	if (v != FOUND && v != UNKNOWN && w->text[0] != 0)
		dkim_print_txt(w->name, w->text);
}

int
domain_check(const struct domain_wants *wants, const char *domain, const struct conf *conf)
{
	static enum verdict (*const checks[])(struct check *c, const struct domain_want *w) = {
		[WANT_SPF] = check_spf, [WANT_DKIM] = check_dkim, [WANT_DMARC] = check_dmarc, [WANT_MX] = check_mx,
		[WANT_ADDRESS] = check_address, [WANT_PTR] = check_ptr,
	};
	static struct check c;
	int code = EX_OK;

	c = (struct check){ .conf = conf, .domain = domain, .route = wants->route };
	if (dns_open(&c.dns, conf) != ERR_OK)
		return out_fail(EX_OSERR, "system", "libunbound could not be started");
	for (size_t i = 0; i < wants->n; i++) {
		const struct domain_want *w = &wants->wants[i];
		/* A key that waits need not be there yet. */
		bool counts = w->key == NULL || w->key->state[0] == 'a';
		enum verdict v;

		c.why[0] = 0;
		v = checks[w->kind](&c, w);
		report(&c, w, v, counts);
		if (v == UNKNOWN)
			code = EX_NOHOST;
		else if (v != FOUND && counts && code == EX_OK)
			code = EX_NO;
	}
	dns_close(&c.dns);
	return code != EX_NOHOST ? code : out_fail(EX_NOHOST, "no_dns", "the name servers did not answer everything about %s", domain);
}
