/*
 * Several certificates: which one a client gets by the name that it asks for, and that its key signs, with a key service that
 * holds them all.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "err.h"
#include "keys_fixture.h"
#include "tls.h"
#include "tls_fixture.h"
#include "unit.h"

static bool
is_key(const X509 *x, const uint8_t digest[32])
{
	unsigned char *der = NULL, found[32];
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);

	SHA256(der, n > 0 ? (size_t)n : 0, found);
	OPENSSL_free(der);
	return memcmp(found, digest, sizeof(found)) == 0;
}

/* Which of four certificates a name gets: the default one, two kinds of key for the same names, a wildcard. */
static void
test_server_names(void **state)
{
	static const char *const sans[] = {
		"DNS:mail.example.org", "DNS:a.example.net,DNS:b.example.net", "DNS:a.example.net,DNS:b.example.net",
		"DNS:*.example.com,DNS:f*.example.edu,IP:192.0.2.1",
	};
	static const struct {
		const char	*name;		/* NULL: none is asked for */
		const char	*sigalgs;
		size_t		 expected;	/* in sans[] */
	} rows[] = {
		{ NULL, NULL, 0 }, { "mail.example.org", NULL, 0 }, { "other.example.org", NULL, 0 },
		{ "a.example.net", "ECDSA+SHA256", 1 }, { "b.example.net", NULL, 1 }, { "B.EXAMPLE.NET", NULL, 1 },
		{ "a.example.net", "RSA-PSS+SHA256", 2 }, { "a.example.net.", NULL, 1 },
		{ "x.example.com", NULL, 3 }, { "x.y.example.com", NULL, 0 }, { "example.com", NULL, 0 }, { ".example.com", NULL, 0 },
		{ "foo.example.edu", NULL, 0 },		/* half a label is no wildcard */
		{ "c.example.net", NULL, 0 }, { "192.0.2.1", NULL, 0 }, { "*.example.com", NULL, 3 },
	};
	struct keys_fixture f[COUNT(sans)];
	struct tls_file files[COUNT(sans)];
	struct tls_shared *s;
	char why[1024];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < COUNT(sans); i++) {
		keys_fixture_open_for(&f[i], i == 2 ? "RSA" : "EC", 2048, i == 2 ? NULL : "P-256", sans[i]);
		files[i] = (struct tls_file){ .path = f[i].certificate_file, .setting = "x" };
	}
	/* The service holds all keys, in the same order. */
	f[0].conf.ncertificates = COUNT(sans) - 1;
	for (size_t i = 1; i < COUNT(sans); i++) {
		struct conf_certificate *c = &f[0].conf.certificates[i - 1];

		snprintf(c->name, sizeof(c->name), "n%zu", i);
		snprintf(c->certificate, sizeof(c->certificate), "%.200s", f[i].certificate_file);
		snprintf(c->key, sizeof(c->key), "%.200s", f[i].key_file);
	}
	keys_fixture_serve(&f[0]);
	assert_int_equal(tls_prepare(&s, files, COUNT(files), why, sizeof(why)), ERR_OK);
	assert_true(tls_expiry(s, 3) > time(NULL) && tls_expiry(s, 3) <= time(NULL) + 3600);
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (int version = V2; version <= V3; version++) {
			SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
			int fds[2], keys_fd = keys_fixture_session(&f[0], 1000 + i);
			pid_t pid = tls_fixture_start(s, fds, keys_fd);
			uint8_t digest[32];
			SSL *ssl;
			X509 *x;

			close(keys_fd);
			SSL_CTX_set_min_proto_version(ctx, version);
			SSL_CTX_set_max_proto_version(ctx, version);
			check_row(i, rows[i].sigalgs == NULL || SSL_CTX_set1_sigalgs_list(ctx, rows[i].sigalgs) == 1);
			check_row(i, SSL_CTX_load_verify_file(ctx, f[rows[i].expected].certificate_file) == 1);
			ssl = SSL_new(ctx);
			SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
			check_row(i, SSL_set_fd(ssl, fds[1]) == 1);
			check_row(i, rows[i].name == NULL || SSL_set_tlsext_host_name(ssl, rows[i].name) == 1);
			if (SSL_connect(ssl) != 1)
				print_error("row %zu: %s\n", i, ERR_reason_error_string(ERR_peek_error()));
			check_row(i, SSL_is_init_finished(ssl));
			check_row(i, SSL_get_verify_result(ssl) == X509_V_OK);
			check_row(i, tls_fixture_is_echoed(ssl));
			x = SSL_get1_peer_certificate(ssl);
			tls_public_digest(s, rows[i].expected, digest);
			check_row(i, is_key(x, digest));
			X509_free(x);
			SSL_shutdown(ssl);
			SSL_free(ssl);
			close(fds[1]);
			check_row(i, tls_fixture_end(pid) == SERVED);
			SSL_CTX_free(ctx);
		}
	}
	assert_int_equal(keys_fixture_logged(&f[0], "\n"), 0);
	tls_release(s);
	/* One file that can't be served is named, and nothing is made. */
	files[2].path = "/nowhere.pem";
	assert_int_equal(tls_prepare(&s, files, COUNT(files), why, sizeof(why)), ERR_NOTFOUND);
	assert_null(s);
	assert_non_null(strstr(why, "/nowhere.pem"));
	for (size_t i = 0; i < COUNT(sans); i++)
		keys_fixture_close(&f[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_names),
	};

	return cmocka_run_group_tests_name("tls/names", tests, NULL, NULL);
}
