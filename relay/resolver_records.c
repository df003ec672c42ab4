/*
 * Records and names of the DNS. Runs in the relay's resolver, which hears them from the world, and in the relay. Pure.
 * Invariant: a name that comes out has letters, digits, hyphens, underscores and dots only.
 */
#include "resolver_records.h"

#include <string.h>

#include "err.h"
#include "netaddr.h"
#include "str.h"

#define LABEL_MAX 63
#define NAME_MAX_LEN 253

static bool
is_host_octet(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

int
records_get_name(const uint8_t *p, size_t n, char name[RESOLVE_NAME])
{
	size_t used = 0, at = 0;

	for (;;) {
		size_t label;

		if (at >= n || (label = p[at++]) > LABEL_MAX || label > n - at)
			return ERR_SYNTAX;
		if (label == 0)
			break;
		if (used + (used != 0) + label > NAME_MAX_LEN)
			return ERR_SYNTAX;
		if (used != 0)
			name[used++] = '.';
		for (size_t i = 0; i < label; i++) {
			uint8_t c = lower(p[at++]);

			if (!is_host_octet(c))
				return ERR_SYNTAX;
			name[used++] = (char)c;
		}
	}
	name[used] = 0;
	return at == n ? ERR_OK : ERR_SYNTAX;
}

/* In order of preference; the worst goes when there is no room. */
static void
insert(struct ipc_resolve_answer *a, uint16_t preference, const char *name)
{
	size_t i = a->n;

	if (i == RESOLVE_MAX) {
		if (a->hosts[--i].preference <= preference)
			return;
	} else {
		a->n++;
	}
	for (; i > 0 && a->hosts[i - 1].preference > preference; i--)
		a->hosts[i] = a->hosts[i - 1];
	a->hosts[i].preference = preference;
	str_copy(a->hosts[i].name, RESOLVE_NAME, name, strlen(name));
}

void
records_get_mx(char *const *data, const int *len, struct ipc_resolve_answer *a)
{
	char name[RESOLVE_NAME];

	a->n = 0;
	for (size_t i = 0; data[i] != NULL; i++) {
		const uint8_t *p = (const uint8_t *)data[i];

		if (len[i] > 2 && records_get_name(p + 2, (size_t)len[i] - 2, name) == ERR_OK)
			insert(a, (uint16_t)(p[0] << 8 | p[1]), name);
	}
}

void
records_get_addresses(char *const *data, const int *len, struct ipc_resolve_answer *a)
{
	for (size_t i = 0; data[i] != NULL && a->n < RESOLVE_MAX; i++) {
		struct netaddr *to = &a->addresses[a->n];

		if (len[i] != 4 && len[i] != 16)
			continue;
		*to = (struct netaddr){ .family = len[i] == 4 ? 4 : 6 };
		memcpy(to->octets, data[i], (size_t)len[i]);
		a->n++;
	}
}

/* The next code point of well-formed UTF-8. */
static uint32_t
take_code_point(const uint8_t **p)
{
	const uint8_t *q = *p;
	uint32_t c = *q++;

	if (c >= 0xc0) {
		size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;

		c &= 0x3fU >> more;
		while (more-- > 0)
			c = c << 6 | (*q++ & 0x3fU);
	}
	*p = q;
	return c;
}

/* RFC 3492, 6.1. */
static uint32_t
adapt(uint32_t delta, uint32_t points, bool is_first)
{
	uint32_t k = 0;

	delta = is_first ? delta / 700 : delta / 2;
	delta += delta / points;
	for (; delta > 35 * 26 / 2; k += 36)
		delta /= 35;
	return k + 36 * delta / (delta + 38);
}

static char
digit(uint32_t d)
{
	return (char)(d < 26 ? 'a' + d : '0' + d - 26);
}

/* Punycode (RFC 3492, 6.3) of up to LABEL_MAX code points; to holds LABEL_MAX + 1 octets. The label has an octet over 127. */
static int
encode_label(const uint32_t *points, size_t n, char *to)
{
	uint32_t next = 128, delta = 0, bias = 72, handled = 0, basic;
	size_t used = 4;

	memcpy(to, "xn--", 4);
	for (size_t i = 0; i < n; i++) {
		if (points[i] >= 128)
			continue;
		if (used >= LABEL_MAX - 1)
			return ERR_SYNTAX;
		to[used++] = (char)points[i];
		handled++;
	}
	basic = handled;
	if (basic != 0)
		to[used++] = '-';
	while (handled < n) {
		uint32_t least = UINT32_MAX;

		for (size_t i = 0; i < n; i++)
			if (points[i] >= next && points[i] < least)
				least = points[i];
		delta += (least - next) * (handled + 1);	/* at most 0x10ffff * 64 */
		next = least;
		for (size_t i = 0; i < n; i++) {
			uint32_t q;

			if (points[i] < next)
				delta++;
			if (points[i] != next)
				continue;
			q = delta;
			for (uint32_t k = 36;; k += 36) {
				uint32_t t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;

				if (used >= LABEL_MAX)
					return ERR_SYNTAX;
				if (q < t)
					break;
				to[used++] = digit(t + (q - t) % (36 - t));
				q = (q - t) / (36 - t);
			}
			to[used++] = digit(q);
			bias = adapt(delta, handled + 1, handled == basic);
			delta = 0;
			handled++;
		}
		delta++;
		next++;
	}
	to[used] = 0;
	return ERR_OK;
}

static int
put_label(const uint8_t *p, size_t n, char *to)
{
	uint32_t points[LABEL_MAX];
	const uint8_t *end = p + n;
	bool is_ascii = true;
	size_t count = 0;

	while (p < end) {
		uint32_t c = take_code_point(&p);

		if (c < 128) {
			c = lower((uint8_t)c);
			if (!is_host_octet((uint8_t)c))
				return ERR_SYNTAX;
		}
		if (count == LABEL_MAX)
			return ERR_SYNTAX;
		is_ascii = is_ascii && c < 128;
		points[count++] = c;
	}
	if (count == 0)
		return ERR_SYNTAX;
	if (!is_ascii)
		return encode_label(points, count, to);
	for (size_t i = 0; i < count; i++)
		to[i] = (char)points[i];
	to[count] = 0;
	return ERR_OK;
}

int
records_put_name(const char *domain, char name[RESOLVE_NAME])
{
	char label[LABEL_MAX + 1];
	size_t used = 0;

	if (!str_is_utf8(domain, strlen(domain)))
		return ERR_SYNTAX;
	for (;;) {
		size_t n = strcspn(domain, ".");

		if (put_label((const uint8_t *)domain, n, label) != ERR_OK || used + 1 + strlen(label) > NAME_MAX_LEN)
			return ERR_SYNTAX;
		if (used != 0)
			name[used++] = '.';
		memcpy(name + used, label, strlen(label) + 1);
		used += strlen(label);
		domain += n;
		if (domain[0] == 0 || domain[1] == 0)	/* a dot at the end is none of the name */
			return ERR_OK;
		domain++;
	}
}
