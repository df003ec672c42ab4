#ifndef ADMIN_CHECK_H
#define ADMIN_CHECK_H

#include "admin.h"
#include "conf.h"

struct buf;
struct certificate_facts;

/*
 * Looks at what a configuration relies on: certificate and key (they match; the key is readable by its owner
 * only), the registry, the folders, with their owners and modes. Says each fault and returns 0 or the code of the first one, which is
 * the one that posternd would end with: 66 something is missing, 77 an owner or a mode is wrong, or the admin may not look, 78
 * what is in a file is wrong.
 */
int	check_instance(const struct admin *a, const struct conf *c);
/* Certificates and keys alone. */
int	check_certificate(const struct admin *a, const struct conf *c);

/*
 * One pair: its files can be read, the key by its owner only, and belong together. Says what is not so and returns 0, 66, 77 or 78.
 * The chain, an empty buffer, gets its text; the hostname (or NULL) is one that it should name.
 */
int	check_pair(const struct admin *a, const struct conf_pair *p, struct buf *chain, struct certificate_facts *facts,
	    const char *hostname);

#endif
