#ifndef RELAY_TLS_H
#define RELAY_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf.h"

struct tls;		/* of one connection */
struct tls_client;	/* what connections have in common: settings and authorities */

/*
 * Makes the common part, before the sandbox, with the certificates of a file to verify by; path "" is the system's. ERR_SYSTEM,
 * ERR_NOTFOUND, ERR_SYNTAX with a sentence in why. If the system has no such file *client is of use all the same, and verifies nobody.
 */
int	tls_prepare(struct tls_client **client, const char *path, char *why, size_t size);
/* A handshake with ourselves and each digest once: OpenSSL loads what it needs before the sandbox closes. */
void	tls_warm_up(void);

/* How a handshake must come out, and whom it must be with. */
struct tls_wish {
	enum route_tls	policy;
	const char	*host;		/* name, or address literal */
	bool		is_address;
};

/*
 * Takes a connected non-blocking socket through a handshake. ERR_DENIED: the certificate is not accepted; ERR_SYNTAX, ERR_CLOSED,
 * ERR_TIMEOUT, ERR_SYSTEM; why is half a sentence about it.
 */
int	tls_handshake(struct tls **tls, const struct tls_client *client, int fd, const struct tls_wish *wish, uint64_t deadline_ms,
	    char *why, size_t size);

/* Octets, or ERR_BUSY (wait for tls_events()), ERR_CLOSED, ERR_SYSTEM. */
ssize_t	tls_read(struct tls *tls, void *p, size_t n);
ssize_t	tls_write(struct tls *tls, const void *p, size_t n);
short	tls_events(const struct tls *tls);
/* Whether octets can be had without the socket. */
bool	tls_is_pending(const struct tls *tls);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384 verified"; to holds size; returns to. */
char	*tls_put_text(char *to, size_t size, const struct tls *tls);
/* "for mail.example.org, by Example CA, good for 60 days"; to holds size. ERR_NOTFOUND: it showed none. tls_certificate.c */
int	tls_put_certificate(char *to, size_t size, const struct tls *tls);
/* Says goodbye and frees. */
void	tls_close(struct tls *tls);

#endif
