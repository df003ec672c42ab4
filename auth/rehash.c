/*
 * Old hashes (sha512crypt, sha256crypt, bcrypt) give way to yescrypt at the next good login. Part of postern-auth: a hashing
 * child computes, the writer writes. Invariant: the login does not wait for it, and the password is wiped as soon as the hash
 * is made.
 */
#include "rehash.h"

#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "err.h"
#include "mem.h"
#include "password.h"
#include "writer.h"

#define AT_ONCE_MAX 16

struct rehash {
	struct hash_job			job;
	struct auth			*auth;
	struct registry_credential	credential;
	char				password[PASSWORD_MAX + 1], made[REGISTRY_HASH_MAX];
};

static void
end(struct rehash *one)
{
	one->auth->nrehashes--;
	mem_wipe(one, sizeof(*one));
	free(one);
}

static void
hashed(struct hash_job *job, int result)
{
	struct rehash *one = job->owner;

	if (result == 1 && one->made[0] != 0)
		writer_rehash(one->auth->writer, &one->credential, one->made);
	end(one);
}

void
rehash_begin(struct auth *a, const struct registry_credential *c, const char *password, size_t len,
    const struct netaddr *peer)
{
	struct rehash *one;

	if (password_is_newest(c->hash) || a->nrehashes == AT_ONCE_MAX || (one = calloc(1, sizeof(*one))) == NULL)
		return;
	a->nrehashes++;
	one->auth = a;
	one->credential = *c;
	memcpy(one->password, password, len);
	one->job = (struct hash_job){ .waiting = { .client = *peer, .known = true }, .hash = "", .made = one->made,
	    .password = one->password, .password_len = len, .done = hashed, .owner = one };
	if (hashers_submit(&a->hashers, &one->job, false) != ERR_OK)
		end(one);
}
