#ifndef KEYS_DKIM_TEXT_H
#define KEYS_DKIM_TEXT_H

#include <stdint.h>

#include "buf.h"

enum dkim_algorithm { DKIM_RSA, DKIM_ED25519 };	/* rsa-sha256, ed25519-sha256 (RFC 8463) */
#define DKIM_ALGORITHM_MAX DKIM_ED25519

struct ipc_dkim_sign;

/* Appends a header field (with or without its last CRLF) in its relaxed form, RFC 6376, 3.4.2, with CRLF. ERR_SYNTAX: no field. */
int	dkim_put_relaxed(struct buf *b, const uint8_t *field, size_t n);

/*
 * Whether what is asked is fit to be signed: header fields in the permitted names only, well-formed, exactly one From, with an address in the
 * domain. ERR_SYNTAX, ERR_DENIED: From is of another domain. Pure.
 */
int	dkim_judge(const struct ipc_dkim_sign *m);

/*
 * Composes a signature: header gets the DKIM-Signature field up to the value of its tag b, text what is to be signed. What is asked
 * must have been judged. time_s is the value of its tag t. ERR_NOMEM, ERR_TOOBIG.
 */
int	dkim_compose(const struct ipc_dkim_sign *m, const char *selector, enum dkim_algorithm algorithm, uint64_t time_s,
	    struct buf *header, struct buf *text);
/* Completes the field with a signature, folded, and its CRLF. ERR_NOMEM, ERR_TOOBIG. */
int	dkim_finish(struct buf *header, const uint8_t *signature, size_t n);

#endif
