/*
 * smtpadm selftest tls: each pair of certificate and key does a handshake of TLS 1.2 and one of TLS 1.3 with itself. Runs with
 * the admin's rights, in memory: no socket, and nothing is changed. Invariant: keys are wiped.
 */
#include "command.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "buf.h"
#include "certificate.h"
#include "check.h"
#include "conf.h"
#include "err.h"
#include "selftest.h"
#include "setup.h"
#include "str.h"

#define STEPS_MAX 32	/* more than a handshake has flights */

static const struct table_column columns[] = {
	{ "CERTIFICATE", false, 0 }, { "PART", false, 0 }, { "RESULT", false, 0 }, { "", false, 20 },
};

static const struct {
	int		 version;
	const char	*name;
} versions[] = { { TLS1_2_VERSION, "TLSv1.2" }, { TLS1_3_VERSION, "TLSv1.3" } };

static bool
use_pair(SSL_CTX *ctx, const struct buf *chain, const struct buf *key)
{
	BIO *from = BIO_new_mem_buf(chain->data, (int)chain->len), *secret = BIO_new_mem_buf(key->data, (int)key->len);
	X509 *leaf = from != NULL ? PEM_read_bio_X509(from, NULL, NULL, NULL) : NULL, *other;
	EVP_PKEY *pkey = secret != NULL ? PEM_read_bio_PrivateKey(secret, NULL, NULL, NULL) : NULL;
	bool good = leaf != NULL && pkey != NULL && SSL_CTX_use_certificate(ctx, leaf) == 1 &&
	    SSL_CTX_use_PrivateKey(ctx, pkey) == 1 && SSL_CTX_check_private_key(ctx) == 1;

	while (good && (other = PEM_read_bio_X509(from, NULL, NULL, NULL)) != NULL)
		if ((good = SSL_CTX_add0_chain_cert(ctx, other) == 1) == false)
			X509_free(other);
	if (good)
		ERR_clear_error();	/* the end of the chain */
	X509_free(leaf);
	EVP_PKEY_free(pkey);
	BIO_free(from);
	BIO_free(secret);
	return good;
}

static bool
shake(SSL *server, SSL *client)
{
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	for (int i = 0; i < STEPS_MAX; i++) {
		int c = SSL_do_handshake(client), s = SSL_do_handshake(server);

		if (c == 1 && s == 1)
			return true;
		if ((c != 1 && SSL_get_error(client, c) != SSL_ERROR_WANT_READ) ||
		    (s != 1 && SSL_get_error(server, s) != SSL_ERROR_WANT_READ))
			return false;
	}
	return false;
}

static void
test_version(struct selftest *t, const char *name, size_t v, const struct buf *chain, const struct buf *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method()), *client_ctx = SSL_CTX_new(TLS_client_method());
	SSL *server = NULL, *client = NULL;
	BIO *left = NULL, *right = NULL;
	char text[256] = "";
	bool good = ctx != NULL && client_ctx != NULL;

	ERR_clear_error();
	if (good)
		SSL_CTX_set_security_level(ctx, 2);	/* as the service has it */
	good = good && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set_min_proto_version(client_ctx, versions[v].version) == 1 &&
	    SSL_CTX_set_max_proto_version(client_ctx, versions[v].version) == 1 && use_pair(ctx, chain, key) &&
	    (server = SSL_new(ctx)) != NULL && (client = SSL_new(client_ctx)) != NULL &&
	    BIO_new_bio_pair(&left, 0, &right, 0) == 1;
	if (good) {
		SSL_set_bio(server, left, left);
		SSL_set_bio(client, right, right);
		good = shake(server, client) && SSL_version(client) == versions[v].version;
	}
	if (good)
		str_fmt(text, sizeof(text), "%s", SSL_get_cipher_name(client));
	else
		ERR_error_string_n(ERR_peek_error(), text, sizeof(text));
	selftest_add(t, name, versions[v].name, good ? "ok" : "fault", text);
	SSL_free(server);
	SSL_free(client);
	SSL_CTX_free(ctx);
	SSL_CTX_free(client_ctx);
	ERR_clear_error();
}

static void
test_pair(struct selftest *t, const struct conf_pair *p)
{
	const char *name = p->name[0] != 0 ? p->name : "default";
	char chain_path[PATH_MAX], key_path[PATH_MAX];
	struct certificate_facts facts = { .why = "" };
	struct buf chain, key;
	mode_t mode;

	buf_init(&chain, CERTIFICATE_FILE_MAX);
	buf_init(&key, CERTIFICATE_FILE_MAX);
	if (check_pair(t->a, p, &chain, &facts, NULL) != EX_OK) {
		selftest_add(t, name, "pair", "fault", facts.why[0] != 0 ? facts.why : "it can't be used, see above");
		goto out;
	}
	selftest_add(t, name, "pair", "ok", facts.warning[0] != 0 ? facts.warning : "certificate and key match");
	buf_free(&chain);
	buf_init(&chain, CERTIFICATE_FILE_MAX);
	if (instance_file(&t->a->in, p->certificate, chain_path) != ERR_OK ||
	    instance_file(&t->a->in, p->key, key_path) != ERR_OK || setup_read_given(chain_path, &chain, &mode) != EX_OK ||
	    setup_read_given(key_path, &key, &mode) != EX_OK) {
		selftest_add(t, name, "pair", "fault", "the files can't be read any more");
		goto out;
	}
	for (size_t v = 0; v < sizeof(versions) / sizeof(versions[0]); v++)
		test_version(t, name, v, &chain, &key);
out:
	buf_free(&chain);
	buf_wipe(&key);
}

int
cmd_selftest_tls(struct admin *a)
{
	struct selftest t = { .a = a };
	static struct conf c;
	struct conf_pair pair;
	int code;

	if ((code = admin_load_conf(a, &c)) != EX_OK)
		return code;
	table_open(&t.table, columns, sizeof(columns) / sizeof(columns[0]));
	if (conf_needs_tls(&c))
		for (size_t i = 0; conf_pair(&c, i, &pair); i++)
			test_pair(&t, &pair);
	else
		selftest_add(&t, "default", "pair", "off", "no listener has TLS");
	table_print(&t.table);
	if (!t.failed)
		return EX_OK;
	out_fix("smtpadm tls check");
	return out_fail(EX_NO, "fault", "a certificate has a fault");
}
