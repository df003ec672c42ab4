/*
 * DKIM's private keys: the folder that they are in, reading one, signing with it. Runs in postern-keys: while it starts, with
 * the rights to read the files, and later without. Invariant: the text of a key's file is in one buffer only, which is wiped; a
 * folder or file that others may read or write is not used.
 */
#include "dkim_key.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "base64.h"
#include "err.h"
#include "io.h"
#include "ipc.h"
#include "mem.h"

#define FILE_MAX 16384

static uint8_t file[FILE_MAX];

static bool
is_closed(const struct stat *st, uid_t owner)
{
	return (st->st_uid == 0 || st->st_uid == owner) && (st->st_mode & 077) == 0;
}

int
dkim_folder_open(struct dkim_folder *f, const char *path, uid_t owner, char *why, size_t size)
{
	struct stat st;

	*f = (struct dkim_folder){ .path = path, .owner = owner };
	if ((f->fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0) {
		snprintf(why, size, "the folder of DKIM keys %s: %s", path, strerror(errno));
		return errno == ELOOP || errno == ENOTDIR ? ERR_DENIED : io_error();
	}
	if (fstat(f->fd, &st) == 0 && is_closed(&st, owner))
		return ERR_OK;
	if (st.st_uid != 0 && st.st_uid != owner)
		snprintf(why, size, "the folder of DKIM keys %s belongs to user %u: chown -R %u %s", path, st.st_uid, owner,
		    path);
	else
		snprintf(why, size, "the folder of DKIM keys %s is open to others (mode %04o): chmod 700 %s", path,
		    st.st_mode & 07777, path);
	io_close(&f->fd);
	return ERR_DENIED;
}

void
dkim_folder_close(struct dkim_folder *f)
{
	io_close(&f->fd);
}

static int
compare(const void *x, const void *y)
{
	const struct dkim_name *a = x, *b = y;
	int order;

	if ((order = strcmp(a->domain, b->domain)) != 0)
		return order;
	return a->algorithm != b->algorithm ? (int)a->algorithm - (int)b->algorithm : strcmp(a->selector, b->selector);
}

int
dkim_folder_list(const struct dkim_folder *f, struct dkim_name **names, size_t *n, char *why, size_t size)
{
	int fd = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = ERR_SYSTEM;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	*n = 0;
	if ((*names = calloc(DKIM_KEYS_MAX, sizeof(**names))) == NULL)
		err = ERR_NOMEM;
	else if (d != NULL)
		err = ERR_OK;
	errno = 0;
	while (err == ERR_OK && (entry = readdir(d)) != NULL) {
		struct dkim_name name;

		if (dkim_name_get(entry->d_name, &name) != ERR_OK)
			continue;
		if (*n == DKIM_KEYS_MAX)
			err = ERR_TOOBIG;
		else
			(*names)[(*n)++] = name;
	}
	if (err == ERR_OK && errno != 0)
		err = ERR_SYSTEM;
	if (err != ERR_OK) {
		snprintf(why, size, "the folder of DKIM keys %s can't be read: %s", f->path,
		    err == ERR_TOOBIG ? "there are too many files in it" : err_text(err));
		free(*names);
		*names = NULL;
	} else {
		qsort(*names, *n, sizeof(**names), compare);
	}
	if (d != NULL)
		closedir(d);
	else
		io_close(&fd);
	return err;
}

static int
refuse_passphrase(char *buf, int size, int writing, void *asked)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)asked;
	return -1;
}

static int
read_pem(EVP_PKEY **pkey, int fd)
{
	size_t n = 0;
	BIO *bio;
	int err;

	do {
		ssize_t got = read(fd, file + n, sizeof(file) - n);

		err = got < 0 ? ERR_SYSTEM : got == 0 ? ERR_CLOSED : ERR_OK;
		n += got > 0 ? (size_t)got : 0;
	} while (err == ERR_OK && n < sizeof(file));
	if (err == ERR_CLOSED)
		err = ERR_SYNTAX;
	else if (err == ERR_OK)
		err = ERR_TOOBIG;
	if (err == ERR_SYNTAX && (bio = BIO_new_mem_buf(file, (int)n)) != NULL) {
		if ((*pkey = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, NULL)) != NULL)
			err = ERR_OK;
		BIO_free(bio);
	}
	mem_wipe(file, n);
	return err;
}

static int
check_kind(const struct dkim_key *k, const char *name, const char *path, char *why, size_t size)
{
	int bits;

	if (!EVP_PKEY_is_a(k->pkey, k->name.algorithm == DKIM_RSA ? "RSA" : "ED25519")) {
		snprintf(why, size, "the DKIM key %s/%s is not of the kind that its name says", path, name);
		return ERR_SYNTAX;
	}
	bits = EVP_PKEY_get_bits(k->pkey);
	if (k->name.algorithm != DKIM_RSA || (bits >= DKIM_RSA_BITS && bits <= DKIM_RSA_BITS_MAX))
		return ERR_OK;
	snprintf(why, size, "the DKIM key %s/%s is RSA of %d bits: it must have %d to %d", path, name, bits, DKIM_RSA_BITS,
	    DKIM_RSA_BITS_MAX);
	return ERR_SYNTAX;
}

int
dkim_key_load(struct dkim_key *k, const struct dkim_folder *f, const struct dkim_name *name, char *why, size_t size)
{
	char text[NAME_MAX + 1];
	struct stat st;
	int fd, err;

	*k = (struct dkim_key){ .name = *name };
	if ((err = dkim_name_put(text, name)) != ERR_OK)
		return err;
	if ((fd = openat(f->fd, text, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) < 0 || fstat(fd, &st) != 0) {
		err = errno == ELOOP ? ERR_DENIED : io_error();
		snprintf(why, size, "the DKIM key %s/%s: %s", f->path, text, errno == ELOOP ? "it is a link" : strerror(errno));
	} else if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != f->owner)) {
		err = ERR_DENIED;
		snprintf(why, size, "the DKIM key %s/%s belongs to user %u, or is no file: chown %u %s/%s", f->path, text, st.st_uid,
		    f->owner, f->path, text);
	} else if ((st.st_mode & 077) != 0) {
		err = ERR_DENIED;
		snprintf(why, size, "the DKIM key %s/%s is open to others (mode %04o): chmod 600 %s/%s", f->path, text,
		    st.st_mode & 07777, f->path, text);
	} else if ((err = read_pem(&k->pkey, fd)) != ERR_OK) {
		snprintf(why, size, "the DKIM key %s/%s is no private key in PEM form without a passphrase: remove it", f->path, text);
	} else {
		k->created_s = st.st_mtime;
		err = check_kind(k, text, f->path, why, size);
	}
	io_close(&fd);
	if (err != ERR_OK)
		dkim_key_release(k);
	return err;
}

void
dkim_key_release(struct dkim_key *k)
{
	EVP_PKEY_free(k->pkey);
	k->pkey = NULL;
}

/* Also has OpenSSL load what it loads at first use, before the sandbox closes. */
static int
prove(const struct dkim_key *k, const char *path, char *why, size_t size)
{
	static const uint8_t text[] = "postern: a proof";
	uint8_t signature[IPC_SIGNATURE_MAX];
	size_t len;

	if (dkim_sign(k, text, sizeof(text), signature, &len) == ERR_OK && dkim_verify(k, text, sizeof(text), signature, len))
		return ERR_OK;
	snprintf(why, size, "the DKIM key %s of %s in %s is damaged: its signature is wrong", k->name.selector, k->name.domain, path);
	return ERR_CORRUPT;
}

int
dkim_load_active(const char *path, uid_t owner, struct dkim_key **keys, size_t *n, char *why, size_t size)
{
	struct dkim_name *names = NULL;
	struct dkim_folder f;
	size_t nnames;
	int err;

	*keys = NULL;
	*n = 0;
	if ((err = dkim_folder_open(&f, path, owner, why, size)) != ERR_OK)
		return err == ERR_NOTFOUND ? ERR_OK : err;
	if ((err = dkim_folder_list(&f, &names, &nnames, why, size)) != ERR_OK)
		goto out;
	if ((*keys = calloc(nnames + 1, sizeof(**keys))) == NULL) {
		snprintf(why, size, "out of memory");
		err = ERR_NOMEM;
	}
	for (size_t i = 0; i < nnames && err == ERR_OK; i++) {
		if (names[i].state != DKIM_ACTIVE)
			continue;
		if ((err = dkim_key_load(&(*keys)[*n], &f, &names[i], why, size)) == ERR_OK)
			err = prove(&(*keys)[(*n)++], path, why, size);
	}
out:
	free(names);
	dkim_folder_close(&f);
	return err;
}

int
dkim_sign(const struct dkim_key *k, const uint8_t *text, size_t n, uint8_t *signature, size_t *len)
{
	bool is_rsa = k->name.algorithm == DKIM_RSA;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t digest[SHA256_DIGEST_LENGTH];
	int err = ERR_SYSTEM;

	*len = IPC_SIGNATURE_MAX;
	/* RFC 8463, section 3: Ed25519 signs the digest as its message. */
	SHA256(text, n, digest);
	if (md != NULL && EVP_DigestSignInit_ex(md, NULL, is_rsa ? "SHA256" : NULL, NULL, NULL, k->pkey, NULL) > 0 &&
	    EVP_DigestSign(md, signature, len, is_rsa ? text : digest, is_rsa ? n : sizeof(digest)) > 0)
		err = ERR_OK;
	EVP_MD_CTX_free(md);
	return err;
}

bool
dkim_verify(const struct dkim_key *k, const uint8_t *text, size_t n, const uint8_t *signature, size_t len)
{
	bool is_rsa = k->name.algorithm == DKIM_RSA, good;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t digest[SHA256_DIGEST_LENGTH];

	SHA256(text, n, digest);
	good = md != NULL && EVP_DigestVerifyInit_ex(md, NULL, is_rsa ? "SHA256" : NULL, NULL, NULL, k->pkey, NULL) > 0 &&
	    EVP_DigestVerify(md, signature, len, is_rsa ? text : digest, is_rsa ? n : sizeof(digest)) > 0;
	EVP_MD_CTX_free(md);
	return good;
}

int
dkim_put_public(char to[DKIM_PUBLIC_TEXT], const struct dkim_key *k)
{
	unsigned char *der = NULL;
	uint8_t raw[32];
	size_t len = sizeof(raw);
	int n;

	if (k->name.algorithm == DKIM_ED25519) {
		if (EVP_PKEY_get_raw_public_key(k->pkey, raw, &len) <= 0)
			return ERR_SYSTEM;
		base64_encode(to, raw, len);
		return ERR_OK;
	}
	if ((n = i2d_PUBKEY(k->pkey, &der)) <= 0 || BASE64_ENCODED((size_t)n) >= DKIM_PUBLIC_TEXT) {
		OPENSSL_free(der);
		return ERR_SYSTEM;
	}
	base64_encode(to, der, (size_t)n);
	OPENSSL_free(der);
	return ERR_OK;
}
