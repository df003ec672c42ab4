/*
 * sendmail -bs: standard input and output speak SMTP with the service; only line ends are mended on the way there. Run
 * by postern-sendmail with its caller's rights.
 */
#include <errno.h>
#include <poll.h>
#include <sysexits.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "err.h"
#include "io.h"
#include "submit.h"

/* What came from standard input, a lone LF made CRLF. False at its end or when nobody hears it any more. */
static bool
pass_on(struct client *c, uint8_t *last)
{
	uint8_t in[8192], out[2 * sizeof(in)];
	ssize_t got = read(STDIN_FILENO, in, sizeof(in));
	size_t n = 0;

	if (got < 0 && errno == EINTR)
		return true;
	for (ssize_t i = 0; i < got; i++) {
		if (in[i] == '\n' && *last != '\r')
			out[n++] = '\r';
		*last = out[n++] = in[i];
	}
	return got > 0 && io_write_all(c->fd, out, n) == ERR_OK;
}

/* What the service says. False at its end. */
static bool
pass_back(struct client *c)
{
	char octets[8192];
	ssize_t got = recv(c->fd, octets, sizeof(octets), 0);

	if (got < 0 && errno == EINTR)
		return true;
	return got > 0 && io_write_all(STDOUT_FILENO, octets, (size_t)got) == ERR_OK;
}

int
submit_dialogue(struct client *c)
{
	struct pollfd p[2] = { { .fd = c->fd, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };
	uint8_t last = 0;

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return EX_OSERR;
		if (p[0].revents != 0 && !pass_back(c))
			return EX_OK;
		if (p[1].revents != 0 && !pass_on(c, &last)) {
			shutdown(c->fd, SHUT_WR);
			p[1].fd = -1;
		}
	}
}
