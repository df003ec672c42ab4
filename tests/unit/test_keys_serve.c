/*
 * postern-keys as its neighbours see it: what it loads and what it says when it can't; one signature a session; what a
 * worker under foreign control may try.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "err.h"
#include "io.h"
#include "ipc.h"
#include "key.h"
#include "keys_fixture.h"
#include "str.h"
#include "unit.h"

#define HEAD 98		/* pad, context, NUL of TLS 1.3 */

static struct keys_fixture ec, rsa;

static int
start(void **state)
{
	(void)state;
	keys_fixture_open(&ec, "EC", 0, "P-256");
	keys_fixture_open(&rsa, "RSA", 2048, NULL);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	keys_fixture_close(&ec);
	keys_fixture_close(&rsa);
	return 0;
}

static int
load(const struct keys_fixture *f, char why[1024])
{
	struct conf_pair pair;
	struct key k;
	int err;

	assert_true(conf_pair(&f->conf, 0, &pair));
	err = key_load(&k, &f->in, &pair, why, 1024);

	if (err == ERR_OK)
		key_release(&k);
	return err;
}

static void
test_load(void **state)
{
	char why[1024];

	(void)state;
	assert_int_equal(load(&ec, why), ERR_OK);
	assert_int_equal(load(&rsa, why), ERR_OK);
}

static void
test_load_refuses(void **state)
{
	struct keys_fixture f = ec;
	char why[1024];

	(void)state;
	str_fmt(f.conf.tls_key, sizeof(f.conf.tls_key), "none.pem");
	assert_int_equal(load(&f, why), ERR_NOTFOUND);
	assert_non_null(strstr(why, "/none.pem: no such file; run smtpadm setup, or name it with tls.key"));
	f = ec;
	str_fmt(f.conf.tls_certificate, sizeof(f.conf.tls_certificate), "none.pem");
	assert_int_equal(load(&f, why), ERR_NOTFOUND);
	assert_non_null(strstr(why, "tls.certificate"));
	f = ec;
	chmod(f.key_file, 0640);
	assert_int_equal(load(&f, why), ERR_DENIED);
	assert_non_null(strstr(why, "chmod 600 /tmp/"));
	chmod(f.key_file, 0600);
	str_fmt(f.conf.tls_certificate, sizeof(f.conf.tls_certificate), "%s", rsa.certificate_file);
	assert_int_equal(load(&f, why), ERR_CORRUPT);
	assert_non_null(strstr(why, "does not belong to certificate /tmp/"));
	f = ec;
	str_fmt(f.conf.tls_key, sizeof(f.conf.tls_key), "certificate.pem");
	assert_int_equal(load(&f, why), ERR_SYNTAX);
	f = ec;
	str_fmt(f.conf.tls_certificate, sizeof(f.conf.tls_certificate), "key.pem");
	assert_int_equal(load(&f, why), ERR_SYNTAX);
	str_fmt(f.conf.tls_key, sizeof(f.conf.tls_key), "link.pem");
	assert_int_equal(chdir(f.in.root), 0);
	assert_int_equal(symlink("key.pem", "link.pem"), 0);
	assert_int_equal(load(&f, why), ERR_DENIED);
	assert_non_null(strstr(why, "is a link"));
	unlink("link.pem");
	assert_int_equal(chdir("/"), 0);
}

static void
test_load_refuses_kinds(void **state)
{
	static const struct {
		const char	*kind;
		size_t		 bits;
		const char	*curve;
	} rows[] = { { "RSA", 1024, NULL }, { "EC", 0, "secp256k1" }, { "EC", 0, "P-224" } };
	char why[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct keys_fixture f;

		keys_fixture_open(&f, rows[i].kind, rows[i].bits, rows[i].curve);
		check_row(i, load(&f, why) == ERR_SYNTAX);
		check_row(i, strstr(why, f.key_file) != NULL);
		keys_fixture_close(&f);
	}
}

static void
test_load_refuses_passphrase(void **state)
{
	struct keys_fixture f;
	char why[1024];
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	FILE *file;

	(void)state;
	keys_fixture_open(&f, "EC", 0, "P-256");
	assert_non_null(file = fopen(f.key_file, "w"));
	assert_int_equal(PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), (const unsigned char *)"x", 1, NULL, NULL), 1);
	fclose(file);
	assert_int_equal(load(&f, why), ERR_SYNTAX);
	assert_non_null(strstr(why, "passphrase"));
	EVP_PKEY_free(key);
	keys_fixture_close(&f);
}

static size_t
make_text(uint8_t *text, const char *side)
{
	memset(text, ' ', 64);
	snprintf((char *)text + 64, HEAD - 64, "TLS 1.3, %s CertificateVerify", side);
	memset(text + HEAD, 0xa5, 32);
	return HEAD + 32;
}

static size_t
put_sign(uint8_t *data, size_t size, uint8_t key, enum sign_algorithm algorithm, const char *side)
{
	uint8_t text[HEAD + 32];
	struct ipc_sign m = { .key = key, .algorithm = algorithm, .text = text, .text_len = make_text(text, side) };
	struct wire_out w;

	wire_out_init(&w, data, size);
	ipc_put_sign(&w, &m);
	assert_int_equal(wire_out_end(&w), ERR_OK);
	return w.len;
}

/* Sends a datagram; the signature's length, 0 for a refusal, or the error. */
static int
ask(int fd, const uint8_t *data, size_t n, uint8_t *signature)
{
	struct wire_out w = { .data = (uint8_t *)(uintptr_t)data, .len = n, .size = n };
	struct ipc_sign_answer a;
	struct ipc_message m;
	uint8_t answer[2048];
	int err;

	if ((err = ipc_send(fd, &w, NULL, 0, true)) != ERR_OK)
		return err;
	if ((err = ipc_recv(fd, IPC_WORKER_FROM_KEYS, answer, sizeof(answer), true, &m)) != ERR_OK)
		return err;
	assert_int_equal(m.kind, IPC_SIGN_ANSWER);
	assert_int_equal(ipc_get_sign_answer(&m.body, &a), ERR_OK);
	memcpy(signature, a.signature, a.signature_len);
	return (int)a.signature_len;
}

/* The public key of the fixture, to check what was signed. */
static bool
is_signature(const struct keys_fixture *f, enum sign_algorithm a, const uint8_t *signature, size_t n)
{
	uint8_t text[HEAD + 32];
	size_t len = make_text(text, "server");
	FILE *file = fopen(f->certificate_file, "r");
	X509 *x = PEM_read_X509(file, NULL, NULL, NULL);
	bool good = key_verify(X509_get0_pubkey(x), a, text, len, signature, n);

	X509_free(x);
	fclose(file);
	return good;
}

static void
test_one_signature(void **state)
{
	uint8_t data[512], signature[IPC_SIGNATURE_MAX];
	size_t n = put_sign(data, sizeof(data), 0, SIGN_ECDSA_SHA256, "server");
	int fd, len;

	(void)state;
	keys_fixture_serve(&ec);
	fd = keys_fixture_session(&ec, 0x1001);
	assert_true((len = ask(fd, data, n, signature)) > 0);
	assert_true(is_signature(&ec, SIGN_ECDSA_SHA256, signature, (size_t)len));
	assert_int_equal(ask(fd, data, n, signature), ERR_CLOSED);
	close(fd);
	assert_int_equal(keys_fixture_stop(&ec), 0);
	assert_int_equal(keys_fixture_logged(&ec, "session=0000000000001001"), 1);
	assert_int_equal(keys_fixture_logged(&ec, "level=alarm"), 1);
	assert_int_equal(keys_fixture_logged(&ec, "second signature"), 1);
	unlink(ec.log_file);
}

static void
test_refused(void **state)
{
	static const struct {
		uint8_t			 key;
		enum sign_algorithm	 algorithm;
		const char		*side, *logged;
	} rows[] = {
		{ 0, SIGN_RSA_PSS_SHA256, "client", "the text is not a TLS server's" },
		{ 0, SIGN_RSA_PKCS1_SHA256, "server", "the algorithm does not fit" },
		{ 0, SIGN_ECDSA_SHA256, "server", "the algorithm does not fit" },
		{ 1, SIGN_RSA_PSS_SHA256, "server", "no such key" },
		{ 255, SIGN_RSA_PSS_SHA256, "server", "no such key" },
	};
	uint8_t data[512], signature[IPC_SIGNATURE_MAX];
	int fd, len;

	(void)state;
	keys_fixture_serve(&rsa);
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t n = put_sign(data, sizeof(data), rows[i].key, rows[i].algorithm, rows[i].side);

		fd = keys_fixture_session(&rsa, i + 1);
		check_row(i, ask(fd, data, n, signature) == 0);
		check_row(i, ask(fd, data, n, signature) == ERR_CLOSED);
		close(fd);
		check_row(i, keys_fixture_logged(&rsa, rows[i].logged) >= 1);
		check_row(i, keys_fixture_logged(&rsa, "\n") == i + 1);
	}
	fd = keys_fixture_session(&rsa, 99);
	len = ask(fd, data, put_sign(data, sizeof(data), 0, SIGN_RSA_PSS_SHA384, "server"), signature);
	assert_int_equal(len, 256);
	assert_true(is_signature(&rsa, SIGN_RSA_PSS_SHA384, signature, (size_t)len));
	close(fd);
	assert_int_equal(keys_fixture_stop(&rsa), 0);
	unlink(rsa.log_file);
}

/* Two pairs in one service: the index chooses, and each key signs by its own algorithms only. */
static void
test_two_keys(void **state)
{
	struct keys_fixture f = ec;
	uint8_t data[512], signature[IPC_SIGNATURE_MAX];
	int fd, len;

	(void)state;
	f.conf.ncertificates = 1;
	str_fmt(f.conf.certificates[0].certificate, sizeof(f.conf.certificates[0].certificate), "%.200s", rsa.certificate_file);
	str_fmt(f.conf.certificates[0].key, sizeof(f.conf.certificates[0].key), "%.200s", rsa.key_file);
	keys_fixture_serve(&f);
	fd = keys_fixture_session(&f, 1);
	len = ask(fd, data, put_sign(data, sizeof(data), 1, SIGN_RSA_PSS_SHA256, "server"), signature);
	assert_true(len > 0 && is_signature(&rsa, SIGN_RSA_PSS_SHA256, signature, (size_t)len));
	close(fd);
	fd = keys_fixture_session(&f, 2);
	len = ask(fd, data, put_sign(data, sizeof(data), 0, SIGN_ECDSA_SHA256, "server"), signature);
	assert_true(len > 0 && is_signature(&ec, SIGN_ECDSA_SHA256, signature, (size_t)len));
	assert_int_equal(ask(fd, data, put_sign(data, sizeof(data), 1, SIGN_RSA_PSS_SHA256, "server"), signature), ERR_CLOSED);
	close(fd);
	fd = keys_fixture_session(&f, 3);
	assert_int_equal(ask(fd, data, put_sign(data, sizeof(data), 1, SIGN_ECDSA_SHA256, "server"), signature), 0);
	close(fd);
	fd = keys_fixture_session(&f, 4);
	assert_int_equal(ask(fd, data, put_sign(data, sizeof(data), 2, SIGN_RSA_PSS_SHA256, "server"), signature), 0);
	close(fd);
	assert_int_equal(keys_fixture_stop(&f), 0);
	assert_int_equal(keys_fixture_logged(&f, "no such key"), 1);
	unlink(f.log_file);
}

/* Each ends its own session with one alarm; another session of the same time is served. */
static void
test_bad_frames(void **state)
{
	uint8_t data[512], signature[IPC_SIGNATURE_MAX];
	size_t n = put_sign(data, sizeof(data) - 1, 0, SIGN_ECDSA_SHA256, "server"), bad = 0;
	int other;

	(void)state;
	data[n] = 0;
	keys_fixture_serve(&ec);
	other = keys_fixture_session(&ec, 1);
	for (size_t cut = 1; cut <= n + 1; cut++) {
		int fd;

		if (cut == n)
			continue;
		fd = keys_fixture_session(&ec, cut + 1);
		check_row(cut, ask(fd, data, cut, signature) == ERR_CLOSED);
		close(fd);
		bad++;
	}
	/* Kinds of other channels, and nothing but a kind. */
	for (unsigned kind = 0; kind < 0x80; kind++) {
		int fd = keys_fixture_session(&ec, 0x1000 + kind);
		uint8_t frame[2] = { 0, (uint8_t)kind };

		check_row(kind, ask(fd, frame, sizeof(frame), signature) == ERR_CLOSED);
		close(fd);
		bad++;
	}
	assert_true(ask(other, data, n, signature) > 0);
	close(other);
	assert_int_equal(keys_fixture_stop(&ec), 0);
	assert_int_equal(keys_fixture_logged(&ec, "level=alarm"), bad);
	assert_int_equal(keys_fixture_logged(&ec, "\n"), bad);
	unlink(ec.log_file);
}

/* The master's own mistakes lose the one session. */
static void
test_bad_announcement(void **state)
{
	uint8_t data[512], signature[IPC_SIGNATURE_MAX], frame[3] = { 0, IPC_SESSION, 1 };
	size_t n = put_sign(data, sizeof(data), 0, SIGN_ECDSA_SHA256, "server");
	struct wire_out w = { .data = frame, .len = sizeof(frame), .size = sizeof(frame) };
	int fds[2], fd;

	(void)state;
	keys_fixture_serve(&ec);
	assert_int_equal(ipc_pair(fds), ERR_OK);
	assert_int_equal(ipc_send(ec.control_fd, &w, &fds[1], 1, true), ERR_OK);
	assert_int_equal(ipc_send(ec.control_fd, &w, NULL, 0, true), ERR_OK);
	close(fds[1]);
	fd = keys_fixture_session(&ec, 2);
	assert_true(ask(fd, data, n, signature) > 0);
	assert_int_equal(ask(fds[0], data, n, signature), ERR_CLOSED);
	close(fd);
	close(fds[0]);
	assert_int_equal(keys_fixture_stop(&ec), 0);
	unlink(ec.log_file);
}

/* The master reloads or dies: who has a session may still have its signature, and then the service ends. */
static void
test_drain(void **state)
{
	uint8_t data[512], signature[IPC_SIGNATURE_MAX];
	size_t n = put_sign(data, sizeof(data), 0, SIGN_ECDSA_SHA256, "server");
	int fd, status;

	(void)state;
	keys_fixture_serve(&ec);
	fd = keys_fixture_session(&ec, 1);
	io_close(&ec.control_fd);
	poll(NULL, 0, 100);
	assert_int_equal(waitpid(ec.pid, &status, WNOHANG), 0);
	assert_true(ask(fd, data, n, signature) > 0);
	close(fd);
	assert_int_equal(keys_fixture_stop(&ec), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_load_refuses),
		cmocka_unit_test(test_load_refuses_kinds),
		cmocka_unit_test(test_load_refuses_passphrase),
		cmocka_unit_test(test_one_signature),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_two_keys),
		cmocka_unit_test(test_bad_frames),
		cmocka_unit_test(test_bad_announcement),
		cmocka_unit_test(test_drain),
	};

	return cmocka_run_group_tests_name("keys/serve", tests, start, end);
}
