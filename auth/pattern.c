/*
 * Names of accounts, and sender patterns: which addresses an account may use. Pure; part of the registry library. Invariant:
 * "user+tag@domain" is permitted by itself, by "user+*@domain" and by "*@domain", never by
 * "user@domain".
 */
#include "pattern.h"

#include <string.h>

#include "err.h"
#include "registry.h"
#include "str.h"

int
pattern_parse(char *to, const char *text)
{
	struct addr a;
	const char *star;

	if (strcmp(text, "<>") == 0)
		return str_fmt(to, REGISTRY_PATTERN_MAX, "<>");
	/* '*' is a legal character of a local part, so all three forms parse as an address. */
	if (addr_parse(&a, text, strlen(text), true) != ERR_OK)
		return ERR_SYNTAX;
	star = memchr(a.text, '*', a.local_len);
	if (star != NULL && a.local_len != 1 &&
	    (star != a.text + a.local_len - 1 || a.local_len < 3 || star[-1] != '+' || a.text[0] == '"'))
		return ERR_SYNTAX;
	return str_fmt(to, REGISTRY_PATTERN_MAX, "%s", a.text);
}

int
pattern_candidate(char *to, const struct addr *a, size_t i)
{
	const char *plus = a->text;

	if (addr_is_null(a))
		return i == 0 ? str_fmt(to, REGISTRY_PATTERN_MAX, "<>") : ERR_NOTFOUND;
	if (i == 0)
		return str_fmt(to, REGISTRY_PATTERN_MAX, "%s", a->text);
	if (i == 1)
		return str_fmt(to, REGISTRY_PATTERN_MAX, "*@%s", addr_domain(a));
	if (a->text[0] == '"')
		return ERR_NOTFOUND;
	for (size_t left = i - 1; left != 0; left--) {
		plus = memchr(plus + 1, '+', a->local_len - (size_t)(plus + 1 - a->text));
		if (plus == NULL)
			return ERR_NOTFOUND;
	}
	return str_fmt(to, REGISTRY_PATTERN_MAX, "%.*s+*@%s", (int)(plus - a->text), a->text, addr_domain(a));
}

bool
pattern_is_word(const char *name)
{
	static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-";

	return name[0] != 0 && name[strspn(name, characters)] == 0 && strlen(name) < REGISTRY_NAME_MAX;
}

bool
pattern_is_mailbox(const char *name)
{
	struct addr a;

	return strlen(name) < REGISTRY_NAME_MAX && addr_parse(&a, name, strlen(name), true) == ERR_OK &&
	    strcmp(a.text, name) == 0 && strchr(name, '*') == NULL && strchr(name, '"') == NULL;
}
