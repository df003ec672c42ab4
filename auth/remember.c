/*
 * Passwords that were checked a while ago. Part of postern-auth. Invariant: what is kept is
 * HMAC-SHA256 of the password with a key that was made at start and exists in this process only; an
 * entry is void once its credential has another time of change.
 */
#include "remember.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "err.h"
#include "mem.h"
#include "password.h"
#include "wire.h"

#define WAYS 4		/* entries that share a place in the table */
#define PLACES 1024
#define DIGEST 32

struct entry {
	uint64_t	credential, changed_us, expires_ms;	/* credential 0: free */
	uint8_t		digest[DIGEST];
};

struct remember {
	uint8_t		key[DIGEST];
	struct entry	entries[PLACES][WAYS];
};

static int
compute(const struct remember *r, uint64_t credential, uint64_t changed_us, const char *password, size_t len,
    uint8_t *digest)
{
	uint8_t text[16 + PASSWORD_MAX];
	struct wire_out w;
	unsigned n = 0;
	bool ok;

	wire_out_init(&w, text, sizeof(text));
	wire_put_u64(&w, credential);
	wire_put_u64(&w, changed_us);
	wire_put_raw(&w, password, len);
	ok = wire_out_end(&w) == ERR_OK &&
	    HMAC(EVP_sha256(), r->key, DIGEST, text, w.len, digest, &n) != NULL && n == DIGEST;
	mem_wipe(text, sizeof(text));
	return ok ? ERR_OK : ERR_SYSTEM;
}

int
remember_open(struct remember **remember)
{
	struct remember *r = calloc(1, sizeof(*r));
	uint8_t digest[DIGEST];

	if (r == NULL)
		return ERR_NOMEM;
	/* The first digest loads what OpenSSL needs, while files can still be read. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (getrandom(r->key, DIGEST, 0) != DIGEST || compute(r, 0, 0, "", 0, digest) != ERR_OK) {
		free(r);
		return ERR_SYSTEM;
	}
	*remember = r;
	return ERR_OK;
}

void
remember_put(struct remember *r, uint64_t credential, uint64_t changed_us, const char *password, size_t len,
    uint64_t now_ms, uint64_t lifetime_ms)
{
	struct entry *place = r->entries[credential % PLACES], *oldest = place;

	if (lifetime_ms == 0)
		return;
	for (size_t i = 0; i < WAYS; i++) {
		if (place[i].credential == credential) {
			oldest = &place[i];
			break;
		}
		if (place[i].expires_ms < oldest->expires_ms)
			oldest = &place[i];
	}
	mem_wipe(oldest, sizeof(*oldest));
	if (compute(r, credential, changed_us, password, len, oldest->digest) == ERR_OK) {
		oldest->credential = credential;
		oldest->changed_us = changed_us;
		oldest->expires_ms = now_ms + lifetime_ms;
	}
}

bool
remember_has(struct remember *r, uint64_t credential, uint64_t changed_us, const char *password, size_t len,
    uint64_t now_ms)
{
	struct entry *place = r->entries[credential % PLACES];
	uint8_t digest[DIGEST];

	for (size_t i = 0; i < WAYS; i++) {
		struct entry *e = &place[i];

		if (e->credential != credential)
			continue;
		if (e->changed_us != changed_us || e->expires_ms <= now_ms) {
			mem_wipe(e, sizeof(*e));
			return false;
		}
		return compute(r, credential, changed_us, password, len, digest) == ERR_OK &&
		    mem_is_equal(digest, e->digest, DIGEST);
	}
	return false;
}

void
remember_sweep(struct remember *r, uint64_t now_ms)
{
	for (size_t i = 0; i < PLACES; i++)
		for (size_t j = 0; j < WAYS; j++)
			if (r->entries[i][j].credential != 0 && r->entries[i][j].expires_ms <= now_ms)
				mem_wipe(&r->entries[i][j], sizeof(r->entries[i][j]));
}
