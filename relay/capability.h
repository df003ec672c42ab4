#ifndef RELAY_CAPABILITY_H
#define RELAY_CAPABILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Mechanisms of SASL that we know, weakest first. */
enum login_mechanism {
	LOGIN_MECHANISM_LOGIN = 1 << 0,
	LOGIN_MECHANISM_PLAIN = 1 << 1,
	LOGIN_MECHANISM_SCRAM_SHA_1 = 1 << 2,
	LOGIN_MECHANISM_SCRAM_SHA_256 = 1 << 3,
};

/* What a server said it can, in its answer to EHLO or LHLO. */
struct capability {
	bool		pipelining, eightbit, smtputf8, dsn, starttls, size;
	uint64_t	size_max;		/* SIZE's limit; 0: none is told */
	unsigned	mechanisms;		/* login_mechanism bits */
};

/* One line behind its code (RFC 5321, 4.1.1.1); the first, with the server's name, is the caller's to skip. Pure. */
void	capability_hear(struct capability *c, const char *text, size_t len);

#endif
