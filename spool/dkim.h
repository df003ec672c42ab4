#ifndef SPOOL_DKIM_H
#define SPOOL_DKIM_H

#include <openssl/evp.h>
#include <stdint.h>

#include "buf.h"

#define DKIM_DOMAIN_TEXT 256

/* What postern-keys needs of a message in order to sign it. */
struct dkim_input {
	char		domain[DKIM_DOMAIN_TEXT];	/* of the first address in From, lower case */
	uint8_t		body_hash[32];			/* SHA-256 of the body, canonicalised "relaxed" (RFC 6376, 3.4.4) */
	struct buf	fields;				/* the header fields to be signed, as they stand, in their order */
};

/*
 * Reads a message of size octets from offset of its file, once, by pread(2); digest is SHA-256 and is shared by threads. Blocks: for the
 * commit threads. *in is to be freed by dkim_free() also after an error. ERR_SYNTAX: no address with a domain can be read in
 * From; ERR_TOOBIG: its From is too long to be signed; ERR_SHORT: the file ends too early; ERR_NOMEM, ERR_SYSTEM.
 */
int	dkim_read(const EVP_MD *digest, int fd, uint64_t offset, uint64_t size, struct dkim_input *in);
void	dkim_free(struct dkim_input *in);

/* Why dkim_read() could not do it, a phrase for the trace. */
const char *dkim_why(int err);

#endif
