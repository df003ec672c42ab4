/*
 * The client's half of a session with one of this instance's listeners. Runs in smtpadm with the admin's rights. Sequential; every wait
 * ends at the deadline, and what comes is kept only as far as it fits.
 */
#include "probe.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "err.h"
#include "io.h"
#include "mem.h"
#include "str.h"

#define LINES_MAX 64
#define FILLS_MAX 256	/* reads for one line */
#define PAUSE_US 100000

static int
wait_for(const struct probe *p, short events)
{
	struct pollfd fd = { .fd = p->fd, .events = events };

	/* Past the deadline what is there already still counts. */
	for (;;) {
		uint64_t now = io_now_ms(), left = now < p->deadline_ms ? p->deadline_ms - now : 0;
		int n = poll(&fd, 1, left > INT_MAX ? INT_MAX : (int)left);

		if (n > 0)
			return ERR_OK;
		if (n < 0 && errno != EINTR)
			return ERR_SYSTEM;
		if (left == 0)
			return ERR_TIMEOUT;
	}
}

static int
connect_once(struct probe *p, const struct netaddr *to)
{
	struct sockaddr_storage ss;
	socklen_t len = netaddr_to_sockaddr(to, &ss);
	socklen_t size = sizeof(int);
	int error = 0, err = ERR_OK;

	if ((p->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return errno == EAFNOSUPPORT ? ERR_CLOSED : ERR_SYSTEM;
	if (connect(p->fd, (const struct sockaddr *)&ss, len) != 0 && errno != EINPROGRESS)
		error = errno;
	else if ((err = wait_for(p, POLLOUT)) == ERR_OK && getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		err = ERR_SYSTEM;
	if (error != 0) {
		errno = error;
		err = ERR_CLOSED;
	}
	if (err != ERR_OK)
		io_close(&p->fd);
	return err;
}

int
probe_open(struct probe *p, const struct netaddr *to, uint64_t deadline_ms)
{
	struct netaddr ways[2] = { *to, *to };
	int err;

	*p = (struct probe){ .fd = -1, .deadline_ms = deadline_ms };
	if (netaddr_is_any(to)) {
		netaddr_parse(&ways[0], to->family == 6 ? "[::1]:0" : "127.0.0.1:0");
		netaddr_parse(&ways[1], "127.0.0.1:0");
		ways[0].port = ways[1].port = to->port;
	}
	for (;;) {
		if ((err = connect_once(p, &ways[0])) != ERR_CLOSED || (err = connect_once(p, &ways[1])) != ERR_CLOSED)
			return err;
		if (io_now_ms() + PAUSE_US / 1000 >= deadline_ms)
			return ERR_CLOSED;
		usleep(PAUSE_US);
	}
}

/* What a call on the TLS session waits for. */
static int
wait_for_tls(const struct probe *p, int result)
{
	int why = SSL_get_error(p->ssl, result);

	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return wait_for(p, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
	return why == SSL_ERROR_ZERO_RETURN || why == SSL_ERROR_SYSCALL ? ERR_CLOSED : ERR_SYNTAX;
}

int
probe_start_tls(struct probe *p, const char *name)
{
	int err = ERR_OK, done;

	/* Nothing that came before the handshake may count behind it. */
	p->in_start = p->in_len = 0;
	ERR_clear_error();
	if ((p->ctx = SSL_CTX_new(TLS_client_method())) == NULL || (p->ssl = SSL_new(p->ctx)) == NULL ||
	    SSL_set_fd(p->ssl, p->fd) != 1 || SSL_set_tlsext_host_name(p->ssl, name) != 1)
		return ERR_NOMEM;
	SSL_set_verify(p->ssl, SSL_VERIFY_NONE, NULL);
	while (err == ERR_OK && (done = SSL_connect(p->ssl)) != 1)
		err = wait_for_tls(p, done);
	return err;
}

int
probe_send(struct probe *p, const char *octets, size_t n)
{
	int err = ERR_OK;

	ERR_clear_error();
	while (n != 0 && err == ERR_OK) {
		ssize_t sent = p->ssl != NULL ? SSL_write(p->ssl, octets, (int)n) : send(p->fd, octets, n, MSG_NOSIGNAL);

		if (sent > 0) {
			octets += sent;
			n -= (size_t)sent;
		} else if (p->ssl != NULL) {
			err = wait_for_tls(p, (int)sent);
		} else if (errno == EAGAIN || errno == EINTR) {
			err = wait_for(p, POLLOUT);
		} else {
			err = errno == EPIPE || errno == ECONNRESET ? ERR_CLOSED : ERR_SYSTEM;
		}
	}
	return err;
}

static int
fill(struct probe *p)
{
	int err = ERR_OK;

	ERR_clear_error();
	while (err == ERR_OK) {
		ssize_t got = p->ssl != NULL ? SSL_read(p->ssl, p->in, sizeof(p->in)) : recv(p->fd, p->in, sizeof(p->in), 0);

		if (got > 0) {
			p->in_start = 0;
			p->in_len = (size_t)got;
			return ERR_OK;
		}
		if (p->ssl != NULL)
			err = wait_for_tls(p, (int)got);
		else if (got == 0 || errno == ECONNRESET)
			err = ERR_CLOSED;
		else
			err = errno == EAGAIN || errno == EINTR ? wait_for(p, POLLIN) : ERR_SYSTEM;
	}
	return err;
}

/* The next line into p->line, without its end, cut to what fits. */
static int
read_line(struct probe *p)
{
	size_t n = 0;
	int err;

	for (int fills = 0; fills < FILLS_MAX; fills++) {
		while (p->in_start < p->in_len) {
			uint8_t octet = p->in[p->in_start++];

			if (octet == '\n') {
				p->line[n] = 0;
				return ERR_OK;
			}
			if (octet != '\r' && n + 1 < sizeof(p->line))
				p->line[n++] = octet >= ' ' && octet <= '~' ? (char)octet : '?';
		}
		if (io_now_ms() >= p->deadline_ms)
			return ERR_TIMEOUT;
		if ((err = fill(p)) != ERR_OK)
			return err;
	}
	return ERR_TOOBIG;
}

int
probe_hear(struct probe *p)
{
	size_t n = 0;
	int err;

	p->text[0] = 0;
	for (int i = 0; i < LINES_MAX; i++) {
		uint64_t code;

		if ((err = read_line(p)) != ERR_OK)
			return err;
		if (strlen(p->line) < 3 || str_parse_u64(p->line, 3, 599, &code) != ERR_OK || code < 200 ||
		    (p->line[3] != ' ' && p->line[3] != '-' && p->line[3] != 0))
			return ERR_SYNTAX;
		p->code = (unsigned)code;
		if (n + 1 < sizeof(p->text))
			n += (size_t)snprintf(p->text + n, sizeof(p->text) - n, "%s%s", i != 0 ? "\n" : "", p->line);
		if (p->line[3] != '-')
			return ERR_OK;
	}
	return ERR_SYNTAX;
}

int
probe_ask(struct probe *p, const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int n, err;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 2, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line) - 2)
		return ERR_TOOBIG;
	for (int i = 0; i < n; i++)
		if ((uint8_t)line[i] < ' ' || line[i] == 0x7f)
			return ERR_SYNTAX;
	line[n++] = '\r';
	line[n++] = '\n';
	err = probe_send(p, line, (size_t)n);
	mem_wipe(line, sizeof(line));
	return err == ERR_OK ? probe_hear(p) : err;
}

bool
probe_offers(const struct probe *p, const char *word)
{
	const char *at = p->text;
	size_t n = strlen(word);

	while ((at = strchr(at, '\n')) != NULL)
		if (strlen(++at) >= 4 + n && strncmp(at + 4, word, n) == 0 && strchr(" \n", at[4 + n]) != NULL)
			return true;
	return false;
}

void
probe_close(struct probe *p)
{
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	p->ssl = NULL;
	p->ctx = NULL;
	ERR_clear_error();
	io_close(&p->fd);
	mem_wipe(p->in, sizeof(p->in));
}
