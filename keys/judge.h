#ifndef KEYS_JUDGE_H
#define KEYS_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc.h"

/* Which texts may be signed with which key by which algorithm. Pure. */

enum judge_shape {
	JUDGE_TLS12,	/* ServerKeyExchange: RFC 8422, section 5.4 */
	JUDGE_TLS13,	/* the server's CertificateVerify: RFC 8446, section 4.4.3 */
};

enum judge_key { JUDGE_RSA, JUDGE_P256, JUDGE_P384, JUDGE_P521 };

/* Which handshake the whole text is shaped like. ERR_SYNTAX: none that a server signs. */
int	judge_text(const uint8_t *text, size_t n, enum judge_shape *shape);

/* Whether this kind of key signs this shape by this algorithm. */
bool	judge_may_sign(enum judge_key key, enum judge_shape shape, enum sign_algorithm algorithm);

#endif
