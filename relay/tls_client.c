/*
 * What outbound TLS sessions have in common, made once by postern-relay with the rights it was started with: settings, the
 * authorities to verify by, and OpenSSL warmed up. Invariant: no configuration file of OpenSSL's is read; what is loaded at first
 * use is loaded here, since a session process can open nothing.
 */
#include "tls_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "err.h"
#include "tls.h"

/* Where systems keep the certificates of public authorities in one file: Debian, Fedora, Alpine and OpenBSD, FreeBSD. */
static const char *const system_files[] = {
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
	"/usr/local/share/certs/ca-root-nss.crt",
};

static int
open_library(void)
{
	return OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
	    NULL) == 1 ? ERR_OK : ERR_SYSTEM;
}

static SSL_CTX *
make_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	    SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 1);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 && SSL_CTX_set_cipher_list(ctx,
	    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:!aNULL:!eNULL") == 1)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

static const char *
find_system_file(void)
{
	for (size_t i = 0; i < sizeof(system_files) / sizeof(system_files[0]); i++)
		if (access(system_files[i], R_OK) == 0)
			return system_files[i];
	return NULL;
}

int
tls_prepare(struct tls_client **client, const char *path, char *why, size_t size)
{
	struct tls_client *c = calloc(1, sizeof(*c));
	int err = ERR_SYSTEM;

	*client = NULL;
	if (c == NULL || open_library() != ERR_OK || (c->ctx = make_context()) == NULL) {
		snprintf(why, size, "OpenSSL can't be started: %s", ERR_reason_error_string(ERR_peek_last_error()));
	} else if (path[0] == 0 && (path = find_system_file()) == NULL) {
		snprintf(why, size, "no file of public certificate authorities is known on this system: install ca-certificates, or name "
		    "one with the route's ca");
		err = ERR_NOTFOUND;
		*client = c;
		return err;
	} else if (access(path, R_OK) != 0) {
		snprintf(why, size, "certificates %s: %s; name another file with the route's ca", path, strerror(errno));
		err = ERR_NOTFOUND;
	} else if (SSL_CTX_load_verify_file(c->ctx, path) != 1) {
		snprintf(why, size, "certificates %s: no certificate in PEM form can be read from it; name another file with the "
		    "route's ca", path);
		err = ERR_SYNTAX;
	} else {
		err = ERR_OK;
	}
	ERR_clear_error();
	if (err == ERR_OK) {
		*client = c;
		return err;
	}
	if (c != NULL)
		SSL_CTX_free(c->ctx);
	free(c);
	return err;
}

/* Warming up. */

static X509 *
make_throwaway(EVP_PKEY *key)
{
	X509 *x = X509_new();

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

/* What SCRAM and its nonces need. */
static void
warm_digests(void)
{
	const EVP_MD *const digests[] = { EVP_sha256(), EVP_sha1() };
	uint8_t out[32] = { 0 };
	unsigned len;

	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
		PKCS5_PBKDF2_HMAC("", 0, out, sizeof(out), 1, digests[i], EVP_MD_get_size(digests[i]), out);
		HMAC(digests[i], "", 0, out, sizeof(out), out, &len);
		EVP_Digest("", 0, out, &len, digests[i], NULL);
	}
	RAND_bytes(out, sizeof(out));
}

void
tls_warm_up(void)
{
	SSL_CTX *server = NULL, *client = NULL;
	EVP_PKEY *key = NULL;
	X509 *x = NULL;

	if (open_library() != ERR_OK)
		return;
	warm_digests();
	if ((key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")) != NULL && (x = make_throwaway(key)) != NULL &&
	    (server = SSL_CTX_new(TLS_server_method())) != NULL && (client = make_context()) != NULL &&
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
