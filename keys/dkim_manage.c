/*
 * Making, activating, retiring and removing DKIM keys: files that are written whole, then renamed. Runs in postern-keys when
 * smtpadm starts it with --dkim, as the keys user, with nothing but the folder. Invariant: a private key is in this process and its
 * file only; at any moment the folder holds whole keys, each once.
 */
#include "dkim_manage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "err.h"
#include "io.h"
#include "str.h"

static const char unfinished[] = "new";		/* no key's name: a key that is being written */

static int
fail(const struct dkim_folder *f, const char *what, char *why, size_t size)
{
	int err = io_error();

	snprintf(why, size, "the folder of DKIM keys %s: %s: %s", f->path, what, strerror(errno));
	return err;
}

/* The lock goes with the folder's descriptor. */
static int
lock(const struct dkim_folder *f, char *why, size_t size)
{
	while (flock(f->fd, LOCK_EX) != 0)
		if (errno != EINTR)
			return fail(f, "it can't be locked", why, size);
	return ERR_OK;
}

static int
generate(enum dkim_algorithm algorithm, BIO **pem)
{
	EVP_PKEY *pkey = algorithm == DKIM_RSA ? EVP_RSA_gen(DKIM_RSA_BITS) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	bool good;

	*pem = BIO_new(BIO_s_secmem());
	good = pkey != NULL && *pem != NULL && PEM_write_bio_PrivateKey(*pem, pkey, NULL, NULL, 0, NULL, NULL) == 1;
	EVP_PKEY_free(pkey);
	if (good)
		return ERR_OK;
	BIO_free(*pem);
	*pem = NULL;
	return ERR_SYSTEM;
}

static int
write_key(const struct dkim_folder *f, const char *name, BIO *pem, char *why, size_t size)
{
	char *text;
	long n = BIO_get_mem_data(pem, &text);
	int fd, err;

	/* One that a crash has left: the lock says that nobody is at work on it. */
	unlinkat(f->fd, unfinished, 0);
	if ((fd = openat(f->fd, unfinished, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0)
		return fail(f, "a key can't be written", why, size);
	if ((err = io_write_all(fd, text, (size_t)n)) != ERR_OK || fsync(fd) != 0 ||
	    renameat2(f->fd, unfinished, f->fd, name, RENAME_NOREPLACE) != 0 || fsync(f->fd) != 0) {
		err = fail(f, "a key can't be written", why, size);
		unlinkat(f->fd, unfinished, 0);
	}
	io_close(&fd);
	return err;
}

static const struct dkim_name *
find(const struct dkim_name *names, size_t n, const char *domain, const char *selector)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i].domain, domain) == 0 && strcmp(names[i].selector, selector) == 0)
			return &names[i];
	return NULL;
}

static bool
has_active(const struct dkim_name *names, size_t n, const struct dkim_name *like)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i].domain, like->domain) == 0 && names[i].algorithm == like->algorithm &&
		    names[i].state == DKIM_ACTIVE)
			return true;
	return false;
}

static void
today(char day[DKIM_DATE])
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(day, DKIM_DATE, "%Y%m%d", &tm);
}

/* "p202611-rsa", "p202611b-rsa", ... */
static int
choose_selector(const struct dkim_name *names, size_t n, struct dkim_name *name, char *why, size_t size)
{
	char day[DKIM_DATE];

	today(day);
	for (char letter = 'a'; letter <= 'z'; letter++) {
		snprintf(name->selector, sizeof(name->selector), "p%.6s%.*s-%s", day, letter != 'a', &letter,
		    dkim_algorithm_name(name->algorithm));
		if (find(names, n, name->domain, name->selector) == NULL)
			return ERR_OK;
	}
	snprintf(why, size, "%s has too many keys of this month: name one with --selector", name->domain);
	return ERR_EXISTS;
}

int
dkim_manage_add(const struct dkim_folder *f, struct dkim_name *name, enum dkim_begin begin, char *why, size_t size)
{
	struct dkim_name *names = NULL;
	char file[NAME_MAX + 1];
	BIO *pem = NULL;
	size_t n;
	int err;

	if ((err = lock(f, why, size)) != ERR_OK || (err = dkim_folder_list(f, &names, &n, why, size)) != ERR_OK)
		return err;
	if (name->selector[0] == 0) {
		if ((err = choose_selector(names, n, name, why, size)) != ERR_OK)
			goto out;
	} else if (find(names, n, name->domain, name->selector) != NULL) {
		snprintf(why, size, "%s has a DKIM key with the selector %s already", name->domain, name->selector);
		err = ERR_EXISTS;
		goto out;
	}
	name->state = begin == DKIM_BEGIN_ACTIVE || (begin == DKIM_BEGIN_AUTO && !has_active(names, n, name)) ?
	    DKIM_ACTIVE : DKIM_WAITING;
	if (n == DKIM_KEYS_MAX || (err = dkim_name_put(file, name)) != ERR_OK) {
		snprintf(why, size, "%s", n == DKIM_KEYS_MAX ? "there are too many DKIM keys: remove retired ones" :
		    "domain and selector are too long together");
		err = ERR_TOOBIG;
	} else if ((err = generate(name->algorithm, &pem)) != ERR_OK) {
		snprintf(why, size, "OpenSSL could not make a key");
	} else if ((err = write_key(f, file, pem, why, size)) == ERR_OK && name->state == DKIM_ACTIVE) {
		err = dkim_manage_activate(f, name->domain, name->selector, why, size);
	}
out:
	BIO_free(pem);
	free(names);
	return err;
}

static int
set_state(const struct dkim_folder *f, const struct dkim_name *name, enum dkim_state state, char *why, size_t size)
{
	char from[NAME_MAX + 1], to[NAME_MAX + 1];
	struct dkim_name next = *name;

	next.state = state;
	next.retired[0] = 0;
	if (state == DKIM_RETIRED)
		today(next.retired);
	if (dkim_name_put(from, name) != ERR_OK || dkim_name_put(to, &next) != ERR_OK)
		return ERR_TOOBIG;
	if (renameat2(f->fd, from, f->fd, to, RENAME_NOREPLACE) != 0 || fsync(f->fd) != 0)
		return fail(f, "a key can't be renamed", why, size);
	return ERR_OK;
}

/* With the lock: the keys, and the one that is meant. names is to be freed. */
static int
open_one(const struct dkim_folder *f, const char *domain, const char *selector, struct dkim_name **names, size_t *n,
    const struct dkim_name **name, char *why, size_t size)
{
	int err;

	*names = NULL;
	if ((err = lock(f, why, size)) != ERR_OK || (err = dkim_folder_list(f, names, n, why, size)) != ERR_OK)
		return err;
	if ((*name = find(*names, *n, domain, selector)) != NULL)
		return ERR_OK;
	snprintf(why, size, "%s has no DKIM key with the selector %s", domain, selector);
	return ERR_NOTFOUND;
}

int
dkim_manage_activate(const struct dkim_folder *f, const char *domain, const char *selector, char *why, size_t size)
{
	const struct dkim_name *name;
	struct dkim_name *names;
	struct dkim_key k;
	size_t n;
	int err;

	if ((err = open_one(f, domain, selector, &names, &n, &name, why, size)) != ERR_OK)
		goto out;
	/* One that can't be read would keep the service from starting. */
	if ((err = dkim_key_load(&k, f, name, why, size)) != ERR_OK)
		goto out;
	dkim_key_release(&k);
	/* A crash in between leaves two active rather than none: mail is signed with both. */
	if (name->state != DKIM_ACTIVE && (err = set_state(f, name, DKIM_ACTIVE, why, size)) != ERR_OK)
		goto out;
	for (size_t i = 0; i < n && err == ERR_OK; i++)
		if (&names[i] != name && names[i].state == DKIM_ACTIVE && names[i].algorithm == name->algorithm &&
		    strcmp(names[i].domain, name->domain) == 0)
			err = set_state(f, &names[i], DKIM_RETIRED, why, size);
out:
	free(names);
	return err;
}

int
dkim_manage_retire(const struct dkim_folder *f, const char *domain, const char *selector, char *why, size_t size)
{
	const struct dkim_name *name;
	struct dkim_name *names;
	size_t n;
	int err;

	if ((err = open_one(f, domain, selector, &names, &n, &name, why, size)) == ERR_OK && name->state != DKIM_RETIRED)
		err = set_state(f, name, DKIM_RETIRED, why, size);
	free(names);
	return err;
}

int
dkim_manage_remove(const struct dkim_folder *f, const char *domain, const char *selector, char *why, size_t size)
{
	const struct dkim_name *name;
	struct dkim_name *names;
	char file[NAME_MAX + 1];
	size_t n;
	int err;

	if ((err = open_one(f, domain, selector, &names, &n, &name, why, size)) != ERR_OK)
		goto out;
	if (name->state == DKIM_ACTIVE) {
		snprintf(why, size, "the DKIM key %s of %s is active: retire it first", selector, domain);
		err = ERR_BUSY;
	} else if ((err = dkim_name_put(file, name)) == ERR_OK && (unlinkat(f->fd, file, 0) != 0 || fsync(f->fd) != 0)) {
		err = fail(f, "a key can't be removed", why, size);
	}
out:
	free(names);
	return err;
}
