#ifndef WORKER_TLS_CONTEXT_H
#define WORKER_TLS_CONTEXT_H

#include <stddef.h>
#include <stdint.h>
#include <openssl/types.h>

#include "conf.h"

/* One certificate with its chain. */
struct tls_entry {
	SSL_CTX	*ctx;		/* what serves it: its own, or that of another entry with the same names */
	X509	*leaf;
	uint8_t	 digest[32];	/* tls_public_digest() */
};

/* What tls_context.c makes in the master and tls.c uses in workers. */
struct tls_shared {
	struct tls_entry	entries[CONF_PAIRS_MAX];	/* the first is the default */
	size_t			n;
};

/* The entry for the name that a client asks for; the first one when none bears that name. Pure. */
const struct tls_entry *tls_find_name(const struct tls_shared *s, const char *name);
/* Whether both leaves have a subjectAltName, and the same one. Pure. */
bool	tls_has_same_names(const X509 *a, const X509 *b);

#endif
