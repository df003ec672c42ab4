/*
 * The worker's TLS with a real client on the other side and a real key service behind: handshakes of each version and kind
 * of key, under a system call filter as tight as the worker's, and what may go wrong.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "err.h"
#include "ipc.h"
#include "keys_fixture.h"
#include "tls.h"
#include "tls_fixture.h"
#include "unit.h"

static struct keys_fixture keys[5];
static struct tls_shared *shared[COUNT(keys)];

static int
prepare(struct tls_shared **s, const char *path, char *why, size_t size)
{
	const struct tls_file file = { .path = path, .setting = "tls.certificate" };

	return tls_prepare(s, &file, 1, why, size);
}

struct client {
	const char	*name;
	size_t		 key;		/* in keys[] */
	int		 min, max;	/* versions */
	const char	*sigalgs;	/* NULL: OpenSSL's own */
	const char	*groups;
	int		 signature;	/* the kind expected, by NID */
	int		 digest;
};

static const struct client clients[] = {
	{ "1.3 P-256", 0, V3, V3, NULL, NULL, EVP_PKEY_EC, NID_sha256 },
	{ "1.3 P-384", 1, V3, V3, NULL, NULL, EVP_PKEY_EC, NID_sha384 },
	{ "1.3 P-521", 2, V3, V3, NULL, NULL, EVP_PKEY_EC, NID_sha512 },
	{ "1.3 RSA-2048", 3, V3, V3, NULL, NULL, EVP_PKEY_RSA_PSS, NID_sha256 },
	{ "1.3 RSA-2048 SHA-384", 3, V3, V3, "RSA-PSS+SHA384", NULL, EVP_PKEY_RSA_PSS, NID_sha384 },
	{ "1.3 RSA-3072 SHA-512", 4, V3, V3, "RSA-PSS+SHA512", NULL, EVP_PKEY_RSA_PSS, NID_sha512 },
	{ "1.3 hello retry", 0, V3, V3, NULL, "X448:P-384", EVP_PKEY_EC, NID_sha256 },
	{ "1.2 P-256", 0, V2, V2, NULL, NULL, EVP_PKEY_EC, NID_sha256 },
	{ "1.2 P-256 SHA-512", 0, V2, V2, "ECDSA+SHA512", NULL, EVP_PKEY_EC, NID_sha512 },
	{ "1.2 P-256 over P-521", 0, V2, V2, NULL, "P-521:P-256", EVP_PKEY_EC, NID_sha256 },
	{ "1.2 P-384", 1, V2, V2, NULL, NULL, EVP_PKEY_EC, 0 },
	{ "1.2 P-521", 2, V2, V2, NULL, NULL, EVP_PKEY_EC, 0 },
	{ "1.2 RSA-2048 PSS", 3, V2, V2, NULL, NULL, EVP_PKEY_RSA_PSS, NID_sha256 },
	{ "1.2 RSA-2048 PKCS1", 3, V2, V2, "RSA+SHA256", NULL, EVP_PKEY_RSA, NID_sha256 },
	{ "1.2 RSA-2048 PKCS1 SHA-384", 3, V2, V2, "RSA+SHA384", NULL, EVP_PKEY_RSA, NID_sha384 },
	{ "1.2 RSA-3072 PKCS1 SHA-512", 4, V2, V2, "RSA+SHA512", "P-384", EVP_PKEY_RSA, NID_sha512 },
};

static SSL_CTX *
make_client(const struct client *c)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	assert_non_null(ctx);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	assert_int_equal(SSL_CTX_load_verify_file(ctx, keys[c->key].certificate_file), 1);
	assert_int_equal(SSL_CTX_set_min_proto_version(ctx, c->min), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(ctx, c->max), 1);
	if (c->sigalgs != NULL)
		assert_int_equal(SSL_CTX_set1_sigalgs_list(ctx, c->sigalgs), 1);
	if (c->groups != NULL)
		assert_int_equal(SSL_CTX_set1_groups_list(ctx, c->groups), 1);
	return ctx;
}

static SSL *
connect_client(SSL_CTX *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);

	assert_non_null(ssl);
	assert_int_equal(SSL_set1_host(ssl, "mail.example.org"), 1);
	assert_int_equal(SSL_set_fd(ssl, fd), 1);
	return ssl;
}

static int
start(void **state)
{
	static const char *const curves[] = { "P-256", "P-384", "P-521" };
	char why[1024];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	tls_warm_up();
	for (size_t i = 0; i < COUNT(keys); i++) {
		if (i < 3)
			keys_fixture_open(&keys[i], "EC", 0, curves[i]);
		else
			keys_fixture_open(&keys[i], "RSA", i == 3 ? 2048 : 3072, NULL);
		keys_fixture_serve(&keys[i]);
		if (prepare(&shared[i], keys[i].certificate_file, why, sizeof(why)) != ERR_OK) {
			print_error("%s\n", why);
			return -1;
		}
	}
	return 0;
}

static int
end(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		tls_release(shared[i]);
		keys_fixture_close(&keys[i]);
	}
	return 0;
}

static void
test_handshakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(clients); i++) {
		const struct client *c = &clients[i];
		SSL_CTX *ctx = make_client(c);
		int fds[2], keys_fd = keys_fixture_session(&keys[c->key], i + 1), kind = 0, digest = 0;
		pid_t pid = tls_fixture_start(shared[c->key], fds, keys_fd);
		SSL *ssl = connect_client(ctx, fds[1]);

		close(keys_fd);
		if (SSL_connect(ssl) != 1) {
			print_error("%s: %s\n", c->name, ERR_reason_error_string(ERR_peek_error()));
			tls_fixture_end(pid);
			fail();
		}
		check_row(i, SSL_get_verify_result(ssl) == X509_V_OK);
		check_row(i, SSL_version(ssl) == c->max);
		check_row(i, SSL_get_peer_signature_type_nid(ssl, &kind) == 1 && kind == c->signature);
		check_row(i, SSL_get_peer_signature_nid(ssl, &digest) == 1 && (c->digest == 0 || digest == c->digest));
		check_row(i, tls_fixture_is_echoed(ssl));
		check_row(i, SSL_SESSION_is_resumable(SSL_get0_session(ssl)) == 0);
		check_row(i, c->max == V3 || SSL_get_secure_renegotiation_support(ssl) == 1);
		SSL_shutdown(ssl);
		SSL_free(ssl);
		close(fds[1]);
		check_row(i, tls_fixture_end(pid) == SERVED);
		check_row(i, keys_fixture_logged(&keys[c->key], "\n") == 0);
		SSL_CTX_free(ctx);
	}
}

static void
test_old_or_foreign_clients(void **state)
{
	static const struct {
		int		 min, max;
		const char	*ciphers;
		const char	*sigalgs;
	} rows[] = {
		{ TLS1_VERSION, TLS1_1_VERSION, "ALL:@SECLEVEL=0", NULL },
		{ V2, V2, "AES128-GCM-SHA256", NULL },			/* RSA key exchange */
		{ V2, V2, "ECDHE-RSA-AES128-SHA256", NULL },		/* CBC */
		{ V2, V2, "DHE-RSA-AES128-GCM-SHA256", NULL },
		{ V2, V2, "ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0", "RSA+SHA1" },
		{ V2, V2, "ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0", "RSA+SHA224" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct client c = { .key = 3, .min = rows[i].min, .max = rows[i].max, .sigalgs = rows[i].sigalgs };
		SSL_CTX *ctx = make_client(&c);
		int fds[2], keys_fd = keys_fixture_session(&keys[3], 100 + i);
		pid_t pid = tls_fixture_start(shared[3], fds, keys_fd);
		SSL *ssl = connect_client(ctx, fds[1]);

		close(keys_fd);
		check_row(i, SSL_set_cipher_list(ssl, rows[i].ciphers) == 1);
		check_row(i, SSL_connect(ssl) != 1);
		check_row(i, tls_fixture_end(pid) == -ERR_SYNTAX);
		SSL_free(ssl);
		close(fds[1]);
		SSL_CTX_free(ctx);
	}
	assert_int_equal(keys_fixture_logged(&keys[3], "\n"), 0);
}

static void
test_renegotiation(void **state)
{
	struct client c = { .key = 0, .min = V2, .max = V2 };
	SSL_CTX *ctx = make_client(&c);
	int fds[2], keys_fd = keys_fixture_session(&keys[0], 200);
	pid_t pid = tls_fixture_start(shared[0], fds, keys_fd);
	SSL *ssl = connect_client(ctx, fds[1]);

	(void)state;
	close(keys_fd);
	assert_int_equal(SSL_connect(ssl), 1);
	SSL_renegotiate(ssl);
	assert_int_not_equal(SSL_do_handshake(ssl), 1);
	SSL_free(ssl);
	close(fds[1]);
	assert_int_not_equal(tls_fixture_end(pid), SERVED);
	SSL_CTX_free(ctx);
}

/* A client that sends octets and goes, or says nothing. */
static void
test_broken_clients(void **state)
{
	static const struct {
		const char	*p;
		size_t		 n;
		bool		 stays;
		int		 err;
	} rows[] = {
		{ TEXT(""), false, ERR_CLOSED },
		{ TEXT("\x16\x03\x01"), false, ERR_CLOSED },
		{ TEXT("EHLO there\r\n"), true, ERR_SYNTAX },
		{ TEXT("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"), true, ERR_SYNTAX },
		{ TEXT("\x16\x03\x01"), true, ERR_TIMEOUT },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int fds[2], keys_fd = keys_fixture_session(&keys[0], 300 + i), status;
		pid_t pid = tls_fixture_start(shared[0], fds, keys_fd);

		close(keys_fd);
		check_row(i, write(fds[1], rows[i].p, rows[i].n) == (ssize_t)rows[i].n);
		if (!rows[i].stays)
			close(fds[1]);
		status = tls_fixture_end(pid);
		if (status != -rows[i].err)
			print_error("status %d\n", status);
		check_row(i, status == -rows[i].err);
		if (rows[i].stays)
			close(fds[1]);
	}
}

/* No key service behind, or one that refuses, since the session had its signature. */
static void
test_no_signature(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct client c = { .key = 0, .min = V3, .max = V3 };
		SSL_CTX *ctx = make_client(&c);
		int fds[2], pair[2];
		pid_t pid;
		SSL *ssl;

		assert_int_equal(ipc_pair(pair), ERR_OK);
		if (i == 1) {
			struct ipc_sign_answer refusal = { .signature_len = 0 };
			struct wire_out w;
			uint8_t data[64];

			wire_out_init(&w, data, sizeof(data));
			ipc_put_sign_answer(&w, &refusal);
			assert_int_equal(ipc_send(pair[1], &w, NULL, 0, true), ERR_OK);
		} else {
			close(pair[1]);
		}
		pid = tls_fixture_start(shared[0], fds, pair[0]);
		ssl = connect_client(ctx, fds[1]);
		check_row(i, SSL_connect(ssl) != 1);
		check_row(i, tls_fixture_end(pid) == -ERR_SYSTEM);
		SSL_free(ssl);
		close(fds[1]);
		close(pair[0]);
		if (i == 1)
			close(pair[1]);
		SSL_CTX_free(ctx);
	}
}

/* A service with another key than the certificate's: the client notices. */
static void
test_wrong_key(void **state)
{
	struct client c = { .key = 3, .min = V3, .max = V3 };
	SSL_CTX *ctx = make_client(&c);
	int fds[2], keys_fd = keys_fixture_session(&keys[4], 400);
	pid_t pid = tls_fixture_start(shared[3], fds, keys_fd);
	SSL *ssl = connect_client(ctx, fds[1]);

	(void)state;
	close(keys_fd);
	assert_int_not_equal(SSL_connect(ssl), 1);
	SSL_free(ssl);
	close(fds[1]);
	assert_int_not_equal(tls_fixture_end(pid), SERVED);
	SSL_CTX_free(ctx);
}

static void
test_prepare_refuses(void **state)
{
	struct keys_fixture f;
	struct tls_shared *s;
	char why[1024];

	(void)state;
	assert_int_equal(prepare(&s, "/nowhere/certificate.pem", why, sizeof(why)), ERR_NOTFOUND);
	assert_null(s);
	assert_non_null(strstr(why, "/nowhere/certificate.pem: no such file; run smtpadm setup"));
	assert_int_equal(prepare(&s, "/dev/null", why, sizeof(why)), ERR_SYNTAX);
	assert_int_equal(prepare(&s, keys[0].key_file, why, sizeof(why)), ERR_SYNTAX);
	assert_non_null(strstr(why, "holds a private key"));
	keys_fixture_open(&f, "RSA", 1024, NULL);
	assert_int_equal(prepare(&s, f.certificate_file, why, sizeof(why)), ERR_SYNTAX);
	keys_fixture_close(&f);
	keys_fixture_open(&f, "EC", 0, "secp256k1");
	assert_int_equal(prepare(&s, f.certificate_file, why, sizeof(why)), ERR_SYNTAX);
	assert_non_null(strstr(why, f.certificate_file));
	keys_fixture_close(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_old_or_foreign_clients),
		cmocka_unit_test(test_renegotiation),
		cmocka_unit_test(test_broken_clients),
		cmocka_unit_test(test_no_signature),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_prepare_refuses),
	};

	return cmocka_run_group_tests_name("tls", tests, start, end);
}
