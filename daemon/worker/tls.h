#ifndef WORKER_TLS_H
#define WORKER_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * TLS for sessions. The private key is never in this process: signatures are asked of postern-keys over keys_fd, through an
 * OpenSSL provider (provider.c). RFC 8446, RFC 5246; TLS 1.2 and 1.3 only, ECDHE only, no tickets, no session cache, no renegotiation.
 */
struct tls_file {
	const char	*path;		/* certificate chain, PEM, leaf first */
	const char	*setting;	/* which names it, for messages: "tls.certificate" */
};

struct tls_shared;	/* made once in the master, before workers are forked */
struct tls;		/* one session's connection */

/*
 * In the master: loads n (1 to CONF_PAIRS_MAX) certificate chains and makes the contexts of all sessions. The number of a chain is
 * that of its key in postern-keys. A client that names a server (RFC 6066, 3) gets the chain whose subjectAltName has
 * that name, or else a wildcard for it (RFC 6125, 6.4.3); any other client gets chain 0. Of two chains with the same names, one RSA and
 * one EC, the client's algorithms decide. No key is read, and a file that holds one is refused. This or tls_warm_up() comes before any other call into OpenSSL, so that no openssl.cnf is read.
 * On failure *shared is NULL and why (size octets) holds a sentence that names the file. ERR_NOTFOUND, ERR_SYNTAX, ERR_SYSTEM.
 */
int	tls_prepare(struct tls_shared **shared, const struct tls_file *files, size_t n, char *why, size_t size);
void	tls_release(struct tls_shared *shared);

/* SHA-256 of the SubjectPublicKeyInfo (DER) of leaf i, to be compared with what postern-keys says in IPC_READY. */
void	tls_public_digest(const struct tls_shared *shared, size_t i, uint8_t digest[32]);
/* When leaf i expires, in seconds since 1970; 0 when it does not say so readably. */
int64_t	tls_expiry(const struct tls_shared *shared, size_t i);

/* In the master: a few handshakes with itself (a throw-away key), so that workers inherit OpenSSL's tables and fetched algorithms
 * warm; frees what it made. Never fails: a cold start is only slower. */
void	tls_warm_up(void);

/*
 * In a worker: the server's side of the handshake on a non-blocking socket; waits with poll(2) until deadline_ms (io_now_ms()).
 * keys_fd is used for one signature. ERR_CLOSED, ERR_TIMEOUT, ERR_SYNTAX (the client's TLS is no good), ERR_SYSTEM (also: no
 * signature was had). Here and below SIGPIPE must be ignored.
 */
int	tls_handshake(struct tls **tls, struct tls_shared *shared, int fd, int keys_fd, uint64_t deadline_ms);

/*
 * Reads or writes what is possible at once: octets (> 0), ERR_BUSY (wait for tls_events() with poll, then call again with the same
 * arguments), ERR_CLOSED (also: the stream breaks TLS), ERR_SYSTEM.
 */
ssize_t	tls_read(struct tls *tls, void *p, size_t n);
ssize_t	tls_write(struct tls *tls, const void *p, size_t n);
/* POLLIN or POLLOUT: what the last ERR_BUSY waits for. */
short	tls_events(const struct tls *tls);
/* Whether octets are decrypted and buffered, so that poll(2) on the socket would not tell. */
bool	tls_is_pending(const struct tls *tls);
/* Sends close_notify, best effort. */
void	tls_close(struct tls *tls);

#endif
