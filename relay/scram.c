/*
 * SCRAM, seen from the client. Run by session processes; pure but for OpenSSL's digests. Invariant: a server's texts are bounded and
 * checked before they are used; a server that can't prove that it knows the password is told from one that can.
 */
#include "scram.h"

#include <string.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base64.h"
#include "err.h"
#include "mem.h"
#include "str.h"

#define SALT_MAX 192

/* "n,," in base64: no channel binding. */
static const char header[] = "n,,";
static const char header_base64[] = "biws";

/* RFC 5802, 5.1: ',' and '=' in names. */
static int
escape(char *to, size_t size, const char *name)
{
	size_t used = 0;

	for (; *name != 0; name++) {
		const char *code = *name == ',' ? "=2C" : *name == '=' ? "=3D" : NULL;
		size_t n = code != NULL ? 3 : 1;

		if (used + n >= size)
			return ERR_TOOBIG;
		memcpy(to + used, code != NULL ? code : name, n);
		used += n;
	}
	to[used] = 0;
	return ERR_OK;
}

int
scram_first(struct scram *s, bool is_sha256, const char *user, const char *nonce, char to[SCRAM_TEXT])
{
	char name[SCRAM_TEXT / 2];
	int err;

	*s = (struct scram){ .is_sha256 = is_sha256, .digest_len = is_sha256 ? 32 : 20 };
	if ((err = escape(name, sizeof(name), user)) != ERR_OK ||
	    (err = str_fmt(s->nonce, sizeof(s->nonce), "%s", nonce)) != ERR_OK ||
	    (err = str_fmt(s->first_bare, sizeof(s->first_bare), "n=%s,r=%s", name, nonce)) != ERR_OK)
		return err;
	return str_fmt(to, SCRAM_TEXT, "%s%s", header, s->first_bare);
}

/* The attribute that stands at *p, named c; *p goes behind it. */
static int
next_attribute(const char **p, const char *end, char c, const char **value, size_t *len)
{
	const char *comma;

	if (end - *p < 2 || (*p)[0] != c || (*p)[1] != '=')
		return ERR_SYNTAX;
	*value = *p + 2;
	comma = memchr(*value, ',', (size_t)(end - *value));
	*len = (size_t)((comma != NULL ? comma : end) - *value);
	*p = comma != NULL ? comma + 1 : end;
	return ERR_OK;
}

static const EVP_MD *
digest_of(const struct scram *s)
{
	return s->is_sha256 ? EVP_sha256() : EVP_sha1();
}

static int
sign(const struct scram *s, const uint8_t *key, const void *text, size_t n, uint8_t to[32])
{
	unsigned len = 32;

	return HMAC(digest_of(s), key, (int)s->digest_len, text, n, to, &len) != NULL ? ERR_OK : ERR_SYSTEM;
}

/* The proof, and what the server's own proof must be. */
static int
compute(struct scram *s, const char *password, const uint8_t *salt, size_t salt_len, uint64_t iterations, const char *message,
    uint8_t proof[32])
{
	uint8_t salted[32], client_key[32], stored_key[32], server_key[32], signature[32];
	int err = ERR_SYSTEM;

	if (PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, (int)salt_len, (int)iterations, digest_of(s),
	    (int)s->digest_len, salted) == 1 && sign(s, salted, "Client Key", 10, client_key) == ERR_OK &&
	    EVP_Digest(client_key, s->digest_len, stored_key, NULL, digest_of(s), NULL) == 1 &&
	    sign(s, stored_key, message, strlen(message), signature) == ERR_OK &&
	    sign(s, salted, "Server Key", 10, server_key) == ERR_OK &&
	    sign(s, server_key, message, strlen(message), s->server_key_signature) == ERR_OK)
		err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < s->digest_len; i++)
		proof[i] = client_key[i] ^ signature[i];
	mem_wipe(salted, sizeof(salted));
	mem_wipe(client_key, sizeof(client_key));
	mem_wipe(server_key, sizeof(server_key));
	return err;
}

int
scram_final(struct scram *s, const char *server_first, size_t n, const char *password, char to[SCRAM_TEXT])
{
	const char *p = server_first, *end = server_first + n, *nonce, *salt_text, *count;
	char without_proof[SCRAM_TEXT], message[3 * SCRAM_TEXT], proof_text[BASE64_ENCODED(32) + 1];
	uint8_t salt[SALT_MAX], proof[32];
	size_t nonce_len, salt_text_len, count_len, salt_len, own = strlen(s->nonce);
	uint64_t iterations;
	int err;

	if (n >= SCRAM_TEXT || memchr(server_first, 0, n) != NULL ||
	    next_attribute(&p, end, 'r', &nonce, &nonce_len) != ERR_OK ||
	    next_attribute(&p, end, 's', &salt_text, &salt_text_len) != ERR_OK ||
	    next_attribute(&p, end, 'i', &count, &count_len) != ERR_OK ||
	    salt_text_len == 0 || salt_text_len / 4 * 3 > sizeof(salt) ||
	    base64_decode(salt, &salt_len, salt_text, salt_text_len) != ERR_OK ||
	    str_parse_u64(count, count_len, UINT32_MAX, &iterations) != ERR_OK)
		return ERR_SYNTAX;
	if (nonce_len <= own || memcmp(nonce, s->nonce, own) != 0 || iterations < SCRAM_ITERATIONS_MIN ||
	    iterations > SCRAM_ITERATIONS_MAX)
		return ERR_DENIED;
	if ((err = str_fmt(without_proof, sizeof(without_proof), "c=%s,r=%.*s", header_base64, (int)nonce_len, nonce)) != ERR_OK ||
	    (err = str_fmt(message, sizeof(message), "%s,%.*s,%s", s->first_bare, (int)n, server_first, without_proof)) != ERR_OK ||
	    (err = compute(s, password, salt, salt_len, iterations, message, proof)) != ERR_OK)
		return err;
	base64_encode(proof_text, proof, s->digest_len);
	return str_fmt(to, SCRAM_TEXT, "%s,p=%s", without_proof, proof_text);
}

int
scram_verify(const struct scram *s, const char *server_final, size_t n)
{
	const char *p = server_final, *value;
	uint8_t signature[48];
	size_t len, got;

	if (next_attribute(&p, server_final + n, 'v', &value, &len) != ERR_OK || len / 4 * 3 > sizeof(signature) ||
	    base64_decode(signature, &got, value, len) != ERR_OK)
		return ERR_SYNTAX;
	return got == s->digest_len && mem_is_equal(signature, s->server_key_signature, got) ? ERR_OK : ERR_DENIED;
}
