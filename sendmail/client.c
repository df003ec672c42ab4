/*
 * The client's half of an SMTP session over the local socket. Run by postern-sendmail with its caller's rights.
 * Sequential, every wait bounded.
 */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "instance.h"
#include "io.h"
#include "str.h"

#define CONNECT_WAIT_S 30

static int
set_wait(int fd, int what, int seconds)
{
	struct timeval t = { .tv_sec = seconds };

	return setsockopt(fd, SOL_SOCKET, what, &t, sizeof(t)) == 0 ? ERR_OK : ERR_SYSTEM;
}

/* By way of the open folder, since a socket's path may have 107 octets only. */
static int
open_socket(struct client *c, const char *root)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct instance in;
	int dir_fd, err;

	if ((err = instance_open(&in, root)) != ERR_OK)
		return err;
	if ((dir_fd = open(in.run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return ERR_CLOSED;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	err = ERR_SYSTEM;
	if (c->fd >= 0 &&
	    str_fmt(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir_fd, INSTANCE_SUBMIT_FILE) == ERR_OK &&
	    set_wait(c->fd, SO_SNDTIMEO, CONNECT_WAIT_S) == ERR_OK)
		err = connect(c->fd, (struct sockaddr *)&a, sizeof(a)) == 0 ? ERR_OK : ERR_CLOSED;
	io_close(&dir_fd);
	if (err == ERR_OK && (set_wait(c->fd, SO_SNDTIMEO, CLIENT_WAIT_S) != ERR_OK ||
	    set_wait(c->fd, SO_RCVTIMEO, CLIENT_WAIT_S) != ERR_OK))
		err = ERR_SYSTEM;
	return err;
}

static int
io_trouble(void)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return ERR_TIMEOUT;
	return errno == EPIPE || errno == ECONNRESET ? ERR_CLOSED : ERR_SYSTEM;
}

static int
send_all(struct client *c, const void *octets, size_t n)
{
	const char *p = octets;

	while (n != 0) {
		ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return io_trouble();
		p += sent;
		n -= (size_t)sent;
	}
	return ERR_OK;
}

/* The next line without its end, cut to what is looked at. */
static int
read_line(struct client *c, char line[CLIENT_LINE_MAX])
{
	size_t n = 0;

	for (;;) {
		ssize_t got;

		while (c->in_start < c->in_len) {
			char octet = c->in[c->in_start++];

			if (octet == '\n') {
				line[n] = 0;
				return ERR_OK;
			}
			if (octet != '\r' && n + 1 < CLIENT_LINE_MAX)
				line[n++] = octet >= ' ' && octet <= '~' ? octet : '?';
		}
		c->in_start = c->in_len = 0;
		if ((got = recv(c->fd, c->in, sizeof(c->in), 0)) < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return io_trouble();
		if (got == 0)
			return ERR_CLOSED;
		c->in_len = (size_t)got;
	}
}

/* What a line of EHLO's answer offers. */
static void
note_offer(struct client *c, const char *line)
{
	const char *value;

	if (strncmp(line, "XSENDER ", 8) == 0)
		str_fmt(c->sender, sizeof(c->sender), "%s", line + 8);
	if (strncmp(line, "LIMITS ", 7) == 0 && (value = strstr(line, "RCPTMAX=")) != NULL)
		str_parse_u64(value + 8, strcspn(value + 8, " "), UINT32_MAX, &c->recipients);
}

int
client_hear(struct client *c)
{
	char line[CLIENT_LINE_MAX];
	size_t n = 0;
	int err;

	c->text[0] = 0;
	for (int i = 0; i < CLIENT_LINES_MAX; i++) {
		uint64_t code;

		if ((err = read_line(c, line)) != ERR_OK)
			return err;
		if (c->verbose)
			printf("<<< %s\n", line);
		if (strlen(line) < 3 || str_parse_u64(line, 3, 599, &code) != ERR_OK || code < 200 ||
		    (line[3] != ' ' && line[3] != '-' && line[3] != 0))
			return ERR_SYSTEM;
		c->code = (unsigned)code;
		if (n < sizeof(c->text) - 1)
			n += (size_t)snprintf(
			    c->text + n, sizeof(c->text) - n, "%s%s", n != 0 ? " " : "", line[3] != 0 ? line + 4 : "");
		if (i != 0 && code == 250)
			note_offer(c, line + 4);
		if (line[3] != '-')
			return ERR_OK;
	}
	return ERR_SYSTEM;
}

int
client_ask(struct client *c, const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int n, err;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 2, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line) - 2)
		return ERR_SYNTAX;
	for (int i = 0; i < n; i++)
		if ((uint8_t)line[i] < ' ' || line[i] == 0x7f)
			return ERR_SYNTAX;
	if (c->verbose)
		printf(">>> %s\n", line);
	memcpy(line + n, "\r\n", 2);
	if ((err = send_all(c, line, (size_t)n + 2)) != ERR_OK)
		return err;
	return client_hear(c);
}

int
client_greet(struct client *c)
{
	return client_ask(c, "EHLO localhost");
}

/* Dots at the beginnings of lines are doubled (RFC 5321, 4.5.2); the octets begin with a line. */
static int
send_stuffed(struct client *c, const uint8_t *p, size_t n)
{
	size_t from = 0;
	int err;

	for (size_t at = 0; at < n;) {
		const uint8_t *lf;

		if (p[at] == '.') {
			if ((err = send_all(c, p + from, at - from)) != ERR_OK || (err = send_all(c, ".", 1)) != ERR_OK)
				return err;
			from = at;
		}
		lf = memchr(p + at, '\n', n - at);
		at = lf != NULL ? (size_t)(lf - p) + 1 : n;
	}
	return send_all(c, p + from, n - from);
}

int
client_send_message(struct client *c, const uint8_t *header, size_t header_len, const uint8_t *body, size_t body_len)
{
	int err;

	/* A service that ends has said why before it closed. */
	if (((err = send_stuffed(c, header, header_len)) != ERR_OK ||
		(err = send_stuffed(c, body, body_len)) != ERR_OK || (err = send_all(c, ".\r\n", 3)) != ERR_OK) &&
	    err != ERR_CLOSED)
		return err;
	return client_hear(c);
}

int
client_open(struct client *c, const char *root, bool verbose)
{
	int err;

	*c = (struct client){ .fd = -1, .verbose = verbose };
	if ((err = open_socket(c, root)) == ERR_OK && (err = client_hear(c)) == ERR_OK)
		str_copy(c->host, sizeof(c->host), c->text, strcspn(c->text, " "));
	return err;
}

void
client_close(struct client *c)
{
	io_close(&c->fd);
}
