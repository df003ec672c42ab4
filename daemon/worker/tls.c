/*
 * TLS of one session: the handshake, then octets. Runs in workers, inside their sandbox, with what tls_context.c made before
 * the fork. Invariant: nothing here asks the kernel for more than to read, write and poll the socket, for
 * memory, time and random octets; every wait has a deadline.
 */
#include "tls.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "err.h"
#include "io.h"
#include "mem.h"
#include "provider.h"
#include "tls_context.h"

struct tls {
	SSL	*ssl;
	short	 events;	/* what the last ERR_BUSY waits for */
	bool	 broken;	/* no close_notify can be sent any more */
	bool	 drained;	/* the last read found no whole record */
};

/* What an operation that did not succeed means; sets t->events for ERR_BUSY. */
static int
judge(struct tls *t, int result)
{
	switch (SSL_get_error(t->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		t->events = POLLIN;
		return ERR_BUSY;
	case SSL_ERROR_WANT_WRITE:
		t->events = POLLOUT;
		return ERR_BUSY;
	case SSL_ERROR_ZERO_RETURN:
		return ERR_CLOSED;
	case SSL_ERROR_SYSCALL:
		t->broken = true;
		return errno == 0 || errno == EPIPE || errno == ECONNRESET || errno == ETIMEDOUT ? ERR_CLOSED : ERR_SYSTEM;
	default:
		t->broken = true;
		return ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? ERR_CLOSED : ERR_SYNTAX;
	}
}

static int
wait_for(int fd, short events, uint64_t deadline_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	uint64_t now = io_now_ms();
	int n;

	if (now >= deadline_ms)
		return ERR_TIMEOUT;
	n = poll(&p, 1, deadline_ms - now > 60000 ? 60000 : (int)(deadline_ms - now));
	return n < 0 && errno != EINTR ? ERR_SYSTEM : ERR_OK;
}

static void
free_session(struct tls *t)
{
	SSL_free(t->ssl);
	free(t);
}

int
tls_handshake(struct tls **tls, struct tls_shared *shared, int fd, int keys_fd, uint64_t deadline_ms)
{
	struct tls *t = xcalloc(1, sizeof(*t));
	int n, err;

	*tls = NULL;
	if ((t->ssl = SSL_new(shared->entries[0].ctx)) == NULL || SSL_set_fd(t->ssl, fd) != 1) {
		free_session(t);
		return ERR_SYSTEM;
	}
	provider_set_socket(keys_fd);
	do {
		ERR_clear_error();
		errno = 0;
		err = (n = SSL_accept(t->ssl)) == 1 ? ERR_OK : judge(t, n);
	} while (err == ERR_BUSY && (err = wait_for(fd, t->events, deadline_ms)) == ERR_OK);
	if (err == ERR_SYNTAX && provider_has_failed())
		err = ERR_SYSTEM;
	provider_set_socket(-1);
	ERR_clear_error();
	if (err == ERR_OK)
		*tls = t;
	else
		free_session(t);
	return err;
}

ssize_t
tls_read(struct tls *tls, void *p, size_t n)
{
	size_t done;
	int result, err;

	ERR_clear_error();
	errno = 0;
	tls->drained = false;
	if ((result = SSL_read_ex(tls->ssl, p, n, &done)) == 1)
		return (ssize_t)done;
	err = judge(tls, result);
	tls->drained = err == ERR_BUSY;
	/* A stream that breaks TLS is as good as closed. */
	return err == ERR_SYNTAX ? ERR_CLOSED : err;
}

ssize_t
tls_write(struct tls *tls, const void *p, size_t n)
{
	size_t done;
	int result, err;

	ERR_clear_error();
	errno = 0;
	if ((result = SSL_write_ex(tls->ssl, p, n, &done)) == 1)
		return (ssize_t)done;
	err = judge(tls, result);
	return err == ERR_SYNTAX ? ERR_CLOSED : err;
}

short
tls_events(const struct tls *tls)
{
	return tls->events;
}

/* Octets may be read ahead and not decrypted yet; but after a read that found too few of them only the socket has more. */
bool
tls_is_pending(const struct tls *tls)
{
	return !tls->drained && SSL_has_pending(tls->ssl) == 1;
}

void
tls_close(struct tls *tls)
{
	if (!tls->broken) {
		ERR_clear_error();
		SSL_shutdown(tls->ssl);
	}
	ERR_clear_error();
	free_session(tls);
}
