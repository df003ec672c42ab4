/*
 * Fuzz entry for the dot machine, beside a plain reading of RFC 5321, 4.5.2: the same message, the same end, however
 * it is cut.
 */
#include <string.h>

#include "body.h"
#include "fuzz.h"

/* The message of n octets behind DATA; true when its end is among them, *used behind it. */
static bool
read_plainly(const uint8_t *p, size_t n, uint8_t *to, size_t *put, size_t *used)
{
	*put = 0;
	for (size_t i = 0; i < n;) {
		const uint8_t *end = memmem(p + i, n - i, "\r\n", 2);
		size_t line = end != NULL ? (size_t)(end - p) - i : n - i;

		if (end != NULL && line == 1 && p[i] == '.') {
			*used = i + 3;
			return true;
		}
		if (end == NULL)
			return false;
		if (p[i] == '.') {
			i++;
			line--;
		}
		memcpy(to + *put, p + i, line + 2);
		*put += line + 2;
		i += line + 2;
	}
	return false;
}

static bool
has_fault(const uint8_t *p, size_t n, bool lf_passes)
{
	for (size_t i = 0; i < n; i++) {
		bool after_cr = i > 0 && p[i - 1] == '\r', before_lf = i + 1 < n && p[i + 1] == '\n';

		if (p[i] == 0 || (p[i] == '\r' && !before_lf) || (p[i] == '\n' && !after_cr && !lf_passes))
			return true;
	}
	return false;
}

static void
read_dots(const uint8_t *p, size_t n, size_t piece, size_t room, bool lf_passes)
{
	uint8_t *plain = malloc(n + 1), *got = malloc(n + room + 2);
	size_t wanted, end = 0, len = 0, at = 0, limit = 0;
	bool ends, has_ended = false;
	struct body b;

	must(plain != NULL && got != NULL);
	ends = read_plainly(p, n, plain, &wanted, &end);
	body_init(&b, lf_passes);
	while (!has_ended && at < n) {
		limit = limit == at ? (n - at < piece ? n : at + piece) : limit;
		while (!has_ended && at < limit) {
			size_t put = 0, before = at;

			has_ended = body_read(&b, p, limit, &at, got + len, room, &put);
			must(put <= room && (at > before || has_ended));
			len += put;
			must(len <= n);
		}
	}
	must(has_ended == ends);
	if (ends) {
		must(at == end && len == wanted && memcmp(got, plain, len) == 0 && b.size == len);
		must(((b.faults & BODY_FAULT_OCTETS) != 0) == has_fault(got, len, lf_passes));
	}
	free(plain);
	free(got);
}

static void
take(const uint8_t *p, size_t n, size_t piece, bool lf_passes)
{
	struct body b;

	body_init(&b, lf_passes);
	for (size_t at = 0; at < n; at += piece)
		body_take(&b, p + at, n - at < piece ? n - at : piece);
	body_take_end(&b);
	must(b.size == n);
	must(((b.faults & BODY_FAULT_OCTETS) != 0) == has_fault(p, n, lf_passes));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t piece, room;
	bool lf_passes;

	if (n < 2)
		return 0;
	lf_passes = p[0] & 1;
	piece = (size_t)(p[0] >> 1) + 1;
	room = (size_t)p[1] % 61 + 2;
	read_dots(p + 2, n - 2, piece, room, lf_passes);
	read_dots(p + 2, n - 2, 1, 2, lf_passes);
	take(p + 2, n - 2, piece, lf_passes);
	return 0;
}
