#ifndef ADMIN_TRACE_WORDS_H
#define ADMIN_TRACE_WORDS_H

#include <stddef.h>

struct trace_line;

/* What a line of the trace says, in words; to holds size octets; returns to. */
char	*trace_words(char *to, size_t size, const struct trace_line *l);

/* Why a message was refused or is not signed, from the word in the trace. */
const char *trace_reason(const char *word);

#endif
