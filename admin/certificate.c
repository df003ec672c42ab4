/*
 * Certificates: the check of a pair, and the making of one that signs itself. Runs in smtpadm with the admin's
 * rights; reads and writes memory only.
 */
#include "certificate.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "str.h"

#define LIFETIME_DAYS 3650	/* nobody renews it by himself: long, so that mail does not end one day */
#define CN_MAX 64		/* X.520, ub-common-name */

/* No key is ever asked for its pass phrase: a service could not be asked, either. */
static int
no_passphrase(char *to, int size, int writing, void *arg)
{
	(void)to;
	(void)size;
	(void)writing;
	(void)arg;
	return 0;
}

static int
fail(struct certificate_facts *facts, const char *why)
{
	snprintf(facts->why, sizeof(facts->why), "%s", why);
	ERR_clear_error();
	return ERR_SYNTAX;
}

/* The leaf, with the rest of the chain parsed, too. */
static X509 *
read_chain(const struct buf *chain, struct certificate_facts *facts)
{
	BIO *bio = BIO_new_mem_buf(chain->data, (int)chain->len);
	X509 *leaf, *other;

	leaf = bio != NULL ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
	if (leaf == NULL)
		fail(facts, "the certificate file holds no PEM certificate");
	while (leaf != NULL && (other = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL)
		X509_free(other);
	if (leaf != NULL && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		X509_free(leaf);
		leaf = NULL;
		fail(facts, "a certificate of the chain behind the first one is broken");
	}
	ERR_clear_error();
	BIO_free(bio);
	return leaf;
}

static EVP_PKEY *
read_key(const struct buf *key, struct certificate_facts *facts)
{
	BIO *bio = BIO_new_mem_buf(key->data, (int)key->len);
	EVP_PKEY *pkey = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

	if (pkey == NULL)
		fail(facts, memmem(key->data, key->len, "ENCRYPTED", 9) != NULL ?
		    "the key is encrypted: write it without a pass phrase (openssl pkey -in FILE -out NEW)" :
		    "the key file holds no PEM private key");
	BIO_free(bio);
	return pkey;
}

static bool
is_kind_known(EVP_PKEY *pkey)
{
	char group[32] = "";
	size_t n;

	if (EVP_PKEY_is_a(pkey, "RSA"))
		return EVP_PKEY_get_bits(pkey) >= 2048;
	return EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, group, sizeof(group), &n) == 1 &&
	    (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0 ||
	    strcmp(group, "secp521r1") == 0);
}

static void
doubt(struct certificate_facts *facts, const X509 *leaf, const char *hostname)
{
	if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0)
		snprintf(facts->warning, sizeof(facts->warning), "the certificate has expired");
	else if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0)
		snprintf(facts->warning, sizeof(facts->warning), "the certificate is not valid yet");
	else if (hostname != NULL && X509_check_host((X509 *)leaf, hostname, 0, 0, NULL) != 1)
		snprintf(facts->warning, sizeof(facts->warning), "the certificate does not name %.255s", hostname);
}

int
certificate_check(const struct buf *chain, const struct buf *key, const char *hostname, struct certificate_facts *facts)
{
	EVP_PKEY *pkey = NULL;
	int err = ERR_SYNTAX;
	X509 *leaf;

	*facts = (struct certificate_facts){ .why = "" };
	if ((leaf = read_chain(chain, facts)) == NULL || (pkey = read_key(key, facts)) == NULL)
		goto out;
	if (!is_kind_known(pkey)) {
		fail(facts, "the key is none of RSA (2048 bits or more), ECDSA P-256, P-384, P-521");
		goto out;
	}
	if (X509_check_private_key(leaf, pkey) != 1) {
		fail(facts, "certificate and key do not belong together");
		goto out;
	}
	doubt(facts, leaf, hostname);
	err = ERR_OK;
out:
	ERR_clear_error();
	X509_free(leaf);
	EVP_PKEY_free(pkey);
	return err;
}

static bool
add_extension(X509 *leaf, int nid, const char *value)
{
	X509_EXTENSION *e;
	X509V3_CTX ctx;
	bool ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, leaf, leaf, NULL, NULL, 0);
	if ((e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value)) == NULL)
		return false;
	ok = X509_add_ext(leaf, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

/* RFC 5280, 4.1.2.2: positive, at most 20 octets. */
static bool
set_serial(X509 *leaf)
{
	BIGNUM *n = BN_new();
	bool ok = n != NULL && BN_rand(n, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
	    BN_to_ASN1_INTEGER(n, X509_get_serialNumber(leaf)) != NULL;

	BN_free(n);
	return ok;
}

static bool
fill(X509 *leaf, EVP_PKEY *pkey, const char *hostname)
{
	X509_NAME *name = X509_get_subject_name(leaf);
	char san[300];

	if (str_fmt(san, sizeof(san), "DNS:%s", hostname) != ERR_OK || X509_set_version(leaf, X509_VERSION_3) != 1 ||
	    !set_serial(leaf))
		return false;
	/* An hour back: clients' clocks are not all right. */
	if (X509_gmtime_adj(X509_getm_notBefore(leaf), -3600) == NULL ||
	    X509_time_adj_ex(X509_getm_notAfter(leaf), LIFETIME_DAYS, 0, NULL) == NULL)
		return false;
	if (strlen(hostname) <= CN_MAX &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)hostname, -1, -1, 0) != 1)
		return false;
	return X509_set_issuer_name(leaf, name) == 1 && X509_set_pubkey(leaf, pkey) == 1 &&
	    add_extension(leaf, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_extension(leaf, NID_key_usage, "critical,digitalSignature") &&
	    add_extension(leaf, NID_ext_key_usage, "serverAuth") &&
	    add_extension(leaf, NID_subject_alt_name, san) &&
	    add_extension(leaf, NID_subject_key_identifier, "hash") &&
	    X509_sign(leaf, pkey, EVP_sha256()) > 0;
}

static int
take(BIO *bio, struct buf *to)
{
	char *data;
	long n = BIO_get_mem_data(bio, &data);

	return n > 0 ? buf_put(to, data, (size_t)n) : ERR_SYSTEM;
}

int
certificate_make(const char *hostname, struct buf *chain, struct buf *key)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *leaf = X509_new();
	BIO *a = BIO_new(BIO_s_mem()), *b = BIO_new(BIO_s_secmem());
	int err = ERR_SYSTEM;

	if (pkey == NULL || leaf == NULL || a == NULL || b == NULL || !fill(leaf, pkey, hostname))
		goto out;
	if (PEM_write_bio_X509(a, leaf) != 1 || PEM_write_bio_PrivateKey(b, pkey, NULL, NULL, 0, NULL, NULL) != 1)
		goto out;
	if ((err = take(a, chain)) == ERR_OK)
		err = take(b, key);
out:
	ERR_clear_error();
	BIO_free(a);
	BIO_free(b);
	X509_free(leaf);
	EVP_PKEY_free(pkey);
	return err;
}
