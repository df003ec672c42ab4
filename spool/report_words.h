#ifndef SPOOL_REPORT_WORDS_H
#define SPOOL_REPORT_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "report.h"
#include "state.h"

struct buf;

/* What the parts of a report are made with. Pure. Errors of buf_put(). */

/* Why a recipient has not got its message, as a person would put it. */
struct report_cause {
	const char	*what;		/* a sentence */
	const char	*todo;		/* what the sender can do, a sentence or two */
};
const struct report_cause *report_find_cause(const struct state_recipient *r);

/* The human part, UTF-8. message: its first octets, for the subject. */
int	report_put_words(const struct report *r, struct buf *b);

/*
 * Text in lines of at most 76 octets where blanks permit, each begun with `indent`; what could break a line or hide (controls) becomes
 * a question mark.
 */
int	report_put_wrapped(struct buf *b, const char *indent, const char *next_indent, const char *text);

/* RFC 5322, 3.3, in UTC; to holds 40 octets; returns to. */
char	*report_put_date(char *to, uint64_t us);

/* The value of the first field of that name in a header, unfolded into blanks and without controls; "" when there is none or no room. */
void	report_get_field(const uint8_t *p, size_t n, const char *name, char *to, size_t size);

#endif
