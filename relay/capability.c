/*
 * The lines of an EHLO answer. Run by session processes; pure. Invariant: a line that is not understood changes nothing.
 */
#include "capability.h"

#include <string.h>

#include "err.h"
#include "str.h"

/* The next word of *p, of blanks and, as some old servers have it behind AUTH, of '='. */
static size_t
next_word(const char **p, const char *end)
{
	const char *from;

	while (*p < end && (**p == ' ' || **p == '\t' || **p == '='))
		(*p)++;
	for (from = *p; *p < end && **p != ' ' && **p != '\t' && **p != '='; (*p)++)
		;
	return (size_t)(*p - from);
}

static bool
is_word(const char *p, size_t n, const char *word)
{
	return str_is_equal_nocase(p, n, word, strlen(word));
}

static void
hear_auth(struct capability *c, const char *p, const char *end)
{
	static const struct {
		const char		*name;
		enum login_mechanism	 mechanism;
	} names[] = {
		{ "LOGIN", LOGIN_MECHANISM_LOGIN }, { "PLAIN", LOGIN_MECHANISM_PLAIN },
		{ "SCRAM-SHA-1", LOGIN_MECHANISM_SCRAM_SHA_1 }, { "SCRAM-SHA-256", LOGIN_MECHANISM_SCRAM_SHA_256 },
	};
	size_t n;

	while ((n = next_word(&p, end)) != 0)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (is_word(p - n, n, names[i].name))
				c->mechanisms |= names[i].mechanism;
}

void
capability_hear(struct capability *c, const char *text, size_t len)
{
	const char *p = text, *end = text + len, *word;
	size_t n = next_word(&p, end);

	word = p - n;
	if (is_word(word, n, "PIPELINING")) {
		c->pipelining = true;
	} else if (is_word(word, n, "8BITMIME")) {
		c->eightbit = true;
	} else if (is_word(word, n, "SMTPUTF8")) {
		c->smtputf8 = true;
	} else if (is_word(word, n, "DSN")) {
		c->dsn = true;
	} else if (is_word(word, n, "STARTTLS")) {
		c->starttls = true;
	} else if (is_word(word, n, "AUTH")) {
		hear_auth(c, p, end);
	} else if (is_word(word, n, "SIZE")) {
		c->size = true;
		n = next_word(&p, end);
		if (n == 0 || str_parse_u64(p - n, n, UINT64_MAX, &c->size_max) != ERR_OK)
			c->size_max = 0;
	}
}
