#ifndef UNIT_DKIM_FIXTURE_H
#define UNIT_DKIM_FIXTURE_H

#include <stddef.h>

#include "dkim_key.h"
#include "message_dkim.h"

/* The keys of RFC 8463, appendix A. */
void	dkim_open_key(struct dkim_key *k, enum dkim_algorithm algorithm, const char *domain, const char *selector);
extern const char dkim_ed25519_public[];

/* A question about these fields; the body's hash is 'h's. */
struct ipc_dkim_sign dkim_ask(const char *domain, const char *fields);

/* What may be signed and what not. */
struct dkim_case {
	const char	*domain, *fields;
	int		 err;
};
extern const struct dkim_case dkim_judged[];
extern const size_t dkim_judged_count;

#endif
