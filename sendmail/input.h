#ifndef SENDMAIL_INPUT_H
#define SENDMAIL_INPUT_H

#include <stdbool.h>

#include "buf.h"

#define INPUT_MAX ((size_t)512 * 1024 * 1024)

/* A message as it came: every line ends with CRLF, dots are not stuffed. */
struct input {
	struct buf	text;
	size_t		line;		/* where in text the line under way begins */
	bool		has_cr;		/* the last octet was a CR */
	bool		begun;		/* the first line is there */
	bool		ended;		/* the lone dot came */
	bool		ignore_dots;
	bool		is_8bit;
};

void	input_init(struct input *in, bool ignore_dots);

/* The next octets. ERR_TOOBIG, ERR_NOMEM. */
int	input_take(struct input *in, const void *p, size_t n);

/* Reads fd to its end, or to a lone dot. Also ERR_SYSTEM. */
int	input_read(struct input *in, int fd);

/* The input has ended: ends its last line. ERR_TOOBIG, ERR_NOMEM. */
int	input_end(struct input *in);

#endif
