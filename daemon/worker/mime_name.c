/*
 * A file name made fit for a reply line. Encoded-words do not belong into parameters (RFC 2047, 5), but many mail
 * programs put them there. Pure; run by workers on a client's octets. Invariant: what comes out is printable ASCII
 * and ends with NUL.
 */
#include "mime_name.h"

#include <stdbool.h>
#include <string.h>

#include "base64.h"
#include "err.h"
#include "mime_decode.h"
#include "str.h"

/* RFC 2047, 4.2. Never longer than its source. */
static size_t
decode_q(uint8_t *to, const uint8_t *p, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '=' && i + 2 < n && mime_hex_value(p[i + 1]) >= 0 && mime_hex_value(p[i + 2]) >= 0) {
			to[len++] = (uint8_t)(mime_hex_value(p[i + 1]) << 4 | mime_hex_value(p[i + 2]));
			i += 2;
		} else {
			to[len++] = p[i] == '_' ? ' ' : p[i];
		}
	}
	return len;
}

/* An encoded-word at p: its octets, never more than it has itself, to `to`. Its own length; 0: there is none. */
static size_t
decode_word(uint8_t *to, size_t *len, const uint8_t *p, size_t n)
{
	const uint8_t *charset_end, *end;
	size_t at;

	if (n < 2 || p[0] != '=' || p[1] != '?' || (charset_end = memchr(p + 2, '?', n - 2)) == NULL)
		return 0;
	at = (size_t)(charset_end - p) + 1;
	if (n - at < 2 || p[at + 1] != '?' || (end = memchr(p + at + 2, '?', n - at - 2)) == NULL)
		return 0;
	if ((size_t)(end - p) + 1 >= n || end[1] != '=')
		return 0;
	if ((p[at] | 0x20) == 'q')
		*len = decode_q(to, p + at + 2, (size_t)(end - p) - at - 2);
	else if ((p[at] | 0x20) != 'b' || base64_decode(to, len, p + at + 2, (size_t)(end - p) - at - 2) != ERR_OK)
		return 0;
	return (size_t)(end - p) + 2;
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* Blanks between two encoded-words are no part of the text (RFC 2047, 6.2). Never longer than its source. */
static size_t
decode_words(uint8_t *to, const uint8_t *p, size_t n)
{
	size_t len = 0, behind_word = 0;
	bool word_before = false;

	for (size_t i = 0; i < n;) {
		size_t got = 0, used;

		if (word_before && len == behind_word) {
			size_t blanks = 0;

			while (i + blanks < n && is_blank(p[i + blanks]))
				blanks++;
			if (blanks != 0 && (used = decode_word(to + len, &got, p + i + blanks, n - i - blanks)) != 0) {
				i += blanks + used;
				len += got;
				behind_word = len;
				continue;
			}
		}
		used = decode_word(to + len, &got, p + i, n - i);
		if (used == 0) {
			to[len++] = p[i++];
			continue;
		}
		i += used;
		len += got;
		behind_word = len;
		word_before = true;
	}
	return len;
}

static void
put_printable(char to[MIME_NAME_MAX], const uint8_t *p, size_t n)
{
	bool utf8 = str_is_utf8(p, n);
	size_t len = 0;

	while (n != 0 && is_blank(*p)) {
		p++;
		n--;
	}
	while (n != 0 && is_blank(p[n - 1]))
		n--;
	for (size_t i = 0; i < n; i++) {
		if (utf8 && (p[i] & 0xc0) == 0x80)
			continue;
		if (len == MIME_NAME_MAX - 1) {
			memset(to + len - 3, '.', 3);
			break;
		}
		to[len++] = p[i] >= ' ' && p[i] <= '~' ? (char)p[i] : '?';
	}
	to[len] = 0;
}

void
mime_name_put(char to[MIME_NAME_MAX], const uint8_t *p, size_t n)
{
	uint8_t text[MIME_NAME_RAW_MAX];

	text[0] = 0;
	put_printable(to, text, decode_words(text, p, n < sizeof(text) ? n : sizeof(text)));
}
