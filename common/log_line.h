#ifndef COMMON_LOG_LINE_H
#define COMMON_LOG_LINE_H

#include <stddef.h>

#include "log.h"

#define LOG_LINE_MAX 4096	/* octets of a line with its end */

/* One event's line while it is made. */
struct log_line {
	enum log_format	format;
	char		text[LOG_LINE_MAX];
	size_t		len;
};

/* An empty line; pairs one after the other; its end. Always a whole line: what is too much is left out. */
void	log_line_begin(struct log_line *l, enum log_format format);
void	log_line_put(struct log_line *l, const char *key, const char *value);
void	log_line_end(struct log_line *l);

#endif
