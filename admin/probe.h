#ifndef ADMIN_PROBE_H
#define ADMIN_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/types.h>

#include "netaddr.h"

/* A session with a listener of our own, to see whether it serves. */
struct probe {
	int		 fd;
	SSL_CTX		*ctx;
	SSL		*ssl;		/* NULL in the clear */
	uint64_t	 deadline_ms;	/* of io_now_ms(), for every wait; the caller may move it */
	/* the last reply */
	unsigned	 code;
	char		 text[2048];	/* its lines with their codes, each after the first behind '\n'; printable */
	char		 line[1024];
	size_t		 in_start, in_len;
	uint8_t		 in[4096];
};

/*
 * Connects; tries again until the deadline as long as nobody listens. An address that stands for all is reached by loopback. ERR_TIMEOUT,
 * ERR_CLOSED: nobody listens; ERR_SYSTEM.
 */
int	probe_open(struct probe *p, const struct netaddr *to, uint64_t deadline_ms);
/* A handshake, by this name; the certificate is not judged here. ERR_SYNTAX: the peer speaks no TLS, or none that fits; as above. */
int	probe_start_tls(struct probe *p, const char *name);
/* Reads a reply. ERR_SYNTAX: it is none. */
int	probe_hear(struct probe *p);
/* Sends n octets. */
int	probe_send(struct probe *p, const char *octets, size_t n);
/* Sends a line without control characters (else ERR_SYNTAX), its end added, and reads the reply. */
int	probe_ask(struct probe *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Whether a line of EHLO's reply begins with this word. */
bool	probe_offers(const struct probe *p, const char *word);
/* Also after an error; wipes. */
void	probe_close(struct probe *p);

#endif
