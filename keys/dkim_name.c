/*
 * The names of DKIM keys' files, which say whose key it is and what is done with it. Pure; part of postern-keys. Invariant: a
 * name that dkim_name_get() takes is the one that dkim_name_put() makes of it.
 */
#include "dkim_name.h"

#include <string.h>

#include "addr.h"
#include "err.h"
#include "str.h"

static const char middle[] = "._domainkey.";
static const char *const algorithms[] = { [DKIM_RSA] = "rsa", [DKIM_ED25519] = "ed25519" };
static const char *const states[] = { [DKIM_WAITING] = "waiting", [DKIM_ACTIVE] = "active", [DKIM_RETIRED] = "retired" };

const char *
dkim_algorithm_name(enum dkim_algorithm algorithm)
{
	return algorithms[algorithm];
}

const char *
dkim_state_name(enum dkim_state state)
{
	return states[state];
}

int
dkim_find_algorithm(const char *word, enum dkim_algorithm *algorithm)
{
	for (int i = 0; i <= DKIM_ALGORITHM_MAX; i++)
		if (strcmp(word, algorithms[i]) == 0) {
			*algorithm = (enum dkim_algorithm)i;
			return ERR_OK;
		}
	return ERR_NOTFOUND;
}

/* Labels of 1 to 63 octets with a letter or digit at their ends. */
static bool
is_name(const char *name)
{
	size_t n;

	do {
		n = strcspn(name, ".");
		if (n == 0 || n > 63 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") < n || name[0] == '-' ||
		    name[n - 1] == '-')
			return false;
		name += n;
	} while (*name++ == '.');
	return true;
}

bool
dkim_is_domain(const char *domain)
{
	return strlen(domain) <= ADDR_DOMAIN_MAX && is_name(domain) && strstr(domain, "_domainkey") == NULL;
}

bool
dkim_is_selector(const char *selector)
{
	return strlen(selector) < DKIM_SELECTOR_MAX && is_name(selector) && strstr(selector, "_domainkey") == NULL;
}

int
dkim_name_put(char to[NAME_MAX + 1], const struct dkim_name *n)
{
	return str_fmt(to, NAME_MAX + 1, "%s%s%s.%s.%s%s%s.pem", n->selector, middle, n->domain, algorithms[n->algorithm],
	    states[n->state], n->state == DKIM_RETIRED ? "-" : "", n->retired);
}

/* Cuts off the last of the parts that dots divide, and gives it. */
static char *
cut_part(char *text)
{
	char *dot = strrchr(text, '.');

	if (dot == NULL)
		return NULL;
	*dot = 0;
	return dot + 1;
}

static int
get_state(char *word, struct dkim_name *n)
{
	char *day = strchr(word, '-');

	if (day != NULL) {
		*day++ = 0;
		if (strlen(day) != DKIM_DATE - 1 || strspn(day, "0123456789") != DKIM_DATE - 1 ||
		    str_copy(n->retired, sizeof(n->retired), day, DKIM_DATE - 1) != ERR_OK)
			return ERR_SYNTAX;
	}
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(word, states[i]) == 0) {
			n->state = (enum dkim_state)i;
			return (n->state == DKIM_RETIRED) == (day != NULL) ? ERR_OK : ERR_SYNTAX;
		}
	return ERR_SYNTAX;
}

int
dkim_name_get(const char *file, struct dkim_name *n)
{
	char text[NAME_MAX + 1], *part, *domain;

	*n = (struct dkim_name){ .domain = "" };
	if (str_copy(text, sizeof(text), file, strlen(file)) != ERR_OK)
		return ERR_SYNTAX;
	if ((part = cut_part(text)) == NULL || strcmp(part, "pem") != 0)
		return ERR_SYNTAX;
	if ((part = cut_part(text)) == NULL || get_state(part, n) != ERR_OK)
		return ERR_SYNTAX;
	if ((part = cut_part(text)) == NULL || dkim_find_algorithm(part, &n->algorithm) != ERR_OK)
		return ERR_SYNTAX;
	if ((domain = strstr(text, middle)) == NULL)
		return ERR_SYNTAX;
	*domain = 0;
	domain += sizeof(middle) - 1;
	if (!dkim_is_domain(domain) || !dkim_is_selector(text))
		return ERR_SYNTAX;
	str_copy(n->domain, sizeof(n->domain), domain, strlen(domain));
	str_copy(n->selector, sizeof(n->selector), text, strlen(text));
	return ERR_OK;
}
