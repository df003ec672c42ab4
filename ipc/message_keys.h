#ifndef IPC_MESSAGE_KEYS_H
#define IPC_MESSAGE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

/* Messages between a worker and postern-keys, and between auth and its hashing children. A part of ipc.h. */

enum sign_algorithm {		/* RFC 8446, 4.2.3 */
	SIGN_RSA_PKCS1_SHA256, SIGN_RSA_PKCS1_SHA384, SIGN_RSA_PKCS1_SHA512,	/* TLS 1.2 only */
	SIGN_RSA_PSS_SHA256, SIGN_RSA_PSS_SHA384, SIGN_RSA_PSS_SHA512,
	SIGN_ECDSA_SHA256, SIGN_ECDSA_SHA384, SIGN_ECDSA_SHA512,
};
struct ipc_sign {
	uint8_t			key;		/* index of the certificate, 0 is the first */
	enum sign_algorithm	algorithm;
	const uint8_t		*text;		/* the whole text to be signed, not a digest */
	size_t			text_len;
};
void	ipc_put_sign(struct wire_out *w, const struct ipc_sign *m);
int	ipc_get_sign(struct wire_in *w, struct ipc_sign *m);

struct ipc_sign_answer {
	const uint8_t	*signature;	/* empty: refused */
	size_t		signature_len;
};
void	ipc_put_sign_answer(struct wire_out *w, const struct ipc_sign_answer *m);
int	ipc_get_sign_answer(struct wire_in *w, struct ipc_sign_answer *m);

struct ipc_hash {
	uint32_t	job;
	char		hash[512];	/* crypt(5) form; "": a new one is to be made */
	const uint8_t	*password;	/* no NUL inside */
	size_t		password_len;
};
void	ipc_put_hash(struct wire_out *w, const struct ipc_hash *m);
int	ipc_get_hash(struct wire_in *w, struct ipc_hash *m);

enum hash_verdict {
	HASH_DIFFERS,
	HASH_MATCHES,		/* or one was made, or the child is ready */
	HASH_NO_MEMORY,		/* it could not be computed; nothing is known of the password */
	HASH_UNKNOWN,		/* the same: a method or form that crypt(3) does not know */
};
struct ipc_hash_answer {
	uint32_t		job;
	enum hash_verdict	verdict;
	char			hash[512];	/* that was made, else "" */
};
void	ipc_put_hash_answer(struct wire_out *w, const struct ipc_hash_answer *m);
int	ipc_get_hash_answer(struct wire_in *w, struct ipc_hash_answer *m);

#endif
