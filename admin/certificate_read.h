#ifndef ADMIN_CERTIFICATE_READ_H
#define ADMIN_CERTIFICATE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/types.h>

#include "buf.h"

#define CERTIFICATE_NAMES_MAX 100	/* shown; a public authority puts no more into one */

/* What a certificate says. Foreign text: printed through out_print() or JSON only. */
struct certificate_info {
	X509		*leaf;
	char		 subject[512], issuer[512];
	char		 names[CERTIFICATE_NAMES_MAX][256];	/* subjectAltName: DNS names and addresses */
	size_t		 nnames;
	int64_t		 not_before, not_after;			/* seconds since 1970 */
	char		 key_type[64];				/* "RSA 2048", "EC P-256" */
	bool		 self_signed;
	char		 chain_problem[1024];			/* why clients may not find their way to an authority, or "" */
};

/* Reads a chain, PEM, the server's own certificate first. ERR_SYNTAX. Free it in any case. */
int	certificate_read(const struct buf *chain, struct certificate_info *info);
void	certificate_info_free(struct certificate_info *info);

/* Whether clients that connect to this name accept it (RFC 6125). */
bool	certificate_bears(const struct certificate_info *info, const char *name);

/* Whole days until it expires; negative behind that. */
int64_t	certificate_days_left(const struct certificate_info *info);

#endif
