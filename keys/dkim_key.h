#ifndef KEYS_DKIM_KEY_H
#define KEYS_DKIM_KEY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <openssl/types.h>

#include "dkim_name.h"

#define DKIM_RSA_BITS 2048
#define DKIM_RSA_BITS_MAX 4096
#define DKIM_KEYS_MAX 2000	/* files in one folder */
#define DKIM_PUBLIC_TEXT 1024

struct dkim_key {
	struct dkim_name	 name;
	int64_t			 created_s;	/* the file's time */
	EVP_PKEY		*pkey;
};

/* A folder of keys, and whose it is: nobody else but root may own it and its files, and nobody else may read them. */
struct dkim_folder {
	int		fd;
	const char	*path;		/* for sentences */
	uid_t		owner;
};

/* Opens it. ERR_NOTFOUND: there is none. ERR_DENIED, ERR_SYSTEM, with a sentence in why (size octets). */
int	dkim_folder_open(struct dkim_folder *f, const char *path, uid_t owner, char *why, size_t size);
void	dkim_folder_close(struct dkim_folder *f);

/* All keys' names, those of other files left out, sorted by domain, algorithm and selector; the list is the caller's to free.
 * ERR_SYSTEM, ERR_NOMEM, ERR_TOOBIG, with why. */
int	dkim_folder_list(const struct dkim_folder *f, struct dkim_name **names, size_t *n, char *why, size_t size);

/*
 * Reads a key and checks that it is what its name says; it is to be released. ERR_NOTFOUND, ERR_DENIED (owner, mode, link), ERR_SYNTAX
 * (no such PEM or kind), ERR_TOOBIG, ERR_SYSTEM, with why.
 */
int	dkim_key_load(struct dkim_key *k, const struct dkim_folder *f, const struct dkim_name *name, char *why, size_t size);
void	dkim_key_release(struct dkim_key *k);

/* All active keys of an instance, each proved by a signature; none when there is no folder. The list is the caller's. Errors as above. */
int	dkim_load_active(const char *path, uid_t owner, struct dkim_key **keys, size_t *n, char *why, size_t size);

/* Signs a text, whose digest is made here; signature holds IPC_SIGNATURE_MAX octets. ERR_SYSTEM. */
int	dkim_sign(const struct dkim_key *k, const uint8_t *text, size_t n, uint8_t *signature, size_t *len);
/* Whether it is this key's signature of the text. */
bool	dkim_verify(const struct dkim_key *k, const uint8_t *text, size_t n, const uint8_t *signature, size_t len);

/* The value of tag p in the key's record: base64. ERR_SYSTEM. */
int	dkim_put_public(char to[DKIM_PUBLIC_TEXT], const struct dkim_key *k);

#endif
