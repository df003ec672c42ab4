#ifndef WORKER_PROVIDER_H
#define WORKER_PROVIDER_H

#include <stdbool.h>
#include <openssl/types.h>

/*
 * OpenSSL's private key operation as a question to postern-keys. Algorithms of this provider are chosen only for keys that
 * provider_make_key() made: the library context prefers the default provider for everything else.
 */

/* Adds the default provider and this one to a library context, once for each. ERR_SYSTEM. */
int	provider_load(OSSL_LIB_CTX *library);

/* A key whose public part is `public` and whose private part is key `index` of postern-keys. The caller frees it. ERR_SYSTEM. */
int	provider_make_key(OSSL_LIB_CTX *library, EVP_PKEY *public, unsigned index, EVP_PKEY **key);

/* The session's socket to postern-keys, for the whole process; -1: signing fails. Forgets a failure. The caller closes it. */
void	provider_set_socket(int fd);

/* Whether a signature was asked for since provider_set_socket() and not had. */
bool	provider_has_failed(void);

#endif
