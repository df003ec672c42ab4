/*
 * Keys, certificates and a running key service for tests. Part of unit tests only.
 */
#include "keys_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "buf.h"
#include "err.h"
#include "io.h"
#include "ipc.h"
#include "key.h"
#include "log.h"
#include "serve.h"
#include "str.h"
#include "unit.h"

/* The control sockets of all fixtures: a service that inherited another's would keep it from ending. */
static int *controls[16];

static void
close_controls(void)
{
	for (size_t i = 0; i < COUNT(controls); i++)
		if (controls[i] != NULL)
			io_close(controls[i]);
}

static void
remember_control(int *fd)
{
	size_t i = 0;

	while (controls[i] != NULL && controls[i] != fd)
		assert_true(++i < COUNT(controls));
	controls[i] = fd;
}

static void
forget_control(const int *fd)
{
	for (size_t i = 0; i < COUNT(controls); i++)
		if (controls[i] == fd)
			controls[i] = NULL;
}

static void
write_certificate(const char *path, EVP_PKEY *key, const char *san)
{
	X509 *x = X509_new();
	X509_NAME *name;
	X509_EXTENSION *names;
	FILE *file;

	assert_non_null(x);
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	assert_int_equal(X509_set_pubkey(x, key), 1);
	name = X509_get_subject_name(x);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"mail.example.org", -1, -1, 0);
	X509_set_issuer_name(x, name);
	assert_non_null(names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san));
	X509_add_ext(x, names, -1);
	X509_EXTENSION_free(names);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_non_null(file = fopen(path, "w"));
	assert_int_equal(PEM_write_X509(file, x), 1);
	fclose(file);
	X509_free(x);
}

void
keys_fixture_open(struct keys_fixture *f, const char *kind, size_t size, const char *curve)
{
	keys_fixture_open_for(f, kind, size, curve, "DNS:mail.example.org");
}

void
keys_fixture_open_for(struct keys_fixture *f, const char *kind, size_t size, const char *curve, const char *san)
{
	char folder[] = "/tmp/postern-keys-XXXXXX";
	struct conf_error error;
	EVP_PKEY *key;
	FILE *file;

	memset(f, 0, sizeof(*f));
	f->control_fd = -1;
	umask(077);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(instance_open(&f->in, folder), ERR_OK);
	assert_int_equal(conf_parse(&f->conf, "", 0, &error), ERR_OK);
	assert_int_equal(str_fmt(f->key_file, PATH_MAX, "%s/key.pem", folder), ERR_OK);
	assert_int_equal(str_fmt(f->certificate_file, PATH_MAX, "%s/certificate.pem", folder), ERR_OK);
	assert_int_equal(str_fmt(f->log_file, PATH_MAX, "%s/log", folder), ERR_OK);
	str_fmt(f->conf.tls_key, sizeof(f->conf.tls_key), "key.pem");
	str_fmt(f->conf.tls_certificate, sizeof(f->conf.tls_certificate), "certificate.pem");
	key = curve != NULL ? EVP_PKEY_Q_keygen(NULL, NULL, kind, curve) : EVP_PKEY_Q_keygen(NULL, NULL, kind, size);
	assert_non_null(key);
	write_certificate(f->certificate_file, key, san);
	assert_non_null(file = fopen(f->key_file, "w"));
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	EVP_PKEY_free(key);
}

void
keys_fixture_serve(struct keys_fixture *f)
{
	struct conf_pair pair;
	char why[512];
	struct key key[4];
	size_t n = 0;
	int fds[2], fd;

	assert_int_equal(ipc_pair(fds), ERR_OK);
	fflush(NULL);
	assert_true((f->pid = fork()) >= 0);
	if (f->pid == 0) {
		close(fds[0]);
		close_controls();
		log_open("postern-keys", LOG_LEVEL_INFO);
		fd = open(f->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
			_exit(1);
		for (; conf_pair(&f->conf, n, &pair); n++)
			if (n == COUNT(key) || key_load(&key[n], &f->in, &pair, why, sizeof(why)) != ERR_OK)
				_exit(1);
		if (serve_open(fds[1], key, n, NULL, 0) != ERR_OK)
			_exit(1);
		_exit(serve_run() == ERR_OK ? 0 : 2);
	}
	close(fds[1]);
	f->control_fd = fds[0];
	remember_control(&f->control_fd);
}

int
keys_fixture_session(struct keys_fixture *f, uint64_t number)
{
	struct ipc_session m = { .session = number, .peer = { .family = 4, .octets = { 192, 0, 2, 1 }, .port = 1 },
	    .local = { .family = 4, .octets = { 192, 0, 2, 2 }, .port = 587 }, .listener = LISTENER_SUBMISSION };
	uint8_t data[256];
	struct wire_out w;
	int fds[2];

	assert_int_equal(ipc_pair(fds), ERR_OK);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_session(&w, &m);
	assert_int_equal(ipc_send(f->control_fd, &w, &fds[1], 1, true), ERR_OK);
	close(fds[1]);
	return fds[0];
}

int
keys_fixture_stop(struct keys_fixture *f)
{
	int status;

	forget_control(&f->control_fd);
	io_close(&f->control_fd);
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	f->pid = 0;
	return status;
}

size_t
keys_fixture_logged(const struct keys_fixture *f, const char *text)
{
	struct buf b;
	size_t n = 0;

	buf_init(&b, 1024 * 1024);
	assert_int_equal(io_read_file(f->log_file, &b), ERR_OK);
	assert_int_equal(buf_put_nul(&b), ERR_OK);
	for (const char *p = (const char *)b.data; (p = strstr(p, text)) != NULL; p++)
		n++;
	buf_free(&b);
	return n;
}

void
keys_fixture_close(struct keys_fixture *f)
{
	if (f->pid != 0)
		assert_int_equal(keys_fixture_stop(f), 0);
	unlink(f->key_file);
	unlink(f->certificate_file);
	unlink(f->log_file);
	assert_int_equal(rmdir(f->in.root), 0);
}
