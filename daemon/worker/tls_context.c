/*
 * What TLS sessions have in common, made once in the master: settings, certificate chains, and OpenSSL warmed up. Runs with
 * the master's rights before workers are forked. Invariant: no private key is read; no configuration file of OpenSSL's is
 * read, so that a system's openssl.cnf neither changes nor breaks us; what is loaded at first use is loaded here.
 */
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "err.h"
#include "io.h"
#include "mem.h"
#include "provider.h"
#include "tls_context.h"

#define CHAIN_MAX (256 * 1024)
#define RSA_BITS_MIN 2048

/* Of this process and, once forked, of its workers; lives as long as they do. */
static OSSL_LIB_CTX *library;

static int
open_library(void)
{
	OSSL_LIB_CTX *l;

	if (library != NULL)
		return ERR_OK;
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
	    NULL) != 1 || (l = OSSL_LIB_CTX_new()) == NULL)
		return ERR_SYSTEM;
	if (provider_load(l) != ERR_OK) {
		OSSL_LIB_CTX_free(l);
		return ERR_SYSTEM;
	}
	library = l;
	return ERR_OK;
}

/* What every session has in common, but for certificate and key. */
static SSL_CTX *
make_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new_ex(library, NULL, TLS_server_method());

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	    SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_security_level(ctx, 2);
	/* Signature algorithms: those that postern-keys signs, no SHA-1, no SHA-224. */
	if (SSL_CTX_set_num_tickets(ctx, 0) == 1 && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set_cipher_list(ctx, "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
	    SSL_CTX_set_ciphersuites(ctx,
	    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1 &&
	    SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384:P-521") == 1 &&
	    SSL_CTX_set1_sigalgs_list(ctx, "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:RSA-PSS+SHA256:RSA-PSS+SHA384:"
	    "RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512") == 1)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* Reads the file into a memory BIO of its own; text must outlive it. */
static int
open_chain(const struct tls_file *file, BIO **bio, char *why, size_t size)
{
	const char *path = file->path;
	static char text[CHAIN_MAX];
	static const char key_label[] = "PRIVATE KEY-----";
	size_t used = 0;
	ssize_t n;
	int fd, err;

	/* Links are followed: certificates are public, and certbot's are links. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) < 0) {
		err = errno == EACCES ? ERR_DENIED : io_error();
		if (err == ERR_NOTFOUND)
			snprintf(why, size, "certificate %s: no such file; run smtpadm setup, or name it with %s", path,
			    file->setting);
		else
			snprintf(why, size, "certificate %s: %s", path, strerror(errno));
		return err;
	}
	while ((n = read(fd, text + used, sizeof(text) - used)) > 0)
		used += (size_t)n;
	io_close(&fd);
	if (n < 0 || used == sizeof(text)) {
		snprintf(why, size, "certificate %s: %s", path, n < 0 ? strerror(errno) : "longer than 256 KiB");
		return n < 0 ? ERR_SYSTEM : ERR_SYNTAX;
	}
	if (memmem(text, used, key_label, strlen(key_label)) != NULL) {
		mem_wipe(text, used);
		snprintf(why, size, "certificate %s holds a private key too, which only postern-keys may see: "
		    "keep the key in a file of its own", path);
		return ERR_SYNTAX;
	}
	if ((*bio = BIO_new_mem_buf(text, (int)used)) != NULL)
		return ERR_OK;
	snprintf(why, size, "certificate %s: %s", path, err_text(ERR_NOMEM));
	return ERR_SYSTEM;
}

static int
refuse(const struct tls_file *file, size_t n, char *why, size_t size)
{
	snprintf(why, size, "certificate %s: certificate %zu in it is not in PEM form or can't be served: mend the file, "
	    "or name another with %s", file->path, n, file->setting);
	return ERR_SYNTAX;
}

/* The next certificate of the file, or NULL at its end; *bad when what stands there is none. */
static X509 *
read_certificate(BIO *bio, bool *bad)
{
	X509 *x = X509_new_ex(library, NULL);

	ERR_clear_error();
	if (x != NULL && PEM_read_bio_X509(bio, &x, NULL, NULL) != NULL)
		return x;
	*bad = ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;
	ERR_clear_error();
	X509_free(x);
	return NULL;
}

/* The chain of this file into its context: the leaf is its certificate, the rest stands behind it. */
static int
use_chain(struct tls_entry *e, BIO *bio, const struct tls_file *file, char *why, size_t size)
{
	bool bad = false, done = SSL_CTX_use_certificate(e->ctx, e->leaf) == 1;
	size_t n;
	X509 *x;

	for (n = 1; done && (x = read_certificate(bio, &bad)) != NULL; n++) {
		done = SSL_CTX_add1_chain_cert(e->ctx, x) == 1;
		X509_free(x);
	}
	if (done && !bad)
		return ERR_OK;
	return refuse(file, done ? n + 1 : n, why, size);
}

static bool
is_served(EVP_PKEY *public)
{
	static const char *const groups[] = { "prime256v1", "secp384r1", "secp521r1" };
	char group[64];

	if (EVP_PKEY_is_a(public, "RSA"))
		return EVP_PKEY_get_bits(public) >= RSA_BITS_MIN;
	if (!EVP_PKEY_is_a(public, "EC") || EVP_PKEY_get_group_name(public, group, sizeof(group), NULL) <= 0)
		return false;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (strcmp(group, groups[i]) == 0)
			return true;
	return false;
}

/* Starts a signature by each digest and never ends it: OpenSSL finds and keeps its way to the provider before the fork. */
static void
warm_provider(EVP_PKEY *key)
{
	static const char *const digests[] = { "SHA2-256", "SHA2-384", "SHA2-512" };

	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
		EVP_MD_CTX *md = EVP_MD_CTX_new();

		if (md != NULL)
			(void)EVP_DigestSignInit_ex(md, NULL, digests[i], library, NULL, key, NULL);
		EVP_MD_CTX_free(md);
	}
	ERR_clear_error();
}

static int
use_key(struct tls_entry *e, size_t index, const struct tls_file *file, char *why, size_t size)
{
	EVP_PKEY *public = X509_get0_pubkey(e->leaf), *key = NULL;
	unsigned char *der = NULL;
	int n, err = ERR_SYSTEM;

	if ((n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(e->leaf), &der)) > 0) {
		SHA256(der, (size_t)n, e->digest);
		OPENSSL_free(der);
		if (provider_make_key(library, public, (unsigned)index, &key) == ERR_OK &&
		    SSL_CTX_use_PrivateKey(e->ctx, key) == 1) {
			warm_provider(key);
			err = ERR_OK;
		}
	}
	EVP_PKEY_free(key);
	if (err != ERR_OK)
		snprintf(why, size, "certificate %s: OpenSSL can't serve it: %s", file->path,
		    ERR_reason_error_string(ERR_peek_last_error()));
	ERR_clear_error();
	return err;
}

/* An earlier entry with the same names and the other kind of key shares its context: OpenSSL chooses by what the client can. */
static SSL_CTX *
find_context(const struct tls_shared *s, const X509 *leaf)
{
	const char *kind = EVP_PKEY_get0_type_name(X509_get0_pubkey(leaf));

	for (size_t i = 0; i < s->n; i++) {
		const struct tls_entry *e = &s->entries[i];
		bool taken = EVP_PKEY_is_a(X509_get0_pubkey(e->leaf), kind);

		for (size_t j = 0; j < s->n; j++)
			taken = taken || (j != i && s->entries[j].ctx == e->ctx);
		if (!taken && tls_has_same_names(e->leaf, leaf)) {
			SSL_CTX_up_ref(e->ctx);
			return e->ctx;
		}
	}
	return make_context();
}

static int
choose(SSL *ssl, int *alert, void *arg)
{
	const struct tls_shared *s = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct tls_entry *e = &s->entries[0];

	(void)alert;
	if (name != NULL)
		e = tls_find_name(s, name);
	if (e->ctx == s->entries[0].ctx)
		return SSL_TLSEXT_ERR_NOACK;
	return SSL_set_SSL_CTX(ssl, e->ctx) != NULL ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int
load(struct tls_shared *s, const struct tls_file *file, char *why, size_t size)
{
	struct tls_entry *e = &s->entries[s->n];
	EVP_PKEY *public;
	BIO *bio = NULL;
	bool bad;
	int err;

	if ((err = open_chain(file, &bio, why, size)) != ERR_OK)
		return err;
	if ((e->leaf = read_certificate(bio, &bad)) == NULL) {
		err = refuse(file, 1, why, size);
	} else if ((public = X509_get0_pubkey(e->leaf)) == NULL || !is_served(public)) {
		snprintf(why, size, "certificate %s has a key of a kind that is not served: use EC P-256, P-384, P-521, or RSA "
		    "from %d bits", file->path, RSA_BITS_MIN);
		err = ERR_SYNTAX;
	} else if ((e->ctx = find_context(s, e->leaf)) == NULL) {
		snprintf(why, size, "OpenSSL can't be started: %s", ERR_reason_error_string(ERR_peek_last_error()));
		err = ERR_SYSTEM;
	} else if ((err = use_chain(e, bio, file, why, size)) == ERR_OK) {
		err = use_key(e, s->n, file, why, size);
	}
	BIO_free(bio);
	s->n++;
	return err;
}

int
tls_prepare(struct tls_shared **shared, const struct tls_file *files, size_t n, char *why, size_t size)
{
	struct tls_shared *s;
	int err = ERR_OK;

	*shared = NULL;
	if (open_library() != ERR_OK || (s = calloc(1, sizeof(*s))) == NULL) {
		snprintf(why, size, "OpenSSL can't be started: %s", ERR_reason_error_string(ERR_peek_last_error()));
		return ERR_SYSTEM;
	}
	for (size_t i = 0; err == ERR_OK && i < n; i++)
		err = load(s, &files[i], why, size);
	if (err != ERR_OK) {
		tls_release(s);
		return err;
	}
	if (n > 1) {
		SSL_CTX_set_tlsext_servername_callback(s->entries[0].ctx, choose);
		SSL_CTX_set_tlsext_servername_arg(s->entries[0].ctx, s);
	}
	*shared = s;
	return ERR_OK;
}

void
tls_release(struct tls_shared *shared)
{
	for (size_t i = 0; shared != NULL && i < shared->n; i++) {
		SSL_CTX_free(shared->entries[i].ctx);
		X509_free(shared->entries[i].leaf);
	}
	free(shared);
}

void
tls_public_digest(const struct tls_shared *shared, size_t i, uint8_t digest[32])
{
	memcpy(digest, shared->entries[i].digest, sizeof(shared->entries[i].digest));
}

int64_t
tls_expiry(const struct tls_shared *shared, size_t i)
{
	struct tm tm;

	return ASN1_TIME_to_tm(X509_get0_notAfter(shared->entries[i].leaf), &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* Warming up. */

static X509 *
make_throwaway(EVP_PKEY *key)
{
	X509 *x = X509_new_ex(library, NULL);

	if (x != NULL && X509_set_pubkey(x, key) == 1 && X509_gmtime_adj(X509_getm_notBefore(x), 0) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(x), 60) != NULL && X509_sign(x, key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

/* One handshake and an octet each way, in memory. */
static void
shake_hands(SSL_CTX *server_ctx, SSL_CTX *client_ctx, int version, const char *group)
{
	SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
	BIO *a = NULL, *b = NULL;
	char octet = 0;

	if (server != NULL && client != NULL && BIO_new_bio_pair(&a, 0, &b, 0) == 1) {
		SSL_set_bio(server, a, a);
		SSL_set_bio(client, b, b);
		SSL_set_max_proto_version(client, version);
		SSL_set1_groups_list(client, group);
		SSL_set_accept_state(server);
		SSL_set_connect_state(client);
		/* A handshake takes two rounds each; what is not done then never will be. */
		for (int i = 0; i < 4; i++) {
			SSL_do_handshake(client);
			SSL_do_handshake(server);
		}
		SSL_write(client, &octet, 1);
		SSL_read(server, &octet, 1);
		SSL_write(server, &octet, 1);
		SSL_read(client, &octet, 1);
	}
	SSL_free(server);
	SSL_free(client);
	ERR_clear_error();
}

void
tls_warm_up(void)
{
	EVP_PKEY *key = NULL;
	X509 *x = NULL;
	SSL_CTX *server = NULL, *client = NULL;

	if (open_library() == ERR_OK && (key = EVP_PKEY_Q_keygen(library, NULL, "EC", "P-256")) != NULL &&
	    (x = make_throwaway(key)) != NULL && (server = make_context()) != NULL &&
	    (client = SSL_CTX_new_ex(library, NULL, TLS_client_method())) != NULL &&
	    SSL_CTX_use_certificate(server, x) == 1 && SSL_CTX_use_PrivateKey(server, key) == 1) {
		shake_hands(server, client, TLS1_3_VERSION, "X25519");
		shake_hands(server, client, TLS1_3_VERSION, "P-256");
		shake_hands(server, client, TLS1_2_VERSION, "X25519");
	}
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	X509_free(x);
	EVP_PKEY_free(key);
	ERR_clear_error();
}
