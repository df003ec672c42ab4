#ifndef WORKER_TLS_CONTEXT_H
#define WORKER_TLS_CONTEXT_H

#include <stdint.h>
#include <openssl/types.h>

/* What tls_context.c makes in the master and tls.c uses in workers. */
struct tls_shared {
	SSL_CTX	*ctx;
	uint8_t	 digest[32];	/* tls_public_digest() */
};

#endif
