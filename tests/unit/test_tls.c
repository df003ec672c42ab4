/*
 * The worker's TLS with a real client on the other side and a real key service behind: handshakes of each version and kind
 * of key, under a system call filter as tight as the worker's, and what may go wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "err.h"
#include "io.h"
#include "ipc.h"
#include "keys_fixture.h"
#include "tls.h"
#include "unit.h"

#define BULK (1024 * 1024)
#define DEADLINE 5000
#define SERVED 42		/* the server's exit status when a whole session was served */

static struct keys_fixture keys[5];
static struct tls_shared *shared[COUNT(keys)];

/* What the worker may call, and nothing else: here an unexpected call kills. */
static void
seal(void)
{
	static const int calls[] = {
		__NR_read, __NR_write, __NR_sendmsg, __NR_recvmsg, __NR_poll, __NR_clock_gettime, __NR_getrandom, __NR_brk,
		__NR_munmap, __NR_mremap, __NR_madvise, __NR_futex, __NR_close, __NR_getpid, __NR_exit, __NR_exit_group,
#ifdef __SANITIZE_ADDRESS__
		__NR_mprotect, __NR_sigaltstack, __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_gettid, __NR_sched_yield,
#endif
	};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);

	for (size_t i = 0; i < COUNT(calls); i++)
		if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0) != 0)
			_exit(1);
	if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, __NR_mmap, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || seccomp_load(ctx) != 0)
		_exit(1);
}

static void
wait_on(struct tls *t, int fd)
{
	struct pollfd p = { .fd = fd, .events = tls_events(t) };

	if (poll(&p, 1, DEADLINE) != 1)
		_exit(3);
}

/* Reads BULK octets, asking as a worker does whether to wait, and writes them all back; then the other side closes. */
static int
echo(struct tls *t, int fd)
{
	static char data[BULK];
	size_t n = 0;
	ssize_t done;

	while (n < sizeof(data)) {
		if (!tls_is_pending(t)) {
			struct pollfd p = { .fd = fd, .events = POLLIN };

			if (poll(&p, 1, DEADLINE) != 1)
				_exit(3);
		}
		if ((done = tls_read(t, data + n, sizeof(data) - n > 5000 ? 5000 : sizeof(data) - n)) > 0)
			n += (size_t)done;
		else if (done != ERR_BUSY)
			return (int)done;
	}
	for (n = 0; n < sizeof(data);) {
		if ((done = tls_write(t, data + n, sizeof(data) - n)) > 0)
			n += (size_t)done;
		else if (done == ERR_BUSY)
			wait_on(t, fd);
		else
			return (int)done;
	}
	while ((done = tls_read(t, data, 1)) == ERR_BUSY)
		wait_on(t, fd);
	return done == ERR_CLOSED ? ERR_OK : ERR_SYSTEM;
}

/* A worker: its exit status is SERVED, or the negated error of the handshake. */
static pid_t
start_worker(struct tls_shared *s, int fds[2], int keys_fd)
{
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fflush(NULL);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		struct tls *t;
		int fd = fds[0], err;

		close(fds[1]);
		if (io_set_nonblock(fd) != ERR_OK)
			_exit(1);
		seal();
		if ((err = tls_handshake(&t, s, fd, keys_fd, io_now_ms() + DEADLINE)) != ERR_OK)
			_exit(-err);
		close(keys_fd);
		err = echo(t, fd);
		tls_close(t);
		_exit(err == ERR_OK ? SERVED : 2);
	}
	close(fds[0]);
	return pid;
}

static int
end_worker(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		print_error("worker ended by signal %d\n", WTERMSIG(status));
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
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

#define V2 TLS1_2_VERSION
#define V3 TLS1_3_VERSION

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

static bool
is_echoed(SSL *ssl)
{
	static char out[BULK], in[BULK];
	size_t done;

	memset(out, 'x', sizeof(out));
	for (size_t n = 0; n < sizeof(out); n += done)
		if (SSL_write_ex(ssl, out + n, sizeof(out) - n, &done) != 1)
			return false;
	for (size_t n = 0; n < sizeof(in); n += done)
		if (SSL_read_ex(ssl, in + n, sizeof(in) - n, &done) != 1)
			return false;
	return memcmp(in, out, sizeof(in)) == 0;
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
		if (tls_prepare(&shared[i], keys[i].certificate_file, why, sizeof(why)) != ERR_OK) {
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
		pid_t pid = start_worker(shared[c->key], fds, keys_fd);
		SSL *ssl = connect_client(ctx, fds[1]);

		close(keys_fd);
		if (SSL_connect(ssl) != 1) {
			print_error("%s: %s\n", c->name, ERR_reason_error_string(ERR_peek_error()));
			end_worker(pid);
			fail();
		}
		check_row(i, SSL_get_verify_result(ssl) == X509_V_OK);
		check_row(i, SSL_version(ssl) == c->max);
		check_row(i, SSL_get_peer_signature_type_nid(ssl, &kind) == 1 && kind == c->signature);
		check_row(i, SSL_get_peer_signature_nid(ssl, &digest) == 1 && (c->digest == 0 || digest == c->digest));
		check_row(i, is_echoed(ssl));
		check_row(i, SSL_SESSION_is_resumable(SSL_get0_session(ssl)) == 0);
		check_row(i, c->max == V3 || SSL_get_secure_renegotiation_support(ssl) == 1);
		SSL_shutdown(ssl);
		SSL_free(ssl);
		close(fds[1]);
		check_row(i, end_worker(pid) == SERVED);
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
		pid_t pid = start_worker(shared[3], fds, keys_fd);
		SSL *ssl = connect_client(ctx, fds[1]);

		close(keys_fd);
		check_row(i, SSL_set_cipher_list(ssl, rows[i].ciphers) == 1);
		check_row(i, SSL_connect(ssl) != 1);
		check_row(i, end_worker(pid) == -ERR_SYNTAX);
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
	pid_t pid = start_worker(shared[0], fds, keys_fd);
	SSL *ssl = connect_client(ctx, fds[1]);

	(void)state;
	close(keys_fd);
	assert_int_equal(SSL_connect(ssl), 1);
	SSL_renegotiate(ssl);
	assert_int_not_equal(SSL_do_handshake(ssl), 1);
	SSL_free(ssl);
	close(fds[1]);
	assert_int_not_equal(end_worker(pid), SERVED);
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
		pid_t pid = start_worker(shared[0], fds, keys_fd);

		close(keys_fd);
		check_row(i, write(fds[1], rows[i].p, rows[i].n) == (ssize_t)rows[i].n);
		if (!rows[i].stays)
			close(fds[1]);
		status = end_worker(pid);
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
		pid = start_worker(shared[0], fds, pair[0]);
		ssl = connect_client(ctx, fds[1]);
		check_row(i, SSL_connect(ssl) != 1);
		check_row(i, end_worker(pid) == -ERR_SYSTEM);
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
	pid_t pid = start_worker(shared[3], fds, keys_fd);
	SSL *ssl = connect_client(ctx, fds[1]);

	(void)state;
	close(keys_fd);
	assert_int_not_equal(SSL_connect(ssl), 1);
	SSL_free(ssl);
	close(fds[1]);
	assert_int_not_equal(end_worker(pid), SERVED);
	SSL_CTX_free(ctx);
}

static void
test_prepare_refuses(void **state)
{
	struct keys_fixture f;
	struct tls_shared *s;
	char why[1024];

	(void)state;
	assert_int_equal(tls_prepare(&s, "/nowhere/certificate.pem", why, sizeof(why)), ERR_NOTFOUND);
	assert_null(s);
	assert_non_null(strstr(why, "/nowhere/certificate.pem: no such file; run smtpadm setup"));
	assert_int_equal(tls_prepare(&s, "/dev/null", why, sizeof(why)), ERR_SYNTAX);
	assert_int_equal(tls_prepare(&s, keys[0].key_file, why, sizeof(why)), ERR_SYNTAX);
	assert_non_null(strstr(why, "holds a private key"));
	keys_fixture_open(&f, "RSA", 1024, NULL);
	assert_int_equal(tls_prepare(&s, f.certificate_file, why, sizeof(why)), ERR_SYNTAX);
	keys_fixture_close(&f);
	keys_fixture_open(&f, "EC", 0, "secp256k1");
	assert_int_equal(tls_prepare(&s, f.certificate_file, why, sizeof(why)), ERR_SYNTAX);
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
