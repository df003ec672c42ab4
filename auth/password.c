/*
 * Passwords by crypt(3). Part of the registry library: run by smtpadm (new ones), by postern-auth
 * while it starts, and by its hashing children, which alone compute on what a client sent. Invariant:
 * no copy of a password outlives a call.
 */
#include "password.h"

#include <crypt.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "err.h"
#include "mem.h"
#include "str.h"

#define CRYPT_CHARACTERS "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/*
 * The methods that are accepted: prefix, octets of the last field (the hash itself; bcrypt's holds the salt too), and whether
 * there is a salt field before it. crypt(5).
 */
static const struct method {
	const char	*prefix;
	size_t		 last;
	unsigned	 fields;	/* fields behind the prefix, at least */
} methods[] = {
	{ "$y$", 43, 3 },	/* yescrypt: parameters, salt, hash */
	{ "$6$", 86, 2 },	/* sha512crypt: [rounds,] salt, hash */
	{ "$5$", 43, 2 },	/* sha256crypt */
	{ "$2b$", 53, 2 },	/* bcrypt: cost, salt with hash */
	{ "$2y$", 53, 2 },
	{ "$2a$", 53, 2 },
};

/* Computes; the result is in data->output. */
static int
compute(struct crypt_data *data, const char *password, size_t len, const char *setting)
{
	char phrase[PASSWORD_MAX + 1];
	int err;

	if ((err = str_copy(phrase, sizeof(phrase), password, len)) == ERR_OK &&
	    crypt_rn(phrase, setting, data, sizeof(*data)) == NULL)
		err = ERR_SYSTEM;
	mem_wipe(phrase, sizeof(phrase));
	return err;
}

int
password_hash(const char *password, size_t len, char *hash)
{
	struct crypt_data data;
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	int err;

	if (len == 0)
		return ERR_SYNTAX;
	memset(&data, 0, sizeof(data));
	if (crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting)) == NULL)
		return ERR_SYSTEM;
	if ((err = compute(&data, password, len, setting)) == ERR_OK)
		err = str_copy(hash, REGISTRY_HASH_MAX, data.output, strlen(data.output));
	mem_wipe(&data, sizeof(data));
	return err;
}

/* Bounds on what a stored hash may cost: anything above would keep the hashing children for seconds. */
static bool
is_affordable(const char *hash)
{
	uint64_t rounds;

	if (hash[1] == 'y')		/* default parameters are j9T; j7T to jBT are 4 to 64 MiB */
		return hash[3] == 'j' && strchr("789AB", hash[4]) != NULL && hash[4] != 0;
	if (hash[1] == '2')
		return strspn(hash + 4, "0123456789") == 2 && memcmp(hash + 4, "04", 2) >= 0 &&
		    memcmp(hash + 4, "14", 2) <= 0;
	if (strncmp(hash + 3, "rounds=", 7) != 0)
		return true;
	return str_parse_u64(hash + 10, strcspn(hash + 10, "$"), 500000, &rounds) == ERR_OK;
}

bool
password_is_hash(const char *hash)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		const struct method *m = &methods[i];
		const char *field = hash + strlen(m->prefix);
		unsigned fields = 1;

		if (strncmp(hash, m->prefix, strlen(m->prefix)) != 0)
			continue;
		for (const char *dollar; (dollar = strchr(field, '$')) != NULL; field = dollar + 1)
			fields++;
		return fields >= m->fields && strlen(field) == m->last && strspn(field, CRYPT_CHARACTERS) == m->last &&
		    hash[strspn(hash, CRYPT_CHARACTERS "$=,")] == 0 && is_affordable(hash) &&
		    crypt_checksalt(hash) != CRYPT_SALT_INVALID && crypt_checksalt(hash) != CRYPT_SALT_METHOD_DISABLED;
	}
	return false;
}

int
password_check(const char *password, size_t len, const char *hash)
{
	struct crypt_data data;
	size_t n = strlen(hash);
	int err;

	memset(&data, 0, sizeof(data));
	err = compute(&data, password, len, hash);
	if (err == ERR_OK && (strlen(data.output) != n || !mem_is_equal(data.output, hash, n)))
		err = ERR_DENIED;
	mem_wipe(&data, sizeof(data));
	/* No hash is of a password that is too long, or has a NUL. */
	if (err == ERR_TOOBIG || err == ERR_SYNTAX)
		return ERR_DENIED;
	/* crypt(3) says EINVAL for either: what it knows fails for want of memory only. */
	return err == ERR_SYSTEM && password_is_hash(hash) ? ERR_NOMEM : err;
}

bool
password_matches(const char *password, size_t len, const char *hash)
{
	return password_check(password, len, hash) == ERR_OK;
}

bool
password_is_newest(const char *hash)
{
	return strncmp(hash, "$y$", 3) == 0;
}

int
password_generate(char *password)
{
	/* No 0 O o, 1 I l, and nothing that a shell or a form reads specially. 24 of 31 characters: 118.9 bits. */
	static const char alphabet[] = "23456789abcdefghjkmnpqrstuvwxyz";
	const size_t n = sizeof(alphabet) - 1;
	uint8_t octet;

	for (size_t i = 0; i < 24;) {
		if (getrandom(&octet, 1, 0) != 1)
			return ERR_SYSTEM;
		if (octet < 256 / n * n)	/* else the first ones would come oftener */
			password[i++] = alphabet[octet % n];
	}
	password[24] = 0;
	return ERR_OK;
}
