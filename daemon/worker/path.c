/*
 * The arguments of MAIL and RCPT. Pure; run by workers. What it accepts is parsed again by whoever is told.
 */
#include "path.h"

#include <stdio.h>
#include <string.h>

#include "err.h"
#include "str.h"

struct text {
	const uint8_t	*p;
	size_t		 n;
};

static void
skip_blanks(struct text *t)
{
	while (t->n != 0 && (*t->p == ' ' || *t->p == '\t')) {
		t->p++;
		t->n--;
	}
}

static bool
is_word(struct text t, const char *word)
{
	return str_is_equal_nocase(t.p, t.n, word, strlen(word));
}

/*
 * The octets up to the '>' that closes the path, quoted strings respected; where a quote is never closed, up to the last one, so
 * that the path is called malformed and not unbracketed. False when there is none.
 */
static bool
find_closing(struct text t, size_t *len)
{
	bool quoted = false;

	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] == '\\' && quoted)
			i++;
		else if (t.p[i] == '"')
			quoted = !quoted;
		else if (t.p[i] == '>' && !quoted) {
			*len = i;
			return true;
		}
	}
	for (size_t i = t.n; i-- > 0;) {
		if (t.p[i] == '>') {
			*len = i;
			return true;
		}
	}
	return false;
}

/* RFC 5321, 4.1.2 A-d-l: "@one,@two:" before the mailbox is checked and dropped. */
static enum path_error
drop_route(struct text *t)
{
	while (t->n != 0 && *t->p == '@') {
		size_t end = 1;

		while (end < t->n && t->p[end] != ',' && t->p[end] != ':')
			end++;
		if (end == t->n || !addr_is_domain(t->p + 1, end - 1, true))
			return PATH_INVALID;
		bool last = t->p[end] == ':';

		t->p += end + 1;
		t->n -= end + 1;
		if (last)
			return PATH_OK;
		if (t->n == 0 || *t->p != '@')
			return PATH_INVALID;
	}
	return PATH_OK;
}

/* Splits "KEYWORD:<path> parameters"; path without its brackets. */
static enum path_error
split(struct text t, const char *keyword, struct text *path, struct text *parameters)
{
	size_t len = strlen(keyword);

	if (t.n < len || !str_is_equal_nocase(t.p, len, keyword, len))
		return PATH_SYNTAX;
	t.p += len;
	t.n -= len;
	skip_blanks(&t);
	if (t.n == 0)
		return PATH_SYNTAX;
	if (*t.p != '<')
		return PATH_NEEDS_BRACKETS;
	t.p++;
	t.n--;
	if (!find_closing(t, &len))
		return PATH_NEEDS_BRACKETS;
	*path = (struct text){ t.p, len };
	*parameters = (struct text){ t.p + len + 1, t.n - len - 1 };
	if (parameters->n != 0 && *parameters->p != ' ' && *parameters->p != '\t')
		return PATH_SYNTAX;
	return PATH_OK;
}

/* RFC 5321 esmtp-keyword and esmtp-value. */
static bool
is_keyword(struct text t)
{
	for (size_t i = 0; i < t.n; i++) {
		uint8_t c = t.p[i];

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c == '-' && i != 0))
			continue;
		return false;
	}
	return t.n != 0;
}

static bool
is_value(struct text t)
{
	for (size_t i = 0; i < t.n; i++)
		if (t.p[i] <= ' ' || t.p[i] == '=' || t.p[i] == 0x7f)
			return false;
	return t.n != 0;
}

/* RFC 3461, section 4: printable ASCII but '+' and '=', or "+" and two upper-case hexadecimal digits; perhaps UTF-8 beside it. */
static bool
is_xtext(struct text t, bool utf8)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] == '+') {
			if (t.n - i < 3 || memchr(hex, t.p[i + 1], 16) == NULL || memchr(hex, t.p[i + 2], 16) == NULL)
				return false;
			i += 2;
		} else if (t.p[i] < '!' || t.p[i] == 0x7f || (t.p[i] > '~' && !utf8) || t.p[i] == '=') {
			return false;
		}
	}
	return t.n != 0 && (!utf8 || str_is_utf8(t.p, t.n));
}

/* Takes the next "keyword[=value]" off the parameters; value.p is NULL without '='. */
static enum path_error
next_parameter(struct text *t, struct text *keyword, struct text *value)
{
	size_t n = 0, k = 0;

	while (n < t->n && t->p[n] != ' ' && t->p[n] != '\t')
		n++;
	while (k < n && t->p[k] != '=')
		k++;
	*keyword = (struct text){ t->p, k };
	*value = k < n ? (struct text){ t->p + k + 1, n - k - 1 } : (struct text){ NULL, 0 };
	t->p += n;
	t->n -= n;
	skip_blanks(t);
	return is_keyword(*keyword) && (value->p == NULL || is_value(*value)) ? PATH_OK : PATH_SYNTAX;
}

static enum path_error
set_size(void *message, struct text value)
{
	struct ipc_sender *m = message;
	int err = str_parse_u64(value.p, value.n, UINT64_MAX, &m->size);

	/* RFC 1870: up to 20 digits; a number beyond 64 bits is over every limit. */
	if (err == ERR_TOOBIG && value.n <= 20)
		m->size = UINT64_MAX;
	else if (err != ERR_OK)
		return PATH_SYNTAX;
	return PATH_OK;
}

static enum path_error
set_body(void *message, struct text value)
{
	struct ipc_sender *m = message;

	if (!is_word(value, "7BIT") && !is_word(value, "8BITMIME"))
		return PATH_PARAMETER_VALUE;
	m->body = is_word(value, "8BITMIME") ? BODY_8BITMIME : BODY_7BIT;
	return PATH_OK;
}

static enum path_error
set_smtputf8(void *message, struct text value)
{
	struct ipc_sender *m = message;

	m->smtputf8 = true;
	return value.p == NULL ? PATH_OK : PATH_SYNTAX;
}

static enum path_error
set_ret(void *message, struct text value)
{
	struct ipc_sender *m = message;

	if (!is_word(value, "FULL") && !is_word(value, "HDRS"))
		return PATH_SYNTAX;
	m->ret = is_word(value, "FULL") ? DSN_RET_FULL : DSN_RET_HDRS;
	return PATH_OK;
}

static enum path_error
set_envid(void *message, struct text value)
{
	struct ipc_sender *m = message;

	if (!is_xtext(value, false) || str_copy(m->envid, sizeof(m->envid), value.p, value.n) != ERR_OK)
		return PATH_SYNTAX;
	return PATH_OK;
}

/* RFC 4954, section 5: said for relaying between servers that trust each other; nobody here is trusted with it. */
static enum path_error
set_auth(void *message, struct text value)
{
	(void)message;
	return is_word(value, "<>") || is_xtext(value, false) ? PATH_OK : PATH_SYNTAX;
}

static enum path_error
set_notify(void *message, struct text value)
{
	static const struct { const char *word; uint8_t bit; } words[] = {
		{ "NEVER", DSN_NOTIFY_NEVER }, { "SUCCESS", DSN_NOTIFY_SUCCESS }, { "FAILURE", DSN_NOTIFY_FAILURE },
		{ "DELAY", DSN_NOTIFY_DELAY },
	};
	struct ipc_recipient *m = message;

	for (;;) {
		const uint8_t *comma = value.n != 0 ? memchr(value.p, ',', value.n) : NULL;
		struct text word = { value.p, comma != NULL ? (size_t)(comma - value.p) : value.n };
		uint8_t bit = 0;

		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (is_word(word, words[i].word))
				bit = words[i].bit;
		if (bit == 0 || (m->notify & bit) != 0)
			return PATH_SYNTAX;
		m->notify |= bit;
		if (comma == NULL)
			break;
		value = (struct text){ comma + 1, value.n - word.n - 1 };
	}
	/* NEVER stands alone. */
	return (m->notify & DSN_NOTIFY_NEVER) != 0 && m->notify != DSN_NOTIFY_NEVER ? PATH_SYNTAX : PATH_OK;
}

/* An address of the type utf-8 may stand there as it is (RFC 6533, section 3). */
static enum path_error
set_orcpt(void *message, struct text value)
{
	struct ipc_recipient *m = message;
	const uint8_t *semicolon = value.n != 0 ? memchr(value.p, ';', value.n) : NULL;
	size_t type = semicolon != NULL ? (size_t)(semicolon - value.p) : 0;

	if (!is_keyword((struct text){ value.p, type }) ||
	    !is_xtext((struct text){ semicolon + 1, value.n - type - 1 }, is_word((struct text){ value.p, type }, "utf-8")) ||
	    str_copy(m->orcpt, sizeof(m->orcpt), value.p, value.n) != ERR_OK)
		return PATH_SYNTAX;
	return PATH_OK;
}

struct parameter {
	const char	*keyword;
	bool		 has_value;
	enum path_error	(*set)(void *message, struct text value);
};

static const struct parameter mail_parameters[] = {
	{ "SIZE", true, set_size }, { "BODY", true, set_body }, { "SMTPUTF8", false, set_smtputf8 },
	{ "RET", true, set_ret }, { "ENVID", true, set_envid }, { "AUTH", true, set_auth },
};

static const struct parameter rcpt_parameters[] = {
	{ "NOTIFY", true, set_notify }, { "ORCPT", true, set_orcpt },
};

static enum path_error
parse_parameters(struct text t, const struct parameter *table, size_t n, void *message)
{
	unsigned seen = 0;

	skip_blanks(&t);
	while (t.n != 0) {
		struct text keyword, value;
		enum path_error error;
		size_t i = 0;

		if ((error = next_parameter(&t, &keyword, &value)) != PATH_OK)
			return error;
		while (i < n && !is_word(keyword, table[i].keyword))
			i++;
		if (i == n)
			return PATH_PARAMETER_UNKNOWN;
		if ((seen & 1u << i) != 0)
			return PATH_PARAMETER_TWICE;
		seen |= 1u << i;
		if (table[i].has_value != (value.p != NULL))
			return PATH_SYNTAX;
		if ((error = table[i].set(message, value)) != PATH_OK)
			return error;
	}
	return PATH_OK;
}

enum path_error
path_parse_mail(const uint8_t *p, size_t n, struct ipc_sender *m)
{
	struct text path, parameters;
	enum path_error error;
	bool valid;

	*m = (struct ipc_sender){ .size = 0 };
	if ((error = split((struct text){ p, n }, "FROM:", &path, &parameters)) != PATH_OK)
		return error;
	valid = path.n == 0 || (drop_route(&path) == PATH_OK && addr_parse(&m->address, path.p, path.n, true) == ERR_OK);
	if (!valid)
		return PATH_INVALID;
	if ((error = parse_parameters(parameters, mail_parameters, sizeof(mail_parameters) / sizeof(mail_parameters[0]),
	    m)) != PATH_OK)
		return error;
	return m->address.is_utf8 && !m->smtputf8 ? PATH_INVALID : PATH_OK;
}

enum path_error
path_parse_rcpt(const uint8_t *p, size_t n, const char *hostname, bool smtputf8, struct ipc_recipient *m)
{
	char postmaster[sizeof("postmaster@") + ADDR_DOMAIN_MAX];
	struct text path, parameters;
	enum path_error error;

	*m = (struct ipc_recipient){ .notify = 0 };
	if ((error = split((struct text){ p, n }, "TO:", &path, &parameters)) != PATH_OK)
		return error;
	if (drop_route(&path) != PATH_OK)
		return PATH_INVALID;
	if (is_word(path, "postmaster")) {
		snprintf(postmaster, sizeof(postmaster), "postmaster@%s", hostname);
		path = (struct text){ (const uint8_t *)postmaster, strlen(postmaster) };
	}
	if (addr_parse(&m->address, path.p, path.n, smtputf8) != ERR_OK)
		return PATH_INVALID;
	if ((error = parse_parameters(parameters, rcpt_parameters, sizeof(rcpt_parameters) / sizeof(rcpt_parameters[0]),
	    m)) != PATH_OK)
		return error;
	for (const char *c = m->orcpt; *c != 0 && !smtputf8; c++)
		if ((uint8_t)*c > '~')
			return PATH_SYNTAX;
	return PATH_OK;
}
