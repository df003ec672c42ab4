#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "registry.h"

#define PASSWORD_MAX 511	/* octets of a password: crypt(3)'s CRYPT_MAX_PASSPHRASE_SIZE less NUL */

/*
 * Hashes a password by crypt(3): yescrypt with the library's default cost and a salt from the system. hash holds REGISTRY_HASH_MAX.
 * ERR_SYNTAX (empty or with a NUL), ERR_TOOBIG, ERR_SYSTEM.
 */
int	password_hash(const char *password, size_t len, char *hash);

/*
 * Compares a password with a crypt(5) string, in constant time; takes as long as the hash does. ERR_OK: it matches; ERR_DENIED: it
 * does not. ERR_NOMEM, ERR_SYSTEM (crypt(3) does not know the string's method or form): it could not be computed.
 */
int	password_check(const char *password, size_t len, const char *hash);
/* Whether it matches; false also when that could not be computed. */
bool	password_matches(const char *password, size_t len, const char *hash);

/* Whether crypt(3) can check this string with a method that is accepted: yescrypt, sha512crypt, sha256crypt, bcrypt. */
bool	password_is_hash(const char *hash);

/* Whether a hash is by the method that new ones are made with. */
bool	password_is_newest(const char *hash);

/* A new password of 24 characters from an alphabet without look-alikes (about 118 bits); password holds 25 octets. ERR_SYSTEM. */
int	password_generate(char *password);

#endif
