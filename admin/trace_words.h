#ifndef ADMIN_TRACE_WORDS_H
#define ADMIN_TRACE_WORDS_H

#include <stddef.h>

#include "admin.h"

struct trace_line;

/* What a line of the trace says, in words, with times in the admin's style; to holds size octets; returns to. */
char	*trace_words(char *to, size_t size, const struct trace_line *l, enum time_style style);

/* Why a message was refused or is not signed, from the word in the trace. */
const char *trace_reason(const char *word);

#endif
