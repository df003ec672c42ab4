#ifndef RELAY_TLS_CLIENT_H
#define RELAY_TLS_CLIENT_H

#include <openssl/ssl.h>

struct tls;

/* What tls_client.c makes and tls.c uses. */
struct tls_client {
	SSL_CTX	*ctx;
};

/* Of one connection, for tls_certificate.c. */
SSL	*tls_ssl(const struct tls *tls);

#endif
