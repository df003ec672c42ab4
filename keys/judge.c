/*
 * Whether a text is one that a TLS server signs in its handshake. Runs in postern-keys, which has the private keys and
 * nothing else; pure. Invariant: what is accepted cannot be read as anything but a server's TLS 1.2 ServerKeyExchange
 * or TLS 1.3 CertificateVerify, and the two can't be taken for each other: where one has 'T' the other has 3.
 */
#include "judge.h"

#include <string.h>

#include "err.h"

#define RANDOM_OCTETS 32	/* RFC 5246, 7.4.1.2 */
#define NAMED_CURVE 3		/* RFC 8422, 5.4: ECCurveType; the explicit ones are obsolete */
#define UNCOMPRESSED 4		/* RFC 8422, 5.4.1 */
#define PAD_OCTETS 64		/* RFC 8446, 4.4.3 */

/* The groups whose points a server may send: RFC 8422, 5.1.1 and 5.4.1. */
static const struct {
	uint16_t	id;
	uint8_t		point;		/* octets */
	bool		has_form;	/* the first octet says how the point is written */
} groups[] = {
	{ 23, 65, true },	/* secp256r1 */
	{ 24, 97, true },	/* secp384r1 */
	{ 25, 133, true },	/* secp521r1 */
	{ 29, 32, false },	/* x25519 */
	{ 30, 56, false },	/* x448 */
};

static const uint8_t context[] = "TLS 1.3, server CertificateVerify";	/* with its NUL, as the RFC has it */

/* Which key signs which shape by which algorithm. TLS 1.3 binds an ECDSA scheme to its curve and has no PKCS #1 (RFC 8446,
 * 4.2.3); TLS 1.2 pairs them freely (RFC 5246, 7.4.1.4.1). */
static const struct {
	enum judge_key		key;
	enum judge_shape	shape;
	enum sign_algorithm	algorithm;
} permitted[] = {
	{ JUDGE_RSA, JUDGE_TLS12, SIGN_RSA_PKCS1_SHA256 },
	{ JUDGE_RSA, JUDGE_TLS12, SIGN_RSA_PKCS1_SHA384 },
	{ JUDGE_RSA, JUDGE_TLS12, SIGN_RSA_PKCS1_SHA512 },
	{ JUDGE_RSA, JUDGE_TLS12, SIGN_RSA_PSS_SHA256 },
	{ JUDGE_RSA, JUDGE_TLS12, SIGN_RSA_PSS_SHA384 },
	{ JUDGE_RSA, JUDGE_TLS12, SIGN_RSA_PSS_SHA512 },
	{ JUDGE_RSA, JUDGE_TLS13, SIGN_RSA_PSS_SHA256 },
	{ JUDGE_RSA, JUDGE_TLS13, SIGN_RSA_PSS_SHA384 },
	{ JUDGE_RSA, JUDGE_TLS13, SIGN_RSA_PSS_SHA512 },
	{ JUDGE_P256, JUDGE_TLS12, SIGN_ECDSA_SHA256 },
	{ JUDGE_P256, JUDGE_TLS12, SIGN_ECDSA_SHA384 },
	{ JUDGE_P256, JUDGE_TLS12, SIGN_ECDSA_SHA512 },
	{ JUDGE_P256, JUDGE_TLS13, SIGN_ECDSA_SHA256 },
	{ JUDGE_P384, JUDGE_TLS12, SIGN_ECDSA_SHA256 },
	{ JUDGE_P384, JUDGE_TLS12, SIGN_ECDSA_SHA384 },
	{ JUDGE_P384, JUDGE_TLS12, SIGN_ECDSA_SHA512 },
	{ JUDGE_P384, JUDGE_TLS13, SIGN_ECDSA_SHA384 },
	{ JUDGE_P521, JUDGE_TLS12, SIGN_ECDSA_SHA256 },
	{ JUDGE_P521, JUDGE_TLS12, SIGN_ECDSA_SHA384 },
	{ JUDGE_P521, JUDGE_TLS12, SIGN_ECDSA_SHA512 },
	{ JUDGE_P521, JUDGE_TLS13, SIGN_ECDSA_SHA512 },
};

/* Pad, context, NUL and the transcript's hash: SHA-256 or SHA-384, as the cipher suites of TLS 1.3 have it. */
static bool
is_certificate_verify(const uint8_t *text, size_t n)
{
	const size_t head = PAD_OCTETS + sizeof(context);

	if (n != head + 32 && n != head + 48)
		return false;
	for (size_t i = 0; i < PAD_OCTETS; i++)
		if (text[i] != ' ')
			return false;
	return memcmp(text + PAD_OCTETS, context, sizeof(context)) == 0;
}

/* Both randoms, then the named group and its point. */
static bool
is_server_key_exchange(const uint8_t *text, size_t n)
{
	struct wire_in w;
	const uint8_t *point;
	unsigned id;
	size_t len;

	wire_in_init(&w, text, n);
	wire_get_raw(&w, RANDOM_OCTETS);
	wire_get_raw(&w, RANDOM_OCTETS);
	if (wire_get_u8(&w) != NAMED_CURVE)
		return false;
	id = wire_get_u16(&w);
	len = wire_get_u8(&w);
	point = wire_get_raw(&w, len);
	if (wire_in_end(&w) != ERR_OK)
		return false;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (groups[i].id == id)
			return groups[i].point == len && (!groups[i].has_form || point[0] == UNCOMPRESSED);
	return false;
}

int
judge_text(const uint8_t *text, size_t n, enum judge_shape *shape)
{
	if (is_certificate_verify(text, n))
		*shape = JUDGE_TLS13;
	else if (is_server_key_exchange(text, n))
		*shape = JUDGE_TLS12;
	else
		return ERR_SYNTAX;
	return ERR_OK;
}

bool
judge_may_sign(enum judge_key key, enum judge_shape shape, enum sign_algorithm algorithm)
{
	for (size_t i = 0; i < sizeof(permitted) / sizeof(permitted[0]); i++)
		if (permitted[i].key == key && permitted[i].shape == shape && permitted[i].algorithm == algorithm)
			return true;
	return false;
}
