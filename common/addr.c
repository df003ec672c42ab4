/*
 * The mailbox of RFC 5321 as a value. Pure; run by every program that is told an address, since no
 * program believes that another has checked it.
 */
#include "addr.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "err.h"
#include "str.h"

static bool
is_atext(uint8_t c, bool utf8)
{
	if (c >= 0x80)
		return utf8;
	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		return true;
	return c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL;
}

/* RFC 5321 Dot-string: atoms with single dots between them. */
static bool
is_dot_string(const uint8_t *p, size_t n, bool utf8)
{
	if (n == 0 || p[0] == '.' || p[n - 1] == '.')
		return false;
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '.' ? p[i - 1] == '.' : !is_atext(p[i], utf8))
			return false;
	}
	return true;
}

static bool
is_label(const uint8_t *p, size_t n, bool utf8)
{
	if (n == 0 || n > 63 || p[0] == '-' || p[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = p[i];

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    c == '-' || c == '_' || (c >= 0x80 && utf8))
			continue;
		return false;
	}
	return true;
}

/* RFC 5321, 4.1.3: [192.0.2.1], [IPv6:2001:db8::1]; general literals are not known to anybody. */
static bool
is_literal(const uint8_t *p, size_t n)
{
	char text[64];
	uint8_t octets[16];

	if (n < 3 || p[0] != '[' || p[n - 1] != ']' || str_copy(text, sizeof(text), p + 1, n - 2) != ERR_OK)
		return false;
	if (str_is_equal_nocase(text, strlen(text) < 5 ? strlen(text) : 5, "IPv6:", 5))
		return inet_pton(AF_INET6, text + 5, octets) == 1;
	return inet_pton(AF_INET, text, octets) == 1;
}

bool
addr_is_domain(const void *domain, size_t n, bool utf8)
{
	const uint8_t *p = domain;

	if (n == 0 || n > ADDR_DOMAIN_MAX)
		return false;
	if (p[0] == '[')
		return is_literal(p, n);
	if (utf8 && !str_is_utf8(p, n))
		return false;
	for (;;) {
		const uint8_t *dot = memchr(p, '.', n);
		size_t label = dot != NULL ? (size_t)(dot - p) : n;

		if (!is_label(p, label, utf8))
			return false;
		if (dot == NULL)
			return true;
		p += label + 1;
		n -= label + 1;
	}
}

/*
 * Reads a Quoted-string at p; its content goes to `plain` (at most ADDR_LOCAL_MAX octets). Returns the
 * octets used with both quotes, 0 when malformed.
 */
static size_t
read_quoted(const uint8_t *p, size_t n, bool utf8, uint8_t *plain, size_t *plain_len)
{
	*plain_len = 0;
	for (size_t i = 1; i < n; i++) {
		uint8_t c = p[i];

		if (c == '"')
			return i + 1;
		if (c == '\\' && ++i < n)
			c = p[i];
		if (c < ' ' || c == 0x7f || (c >= 0x80 && !utf8) || *plain_len == ADDR_LOCAL_MAX)
			return 0;
		plain[(*plain_len)++] = c;
	}
	return 0;
}

static void
put_local(struct addr *a, const uint8_t *plain, size_t n, bool utf8)
{
	size_t len = 0;

	if (is_dot_string(plain, n, utf8)) {
		memcpy(a->text, plain, n);
		a->local_len = n;
		return;
	}
	a->text[len++] = '"';
	for (size_t i = 0; i < n; i++) {
		if (plain[i] == '"' || plain[i] == '\\')
			a->text[len++] = '\\';
		a->text[len++] = (char)plain[i];
	}
	a->text[len++] = '"';
	a->local_len = len;
}

int
addr_parse(struct addr *a, const void *mailbox, size_t n, bool utf8)
{
	const uint8_t *p = mailbox;
	uint8_t plain[ADDR_LOCAL_MAX];
	size_t used, plain_len;

	*a = (struct addr){ .len = 0 };
	if (n == 0 || memchr(p, 0, n) != NULL)
		return ERR_SYNTAX;
	if (p[0] == '"') {
		used = read_quoted(p, n, utf8, plain, &plain_len);
	} else {
		const uint8_t *at = memchr(p, '@', n);

		used = plain_len = at != NULL ? (size_t)(at - p) : 0;
		if (used > ADDR_LOCAL_MAX || !is_dot_string(p, used, utf8))
			return ERR_SYNTAX;
		memcpy(plain, p, used);
	}
	if (used == 0 || used >= n || p[used] != '@' || !addr_is_domain(p + used + 1, n - used - 1, utf8))
		return ERR_SYNTAX;
	if (utf8 && !str_is_utf8(plain, plain_len))
		return ERR_SYNTAX;
	put_local(a, plain, plain_len, utf8);
	a->text[a->local_len] = '@';
	memcpy(a->text + a->local_len + 1, p + used + 1, n - used - 1);
	a->len = a->local_len + (n - used);
	a->text[a->len] = 0;
	for (size_t i = 0; i < a->len; i++)
		a->is_utf8 |= (a->text[i] & 0x80) != 0;
	return ERR_OK;
}

void
addr_set_null(struct addr *a)
{
	*a = (struct addr){ .len = 0 };
}

bool
addr_is_null(const struct addr *a)
{
	return a->len == 0;
}

const char *
addr_domain(const struct addr *a)
{
	return a->len == 0 ? "" : a->text + a->local_len + 1;
}
