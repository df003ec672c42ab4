#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The screen for the octets of a message (RFC 5321, 2.3.8 and 4.1.1.4): no NUL, CR and LF only together. Fed with chunks cut
 * anywhere; zero-initialise.
 */
struct text_screen {
	bool	cr;	/* the last chunk ended with a CR */
};

/* Whether the next n octets are clean. After the first false the screen means nothing any more. */
bool	text_screen_is_clean(struct text_screen *s, const uint8_t *p, size_t n);

/* Whether the text may end here: no CR is left over. */
bool	text_screen_end(const struct text_screen *s);

struct buf;

/*
 * Appends n octets to b with CR put before each LF that lacks it (an old device's lines). *cr carries a CR at the end of one
 * chunk into the next; false at the start. Errors of buf_put().
 */
int	text_put_repaired(struct buf *b, bool *cr, const uint8_t *p, size_t n);

#endif
