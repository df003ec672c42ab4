/*
 * Bounded copies, numbers with units, and other small things of text. Pure; runs everywhere.
 */
#include "str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "err.h"

struct unit {
	const char	*name;
	uint64_t	 factor;
};

static const struct unit sizes[] = {
	{ "G", 1u << 30 }, { "M", 1u << 20 }, { "K", 1u << 10 }, { "", 1 },
};

static const struct unit durations[] = {
	{ "w", 604800000 }, { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};

int
str_copy(char *to, size_t size, const void *p, size_t n)
{
	if (size != 0)
		to[0] = 0;
	if (n >= size)
		return ERR_TOOBIG;
	if (n != 0 && memchr(p, 0, n) != NULL)
		return ERR_SYNTAX;
	if (n != 0)
		memcpy(to, p, n);
	to[n] = 0;
	return ERR_OK;
}

int
str_fmt(char *to, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to, size, fmt, ap);
	va_end(ap);
	return n < 0 || (size_t)n >= size ? ERR_TOOBIG : ERR_OK;
}

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool
str_is_equal_nocase(const void *a, size_t an, const void *b, size_t bn)
{
	const uint8_t *x = a, *y = b;

	if (an != bn)
		return false;
	for (size_t i = 0; i < an; i++)
		if (lower(x[i]) != lower(y[i]))
			return false;
	return true;
}

int
str_parse_u64(const void *p, size_t n, uint64_t max, uint64_t *value)
{
	const uint8_t *c = p;
	uint64_t v = 0;

	if (n == 0)
		return ERR_SYNTAX;
	for (size_t i = 0; i < n; i++)
		if (c[i] < '0' || c[i] > '9')
			return ERR_SYNTAX;
	for (size_t i = 0; i < n; i++) {
		uint64_t digit = c[i] - '0';

		if (v > (UINT64_MAX - digit) / 10)
			return ERR_TOOBIG;
		v = v * 10 + digit;
	}
	if (v > max)
		return ERR_TOOBIG;
	*value = v;
	return ERR_OK;
}

static int
parse_unit(const char *s, const struct unit *units, size_t nunits, const char *plain, uint64_t *value)
{
	size_t digits = strspn(s, "0123456789");
	const char *name = s[digits] != 0 ? s + digits : plain;
	uint64_t v;
	int err;

	if ((err = str_parse_u64(s, digits, UINT64_MAX, &v)) != ERR_OK)
		return err;
	for (size_t i = 0; i < nunits; i++) {
		if (!str_is_equal_nocase(name, strlen(name), units[i].name, strlen(units[i].name)))
			continue;
		if (v > UINT64_MAX / units[i].factor)
			return ERR_TOOBIG;
		*value = v * units[i].factor;
		return ERR_OK;
	}
	return ERR_SYNTAX;
}

int
str_parse_size(const char *s, uint64_t *octets)
{
	return parse_unit(s, sizes, sizeof(sizes) / sizeof(sizes[0]), "", octets);
}

int
str_parse_duration(const char *s, uint64_t *ms)
{
	return parse_unit(s, durations, sizeof(durations) / sizeof(durations[0]), "s", ms);
}

static void
put_unit(char *to, uint64_t v, const struct unit *units, size_t nunits)
{
	size_t i = 0;

	while (i + 1 < nunits && (v == 0 || v % units[i].factor != 0))
		i++;
	snprintf(to, 24, "%llu%s", (unsigned long long)(v / units[i].factor), units[i].name);
}

void
str_put_size(char *to, uint64_t octets)
{
	put_unit(to, octets, sizes, sizeof(sizes) / sizeof(sizes[0]));
}

void
str_put_duration(char *to, uint64_t ms)
{
	if (ms == 0)
		snprintf(to, 24, "0s");
	else
		put_unit(to, ms, durations, sizeof(durations) / sizeof(durations[0]));
}

char *
str_put_u64(char *to, uint64_t value)
{
	snprintf(to, 21, "%llu", (unsigned long long)value);
	return to;
}

char *
str_put_hex64(char *to, uint64_t value)
{
	snprintf(to, 21, "%016llx", (unsigned long long)value);
	return to;
}

char *
str_put_hex(char *to, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *c = p;

	for (size_t i = 0; i < n; i++) {
		to[2 * i] = digits[c[i] >> 4];
		to[2 * i + 1] = digits[c[i] & 15];
	}
	to[2 * n] = 0;
	return to;
}

char *
str_put_time(char *to, uint64_t us)
{
	time_t t = (time_t)(us / 1000000);
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL) {
		snprintf(to, 28, "-");
		return to;
	}
	snprintf(to, 28, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", (unsigned)(tm.tm_year + 1900) % 10000u,
	    (unsigned)(tm.tm_mon + 1) % 100u, (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
	    (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u, (unsigned)(us % 1000000));
	return to;
}

/* The octets of the sequence that starts at c, 0 when it is not well formed (RFC 3629, section 4). */
static size_t
utf8_sequence(const uint8_t *c, size_t left)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t n;

	if (c[0] < 0x80)
		return 1;
	if (c[0] >= 0xc2 && c[0] <= 0xdf)
		n = 2;
	else if (c[0] >= 0xe0 && c[0] <= 0xef)
		n = 3;
	else if (c[0] >= 0xf0 && c[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (c[0] == 0xe0)
		low = 0xa0;
	else if (c[0] == 0xed)
		high = 0x9f;
	else if (c[0] == 0xf0)
		low = 0x90;
	else if (c[0] == 0xf4)
		high = 0x8f;
	if (left < n || c[1] < low || c[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (c[i] < 0x80 || c[i] > 0xbf)
			return 0;
	return n;
}

bool
str_is_utf8(const void *p, size_t n)
{
	const uint8_t *c = p;

	while (n != 0) {
		size_t used = utf8_sequence(c, n);

		if (used == 0)
			return false;
		c += used;
		n -= used;
	}
	return true;
}

/* Levenshtein's distance of two short words; anything longer than 63 octets counts as far. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[64], an = strlen(a), bn = strlen(b);

	if (an > 63 || bn > 63)
		return SIZE_MAX;
	for (size_t j = 0; j <= bn; j++)
		row[j] = j;
	for (size_t i = 1; i <= an; i++) {
		size_t before = row[0];

		row[0] = i;
		for (size_t j = 1; j <= bn; j++) {
			size_t best = before + (lower((uint8_t)a[i - 1]) != lower((uint8_t)b[j - 1]));

			before = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[bn];
}

const char *
str_nearest(const char *word, const char *const *words, size_t n)
{
	size_t best = strlen(word) / 2 + 1;
	const char *nearest = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, words[i]);

		if (d < best) {
			best = d;
			nearest = words[i];
		}
	}
	return nearest;
}
