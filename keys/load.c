/*
 * Loading a private key and proving that it belongs to its certificate. Runs in postern-keys while it starts, with
 * the rights to read the files. Invariant: the text of the key's file is in one buffer only, which is wiped.
 */
#include "key.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "conf.h"
#include "err.h"
#include "instance.h"
#include "io.h"
#include "mem.h"

#define FILE_MAX (256 * 1024)		/* a certificate with the longest chain is below 64 KiB */
#define SECURE_HEAP (8 * 1024 * 1024)	/* private numbers of all keys and what is reckoned with them */
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX (IPC_SIGNATURE_MAX * 8)

static uint8_t file[FILE_MAX];

void
key_library_start(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
	CRYPTO_secure_malloc_init(SECURE_HEAP, 16);
}

static int
read_whole(int fd, size_t *n)
{
	*n = 0;
	for (;;) {
		ssize_t got = read(fd, file + *n, sizeof(file) - *n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ERR_SYSTEM;
		if (got == 0)
			return ERR_OK;
		if ((*n += (size_t)got) == sizeof(file))
			return ERR_TOOBIG;
	}
}

/* Why instance_open_secret() refused, and what mends it. */
static void
say_denied(const char *path, const char *setting, char *why, size_t size)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		snprintf(why, size, "private key %s: %s", path, strerror(errno));
	else if (S_ISLNK(st.st_mode))
		snprintf(why, size, "private key %s is a link: name the file itself with %s", path, setting);
	else if (!S_ISREG(st.st_mode))
		snprintf(why, size, "private key %s is no regular file: name another with %s", path, setting);
	else if (st.st_uid != 0 && st.st_uid != geteuid())
		snprintf(why, size, "private key %s belongs to user %u: chown %u %s", path, st.st_uid, geteuid(), path);
	else
		snprintf(why, size, "private key %s is open to others (mode %04o): chmod 600 %s", path, st.st_mode & 07777,
		    path);
}

static int
refuse_passphrase(char *buf, int size, int writing, void *asked)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static int
load_private(struct key *k, const char *path, const char *setting, char *why, size_t size)
{
	BIO *bio;
	bool asked = false;
	size_t n;
	int fd, err;

	switch (err = instance_open_secret(path, &fd)) {
	case ERR_OK:
		break;
	case ERR_NOTFOUND:
		snprintf(why, size, "private key %s: no such file; run smtpadm setup, or name it with %s", path, setting);
		return err;
	case ERR_DENIED:
		say_denied(path, setting, why, size);
		return err;
	default:
		snprintf(why, size, "private key %s: %s", path, strerror(errno));
		return err;
	}
	if ((err = read_whole(fd, &n)) != ERR_OK) {
		snprintf(why, size, "private key %s: %s", path, err_text(err));
	} else if ((bio = BIO_new_mem_buf(file, (int)n)) != NULL) {
		k->pkey = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &asked);
		BIO_free(bio);
	}
	mem_wipe(file, n);
	io_close(&fd);
	if (err == ERR_OK && k->pkey == NULL) {
		err = ERR_SYNTAX;
		if (asked)
			snprintf(why, size, "private key %s is locked with a passphrase: unlock it with "
			    "openssl pkey -in %s -out NEW, chmod 600 NEW, and name NEW with %s", path, path, setting);
		else
			snprintf(why, size, "private key %s is no private key in PEM form: name another with %s", path,
			    setting);
	}
	return err;
}

/* The first certificate of the file is the server's own. It is public: links are followed (certbot makes them). */
static int
load_certificate(X509 **x, const char *path, const char *setting, char *why, size_t size)
{
	BIO *bio;
	size_t n;
	int fd, err;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) < 0) {
		err = io_error();
		if (err == ERR_NOTFOUND)
			snprintf(why, size, "certificate %s: no such file; run smtpadm setup, or name it with %s", path,
			    setting);
		else
			snprintf(why, size, "certificate %s: %s", path, strerror(errno));
		return err;
	}
	err = read_whole(fd, &n);
	io_close(&fd);
	if (err != ERR_OK) {
		snprintf(why, size, "certificate %s: %s", path, err_text(err));
		return err;
	}
	if ((bio = BIO_new_mem_buf(file, (int)n)) != NULL) {
		*x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		BIO_free(bio);
	}
	/* The key may stand in it too. */
	mem_wipe(file, n);
	if (*x != NULL)
		return ERR_OK;
	snprintf(why, size, "certificate %s holds no certificate in PEM form: name another with %s", path, setting);
	return ERR_SYNTAX;
}

static int
find_kind(struct key *k, const char *path, char *why, size_t size)
{
	static const struct {
		const char	*group;
		enum judge_key	 kind;
	} curves[] = { { "prime256v1", JUDGE_P256 }, { "secp384r1", JUDGE_P384 }, { "secp521r1", JUDGE_P521 } };
	char group[64];

	if (EVP_PKEY_is_a(k->pkey, "RSA")) {
		int bits = EVP_PKEY_get_bits(k->pkey);

		k->kind = JUDGE_RSA;
		if (bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX)
			return ERR_OK;
		snprintf(why, size, "private key %s is RSA of %d bits: it must have %d to %d", path, bits, RSA_BITS_MIN,
		    RSA_BITS_MAX);
		return ERR_SYNTAX;
	}
	if (EVP_PKEY_is_a(k->pkey, "EC") && EVP_PKEY_get_group_name(k->pkey, group, sizeof(group), NULL) > 0)
		for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
			if (strcmp(group, curves[i].group) == 0) {
				k->kind = curves[i].kind;
				return ERR_OK;
			}
	snprintf(why, size, "private key %s is of a kind that is not served: use EC P-256, P-384, P-521, or RSA from %d bits",
	    path, RSA_BITS_MIN);
	return ERR_SYNTAX;
}

/*
 * Signs a text by every algorithm and checks with the certificate: the pair is proved, and whatever OpenSSL loads at first use
 * is loaded before the sandbox closes.
 */
static int
prove(const struct key *k, EVP_PKEY *public)
{
	static const uint8_t text[] = "Postern: not a text of TLS";
	uint8_t signature[IPC_SIGNATURE_MAX];
	size_t len;

	for (int i = 0; i <= SIGN_ECDSA_SHA512; i++) {
		enum sign_algorithm a = (enum sign_algorithm)i;

		if (!judge_may_sign(k->kind, JUDGE_TLS12, a) && !judge_may_sign(k->kind, JUDGE_TLS13, a))
			continue;
		if (key_sign(k, a, text, sizeof(text), signature, &len) != ERR_OK ||
		    !key_verify(public, a, text, sizeof(text), signature, len))
			return ERR_CORRUPT;
	}
	return ERR_OK;
}

static int
digest_public(struct key *k, X509 *x)
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);

	if (n <= 0)
		return ERR_SYSTEM;
	SHA256(der, (size_t)n, k->digest);
	OPENSSL_free(der);
	return ERR_OK;
}

int
key_load(struct key *k, const struct instance *in, const struct conf_pair *pair, char *why, size_t size)
{
	char key_path[PATH_MAX], certificate_path[PATH_MAX];
	X509 *x = NULL;
	int err;

	*k = (struct key){ .pkey = NULL };
	if ((err = instance_file(in, pair->key, key_path)) != ERR_OK ||
	    (err = instance_file(in, pair->certificate, certificate_path)) != ERR_OK) {
		snprintf(why, size, "%s or %s is too long a path", pair->key_setting, pair->certificate_setting);
		return err;
	}
	if ((err = load_private(k, key_path, pair->key_setting, why, size)) != ERR_OK)
		goto out;
	if ((err = find_kind(k, key_path, why, size)) != ERR_OK)
		goto out;
	if ((err = load_certificate(&x, certificate_path, pair->certificate_setting, why, size)) != ERR_OK)
		goto out;
	if (X509_check_private_key(x, k->pkey) != 1 || prove(k, X509_get0_pubkey(x)) != ERR_OK) {
		snprintf(why, size, "private key %s does not belong to certificate %s: name a pair with %s and %s",
		    key_path, certificate_path, pair->key_setting, pair->certificate_setting);
		err = ERR_CORRUPT;
		goto out;
	}
	if ((err = digest_public(k, x)) != ERR_OK)
		snprintf(why, size, "certificate %s: its public key can't be written", certificate_path);
out:
	X509_free(x);
	if (err != ERR_OK)
		key_release(k);
	return err;
}

void
key_release(struct key *k)
{
	EVP_PKEY_free(k->pkey);
	k->pkey = NULL;
}
