/*
 * The signature itself. Runs in postern-keys behind the judge. Invariant: the digest is made here, from the
 * whole text, so that nobody can have a digest of their own choice signed.
 */
#include "key.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "err.h"

static const struct {
	const char	*digest;
	bool		 pss;
} algorithms[] = {
	[SIGN_RSA_PKCS1_SHA256] = { "SHA256", false },
	[SIGN_RSA_PKCS1_SHA384] = { "SHA384", false },
	[SIGN_RSA_PKCS1_SHA512] = { "SHA512", false },
	[SIGN_RSA_PSS_SHA256] = { "SHA256", true },
	[SIGN_RSA_PSS_SHA384] = { "SHA384", true },
	[SIGN_RSA_PSS_SHA512] = { "SHA512", true },
	[SIGN_ECDSA_SHA256] = { "SHA256", false },
	[SIGN_ECDSA_SHA384] = { "SHA384", false },
	[SIGN_ECDSA_SHA512] = { "SHA512", false },
};

static bool
set_padding(EVP_PKEY_CTX *ctx, enum sign_algorithm algorithm)
{
	if (!algorithms[algorithm].pss)
		return true;
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) > 0;
}

int
key_sign(const struct key *k, enum sign_algorithm algorithm, const uint8_t *text, size_t n, uint8_t *signature, size_t *len)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx;
	int err = ERR_SYSTEM;

	*len = IPC_SIGNATURE_MAX;
	if (md != NULL &&
	    EVP_DigestSignInit_ex(md, &ctx, algorithms[algorithm].digest, NULL, NULL, k->pkey, NULL) > 0 &&
	    set_padding(ctx, algorithm) && EVP_DigestSign(md, signature, len, text, n) > 0)
		err = ERR_OK;
	EVP_MD_CTX_free(md);
	return err;
}

bool
key_verify(EVP_PKEY *public, enum sign_algorithm algorithm, const uint8_t *text, size_t n, const uint8_t *signature,
    size_t len)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx;
	bool good;

	good = md != NULL &&
	    EVP_DigestVerifyInit_ex(md, &ctx, algorithms[algorithm].digest, NULL, NULL, public, NULL) > 0 &&
	    set_padding(ctx, algorithm) && EVP_DigestVerify(md, signature, len, text, n) > 0;
	EVP_MD_CTX_free(md);
	return good;
}
