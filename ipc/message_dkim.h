#ifndef IPC_MESSAGE_DKIM_H
#define IPC_MESSAGE_DKIM_H

#include "ipc.h"

/*
 * The messages of DKIM between postern-spool and postern-keys. keys never signs a text that it is given: it gets header fields and
 * the body's hash, composes the DKIM-Signature field itself, and only for a domain that stands in the From field among them.
 */
#define DKIM_FIELDS_MAX (60 * 1024)	/* octets of the fields to be signed of one message */
#define DKIM_FIELDS_COUNT_MAX 200
#define DKIM_BODY_HASH 32		/* octets of a SHA-256 */
#define DKIM_DOMAINS_MAX 100		/* in one IPC_DKIM_KEYS */
#define DKIM_DOMAIN_MAX 256		/* octets with NUL */

/* A header field that is signed wherever it stands. */
struct ipc_dkim_field {
	const char	*name;
	bool		 is_oversigned;	/* also that there is no further one (RFC 6376, 8.15) */
};
extern const struct ipc_dkim_field ipc_dkim_fields[];
extern const size_t ipc_dkim_nfields;
/* The row of a field's name, or NULL: it is not signed. */
const struct ipc_dkim_field *ipc_dkim_find_field(const void *name, size_t n);

struct ipc_dkim_sign {
	uint64_t	number;		/* the asker's */
	char		domain[DKIM_DOMAIN_MAX];
	uint8_t		body_hash[DKIM_BODY_HASH];	/* SHA-256 of the body in its relaxed form (RFC 6376, 3.4.4) */
	const uint8_t	*fields;	/* header fields as they stand, with their CRLFs, in their order */
	size_t		fields_len;
};
void	ipc_put_dkim_sign(struct wire_out *w, const struct ipc_dkim_sign *m);
int	ipc_get_dkim_sign(struct wire_in *w, struct ipc_dkim_sign *m);

enum dkim_verdict {
	DKIM_SIGNED,
	DKIM_NO_KEY,		/* none of this domain is active */
	DKIM_REFUSED,		/* From is not of that domain, or what came is no header fields */
	DKIM_FAILED,		/* the signature could not be made */
};
struct ipc_dkim_sign_answer {
	uint64_t		number;
	enum dkim_verdict	verdict;
	const uint8_t		*fields;	/* one DKIM-Signature field or more, with CRLFs, if signed */
	size_t			fields_len;	/* at most RELAY_SIGNATURES_MAX */
};
void	ipc_put_dkim_sign_answer(struct wire_out *w, const struct ipc_dkim_sign_answer *m);
int	ipc_get_dkim_sign_answer(struct wire_in *w, struct ipc_dkim_sign_answer *m);

struct ipc_dkim_keys {
	bool		is_last;	/* the list is whole */
	uint8_t		n;
	char		domains[DKIM_DOMAINS_MAX][DKIM_DOMAIN_MAX];	/* that have an active key, lower case */
};
void	ipc_put_dkim_keys(struct wire_out *w, const struct ipc_dkim_keys *m);
int	ipc_get_dkim_keys(struct wire_in *w, struct ipc_dkim_keys *m);

#endif
