#ifndef COMMON_ADDR_H
#define COMMON_ADDR_H

#include <stdbool.h>
#include <stddef.h>

#define ADDR_LOCAL_MAX 64	/* RFC 5321, 4.5.3.1.1 */
#define ADDR_DOMAIN_MAX 255	/* RFC 5321, 4.5.3.1.2 */
#define ADDR_TEXT (ADDR_LOCAL_MAX * 2 + 2 + 1 + ADDR_DOMAIN_MAX + 1)	/* all characters quoted, '@', NUL */

/*
 * A mailbox: local-part '@' domain, NUL-terminated, a quoted local part unquoted where it need not be quoted.
 * The null reverse-path is text "" with both lengths 0.
 */
struct addr {
	char	text[ADDR_TEXT];
	size_t	local_len;	/* octets before '@' */
	size_t	len;		/* octets in all */
	bool	is_utf8;	/* holds an octet over 127: needs SMTPUTF8 (RFC 6531) */
};

/*
 * Parses a whole mailbox of n octets (RFC 5321, 4.1.2 Mailbox; with `utf8`, RFC 6531, 3.3). No angle
 * brackets, no route, no empty address. Underscores in domains and single labels pass. ERR_SYNTAX.
 */
int	addr_parse(struct addr *a, const void *p, size_t n, bool utf8);

/* The null reverse-path. */
void	addr_set_null(struct addr *a);
bool	addr_is_null(const struct addr *a);

/* The domain, a pointer into text; "" for the null reverse-path. */
const char *addr_domain(const struct addr *a);

/* Whether n octets are a domain or an address literal in brackets (RFC 5321, 4.1.2). */
bool	addr_is_domain(const void *p, size_t n, bool utf8);

#endif
