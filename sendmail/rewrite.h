#ifndef SENDMAIL_REWRITE_H
#define SENDMAIL_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

struct recipients;

/* How an address is completed that has no domain, or this machine's name for one. */
struct completion {
	const char	*user;		/* the caller's own name: it stands for address */
	const char	*address;	/* of the account, "" for none */
	const char	*domain;	/* for all other names */
	const char	*host;		/* this machine's name, with or without the rest of it; "" for none */
};

/* Writes an address, completed, into to (size octets). ERR_TOOBIG. */
int	rewrite_address(char *to, size_t size, const char *address, const struct completion *c);

/*
 * Appends the header of a message to out: addresses in it are completed, and a From field is added where none is and
 * the name is not
 * "". *used is the length of the header in the message, its blank line not counted. Recipients of To, Cc and Bcc (or of
 * their Resent- forms where there are any) are added to r unless it is NULL. ERR_SYNTAX: why says which field;
 * ERR_TOOBIG, ERR_NOMEM.
 */
int	rewrite_header(struct buf *out, const uint8_t *p, size_t n, const struct completion *c, const char *sender,
	    const char *full_name, struct recipients *r, size_t *used, char *why, size_t size);

#endif
