#ifndef ADMIN_CERTIFICATE_H
#define ADMIN_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

#define CERTIFICATE_FILE_MAX (1024 * 1024)	/* octets of a chain or key file */

struct certificate_facts {
	char	why[512];	/* what is wrong, or "" */
	char	warning[512];	/* what is doubtful: expired, another name; or "" */
};

/*
 * Whether a chain and a key, both PEM, belong together and are of a kind that postern-keys signs with (RSA, ECDSA
 * P-256, P-384 or P-521). The hostname, unless NULL, is one that it should name. ERR_SYNTAX with facts->why.
 */
int certificate_check(
    const struct buf *chain, const struct buf *key, const char *hostname, struct certificate_facts *facts);

/* Makes a key (EC P-256) and a certificate signed by itself for this name, ten years long, both PEM. ERR_SYSTEM. */
int	certificate_make(const char *hostname, struct buf *chain, struct buf *key);

#endif
