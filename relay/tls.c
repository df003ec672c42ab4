/*
 * TLS of one outbound connection: the handshake, then octets. Run by session processes, inside their sandbox, with what
 * tls_prepare() made before the fork. Invariant: a session whose route wants a verified peer carries nothing before the peer's
 * certificate was found good for its name; every wait has a deadline.
 */
#include "tls.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "err.h"
#include "io.h"
#include "mem.h"
#include "tls_client.h"

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

/* Name, SNI and how strict: the chain and the name are judged always, but only `verified` breaks off for them. */
static int
set_wish(SSL *ssl, const struct tls_wish *wish)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (wish->is_address) {
		if (X509_VERIFY_PARAM_set1_ip_asc(param, wish->host) != 1)
			return ERR_SYSTEM;
	} else if (wish->host[0] != 0) {
		X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		if (X509_VERIFY_PARAM_set1_host(param, wish->host, 0) != 1 || SSL_set_tlsext_host_name(ssl, wish->host) != 1)
			return ERR_SYSTEM;
	} else if (wish->policy == ROUTE_TLS_VERIFIED) {
		return ERR_DENIED;
	}
	SSL_set_security_level(ssl, wish->policy == ROUTE_TLS_VERIFIED ? 2 : 1);
	SSL_set_verify(ssl, wish->policy == ROUTE_TLS_VERIFIED ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	return ERR_OK;
}

static int
explain(const struct tls *t, int err, char *why, size_t size)
{
	long verdict = SSL_get_verify_result(t->ssl);
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	if (err == ERR_SYNTAX && verdict != X509_V_OK && ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		snprintf(why, size, "its certificate is not accepted: %s", X509_verify_cert_error_string(verdict));
		return ERR_DENIED;
	}
	snprintf(why, size, "the TLS handshake failed: %s", err == ERR_SYNTAX && reason != NULL ? reason : err_text(err));
	return err;
}

int
tls_handshake(struct tls **tls, const struct tls_client *client, int fd, const struct tls_wish *wish, uint64_t deadline_ms,
    char *why, size_t size)
{
	struct tls *t = xcalloc(1, sizeof(*t));
	int n, err;

	*tls = NULL;
	why[0] = 0;
	if ((t->ssl = SSL_new(client->ctx)) == NULL || SSL_set_fd(t->ssl, fd) != 1 || set_wish(t->ssl, wish) != ERR_OK) {
		snprintf(why, size, "TLS could not be begun with %s", wish->host[0] != 0 ? wish->host : "a server without a name");
		free_session(t);
		return ERR_SYSTEM;
	}
	do {
		ERR_clear_error();
		errno = 0;
		err = (n = SSL_connect(t->ssl)) == 1 ? ERR_OK : judge(t, n);
	} while (err == ERR_BUSY && (err = wait_for(fd, t->events, deadline_ms)) == ERR_OK);
	if (err != ERR_OK) {
		err = explain(t, err, why, size);
		/* Tell the peer why: an alert is written by OpenSSL itself. */
		free_session(t);
		t = NULL;
	}
	ERR_clear_error();
	*tls = t;
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

bool
tls_is_pending(const struct tls *tls)
{
	return !tls->drained && SSL_has_pending(tls->ssl) == 1;
}

char *
tls_put_text(char *to, size_t size, const struct tls *tls)
{
	bool verified = SSL_get_verify_result(tls->ssl) == X509_V_OK && SSL_get0_peer_certificate(tls->ssl) != NULL;

	snprintf(to, size, "%s %s %s", SSL_get_version(tls->ssl), SSL_get_cipher_name(tls->ssl), verified ? "verified" : "unverified");
	return to;
}

SSL *
tls_ssl(const struct tls *tls)
{
	return tls->ssl;
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
