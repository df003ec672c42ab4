#ifndef KEYS_KEY_H
#define KEYS_KEY_H

#include <stddef.h>
#include <stdint.h>
#include <openssl/types.h>

#include "judge.h"

struct conf_pair;
struct instance;

/* One private key and the digest by which the master recognises its certificate. */
struct key {
	EVP_PKEY	*pkey;
	enum judge_key	 kind;
	uint8_t		 digest[32];	/* SHA-256 of the certificate's SubjectPublicKeyInfo (DER) */
};

/* Before anything else of OpenSSL's: no configuration file, and a heap of its own for private numbers, kept out of core files
 * and locked into memory where the limits allow it. */
void	key_library_start(void);

/*
 * Loads the key of a pair, checks that it belongs to the pair's certificate and is of a kind that is served (RSA from 2048 bits, EC P-256,
 * P-384, P-521), and signs once by each of its algorithms. On failure why (size octets) holds a sentence that names the file and
 * the mending command. ERR_NOTFOUND, ERR_DENIED (owner, mode, link), ERR_SYNTAX (no such PEM or kind), ERR_CORRUPT (key and
 * certificate are no pair), ERR_TOOBIG, ERR_SYSTEM.
 */
int	key_load(struct key *k, const struct instance *in, const struct conf_pair *pair, char *why, size_t size);
void	key_release(struct key *k);

/* Signs; signature holds IPC_SIGNATURE_MAX octets. What is signed must have been judged. ERR_SYSTEM. */
int	key_sign(const struct key *k, enum sign_algorithm algorithm, const uint8_t *text, size_t n, uint8_t *signature,
	    size_t *len);

/* Whether the signature is that of the public key; for the proof at start. */
bool	key_verify(EVP_PKEY *public, enum sign_algorithm algorithm, const uint8_t *text, size_t n, const uint8_t *signature,
	    size_t len);

#endif
