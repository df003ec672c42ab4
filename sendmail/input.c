/*
 * A message from standard input. Run by postern-sendmail with its caller's rights. Invariant: what goes on has CRLF
 * line ends and nothing that the service refuses in any message (NUL, bare CR or LF, endless lines), so that no job's
 * output is lost for it.
 */
#include "input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "err.h"

#define LINE_MAX_OCTETS 32000	/* longer ones are broken: the service takes 64 KiB */

void
input_init(struct input *in, bool ignore_dots)
{
	*in = (struct input){ .ignore_dots = ignore_dots };
	buf_init(&in->text, INPUT_MAX);
}

/* "From user date": the line that divides messages in a mailbox file, and no part of this one. */
static bool
is_divider(const uint8_t *p, size_t n)
{
	return (n >= 5 && memcmp(p, "From ", 5) == 0) || (n >= 6 && memcmp(p, ">From ", 6) == 0);
}

static int
end_line(struct input *in)
{
	const uint8_t *p = in->text.data + in->line;
	size_t n = in->text.len - in->line;
	int err;

	if (!in->ignore_dots && n == 1 && p[0] == '.') {
		in->text.len--;
		in->ended = true;
		return ERR_OK;
	}
	if (!in->begun && is_divider(p, n)) {
		in->text.len = in->line;
		in->begun = true;
		return ERR_OK;
	}
	in->begun = true;
	if ((err = buf_put(&in->text, "\r\n", 2)) == ERR_OK)
		in->line = in->text.len;
	return err;
}

int
input_take(struct input *in, const void *octets, size_t n)
{
	const uint8_t *p = octets;
	int err = ERR_OK;

	for (size_t i = 0; i < n && err == ERR_OK && !in->ended; i++) {
		uint8_t c = p[i];
		bool after_cr = in->has_cr;

		in->has_cr = c == '\r';
		/* A CR alone, as of a progress bar, ends a line; so the LF behind one does not end another. */
		if (c == '\r' || (c == '\n' && !after_cr)) {
			err = end_line(in);
		} else if (c != '\n' && c != 0) {
			in->is_8bit |= c > 0x7f;
			if (in->text.len - in->line >= LINE_MAX_OCTETS)
				err = end_line(in);
			if (err == ERR_OK)
				err = buf_put(&in->text, &c, 1);
		}
	}
	return err;
}

int
input_read(struct input *in, int fd)
{
	uint8_t octets[16384];
	ssize_t n;
	int err;

	while (!in->ended) {
		if ((n = read(fd, octets, sizeof(octets))) < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_SYSTEM;
		if (n == 0)
			break;
		if ((err = input_take(in, octets, (size_t)n)) != ERR_OK)
			return err;
	}
	return input_end(in);
}

int
input_end(struct input *in)
{
	return in->ended || in->text.len == in->line ? ERR_OK : end_line(in);
}
