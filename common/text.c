/*
 * The screen for message octets. Pure; run by the worker for a good answer and by postern-spool for safety, so that what one
 * of them lets pass can't end a message early anywhere behind (SMTP smuggling).
 */
#include "text.h"

#include <string.h>

#include "buf.h"
#include "err.h"

/*
 * Goes from CR to CR; what lies between may hold no LF. The C library's searches look at many octets at once, so this costs
 * little beside a copy.
 */
bool
text_screen_is_clean(struct text_screen *s, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;

	if (n == 0)
		return true;
	if (memchr(p, 0, n) != NULL)
		return false;
	if (s->cr && *p++ != '\n')
		return false;
	s->cr = false;
	while (p < end) {
		const uint8_t *cr = memchr(p, '\r', (size_t)(end - p));

		if (memchr(p, '\n', (size_t)((cr != NULL ? cr : end) - p)) != NULL)
			return false;
		if (cr == NULL)
			return true;
		if (cr + 1 == end) {
			s->cr = true;
			return true;
		}
		if (cr[1] != '\n')
			return false;
		p = cr + 2;
	}
	return true;
}

bool
text_screen_end(const struct text_screen *s)
{
	return !s->cr;
}

int
text_put_repaired(struct buf *b, bool *cr, const uint8_t *p, size_t n)
{
	int err = ERR_OK;

	while (n != 0 && err == ERR_OK) {
		const uint8_t *lf = memchr(p, '\n', n);
		size_t run = lf != NULL ? (size_t)(lf - p) : n;
		bool ends_in_cr = run != 0 ? p[run - 1] == '\r' : *cr;

		if ((err = buf_put(b, p, run)) == ERR_OK && lf != NULL)
			err = buf_put(b, ends_in_cr ? "\n" : "\r\n", ends_in_cr ? 1 : 2);
		*cr = lf == NULL && ends_in_cr;
		run += lf != NULL;
		p += run;
		n -= run;
	}
	return err;
}
