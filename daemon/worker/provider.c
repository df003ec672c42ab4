/*
 * An OpenSSL provider, built in, whose keys have a public part here and a private part in postern-keys. Runs in workers,
 * inside a handshake; the master makes the keys. Invariant: no private number is ever in this process; the whole text
 * goes to postern-keys, never a digest; waiting for the answer is bounded.
 *
 * libssl signs by EVP_DigestSignInit_ex() and a one-shot EVP_DigestSign(), and sets padding and salt for PSS in
 * between. EVP first tries to move the key to the default provider's signature; export refuses
 * to part with a private key, so EVP comes back here (provider-keymgmt(7), provider-signature(7)).
 */
#include "provider.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include "err.h"
#include "io.h"
#include "ipc.h"

#define PROVIDER_NAME "postern"
#define PROVIDER_PROPERTY "provider=" PROVIDER_NAME
#define PARAM_INDEX "postern-key"	/* only provider_make_key() passes it: this key has its private part in postern-keys */
#define ANSWER_MS 10000

struct provider_key {
	const char	*type;		/* "RSA", "EC" */
	EVP_PKEY	*public;	/* the default provider's */
	bool		 private;
	unsigned	 index;
};

struct signing {
	const struct provider_key	*key;
	unsigned			 hash;	/* 0, 1, 2: SHA-256, SHA-384, SHA-512 */
	bool				 pss;
};

static OSSL_LIB_CTX *library_context;
static int keys_fd = -1;
static bool failed;

/* The question. */

static int
receive(uint8_t *buf, size_t size, struct ipc_sign_answer *m)
{
	uint64_t now, deadline = io_now_ms() + ANSWER_MS;
	struct ipc_message message;
	int err;

	while ((err = ipc_recv(keys_fd, IPC_WORKER_FROM_KEYS, buf, size, false, &message)) == ERR_BUSY) {
		struct pollfd p = { .fd = keys_fd, .events = POLLIN };

		if ((now = io_now_ms()) >= deadline)
			return ERR_TIMEOUT;
		if (poll(&p, 1, (int)(deadline - now)) < 0 && errno != EINTR)
			return ERR_SYSTEM;
	}
	if (err != ERR_OK)
		return err;
	return ipc_get_sign_answer(&message.body, m);
}

static int
request_sign(const struct ipc_sign *m, uint8_t *signature, size_t *len, size_t size)
{
	uint8_t data[IPC_SIGN_TEXT_MAX + 64], answer[IPC_SIGNATURE_MAX + 64];
	struct ipc_sign_answer a;
	struct wire_out w;
	int err;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_sign(&w, m);
	if ((err = ipc_send(keys_fd, &w, NULL, 0, false)) != ERR_OK)
		return err;
	if ((err = receive(answer, sizeof(answer), &a)) != ERR_OK)
		return err;
	if (a.signature_len == 0)
		return ERR_DENIED;
	if (a.signature_len > size)
		return ERR_TOOBIG;
	memcpy(signature, a.signature, a.signature_len);
	*len = a.signature_len;
	return ERR_OK;
}

/* Keys. */

static void *
key_new(const char *type)
{
	struct provider_key *k = calloc(1, sizeof(*k));

	if (k != NULL)
		k->type = type;
	return k;
}

static void *
key_new_rsa(void *provider)
{
	(void)provider;
	return key_new("RSA");
}

static void *
key_new_ec(void *provider)
{
	(void)provider;
	return key_new("EC");
}

static void
key_free(void *key)
{
	struct provider_key *k = key;

	if (k != NULL)
		EVP_PKEY_free(k->public);
	free(k);
}

static int
key_has(const void *key, int selection)
{
	const struct provider_key *k = key;

	if (k->public == NULL)
		return 0;
	return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 || k->private;
}

static int
key_match(const void *a, const void *b, int selection)
{
	const struct provider_key *x = a, *y = b;

	(void)selection;
	return x->public != NULL && y->public != NULL && EVP_PKEY_eq(x->public, y->public) == 1;
}

/* A key that comes from elsewhere, to be compared, has no index and so no private part. */
static int
key_import(void *key, int selection, const OSSL_PARAM params[])
{
	struct provider_key *k = key;
	const OSSL_PARAM *index = OSSL_PARAM_locate_const(params, PARAM_INDEX);
	EVP_PKEY_CTX *ctx;
	int done;

	(void)selection;
	if (k->public != NULL || (index != NULL && OSSL_PARAM_get_uint(index, &k->index) != 1))
		return 0;
	ctx = EVP_PKEY_CTX_new_from_name(library_context, k->type, "provider=default");
	done = ctx != NULL && EVP_PKEY_fromdata_init(ctx) > 0 &&
	    EVP_PKEY_fromdata(ctx, &k->public, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)(uintptr_t)params) > 0;
	EVP_PKEY_CTX_free(ctx);
	k->private = done && index != NULL;
	return done;
}

static int
key_export(void *key, int selection, OSSL_CALLBACK *take, void *argument)
{
	const struct provider_key *k = key;
	OSSL_PARAM *params = NULL;
	int done;

	if (k->public == NULL || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0)
		return 0;
	done = EVP_PKEY_todata(k->public, EVP_PKEY_PUBLIC_KEY, &params) > 0 && take(params, argument);
	OSSL_PARAM_free(params);
	return done;
}

static const OSSL_PARAM *
key_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_uint(PARAM_INDEX, NULL),
		OSSL_PARAM_END,
	};

	return (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 ? types : NULL;
}

static int
key_get_params(void *key, OSSL_PARAM params[])
{
	const struct provider_key *k = key;

	return k->public != NULL && EVP_PKEY_get_params(k->public, params) > 0;
}

static const OSSL_PARAM *
key_gettable_params(void *provider)
{
	static const OSSL_PARAM gettable[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)provider;
	return gettable;
}

static const char *
key_operation_name_ec(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

/* Signatures. */

static void *
signing_new(void *provider, const char *properties)
{
	(void)provider;
	(void)properties;
	return calloc(1, sizeof(struct signing));
}

static int
signing_set_params(void *context, const OSSL_PARAM params[])
{
	struct signing *s = context;
	const OSSL_PARAM *p;
	int number = 0;

	if (params == NULL)
		return 1;
	if ((p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE)) != NULL) {
		if (p->data_type == OSSL_PARAM_UTF8_STRING)
			number = strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0 ? RSA_PKCS1_PSS_PADDING :
			    strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0 ? RSA_PKCS1_PADDING : 0;
		else if (OSSL_PARAM_get_int(p, &number) != 1)
			return 0;
		if (number != RSA_PKCS1_PSS_PADDING && number != RSA_PKCS1_PADDING)
			return 0;
		s->pss = number == RSA_PKCS1_PSS_PADDING;
	}
	/* The salt is as long as the digest: TLS has no other (RFC 8446, 4.2.3), and postern-keys makes no other. */
	if ((p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN)) != NULL) {
		if (p->data_type == OSSL_PARAM_UTF8_STRING)
			return strcmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
		return OSSL_PARAM_get_int(p, &number) == 1 && number == RSA_PSS_SALTLEN_DIGEST;
	}
	return 1;
}

static const OSSL_PARAM *
signing_settable_params(void *context, void *provider)
{
	static const OSSL_PARAM settable[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)context;
	(void)provider;
	return settable;
}

static int
signing_start(void *context, const char *digest, void *key, const OSSL_PARAM params[])
{
	static const struct {
		const char	*name;
		unsigned	 hash;
	} digests[] = {
		{ "SHA2-256", 0 }, { "SHA256", 0 }, { "SHA2-384", 1 }, { "SHA384", 1 }, { "SHA2-512", 2 }, { "SHA512", 2 },
	};
	struct signing *s = context;
	const struct provider_key *k = key;

	if (k == NULL || !k->private || digest == NULL)
		return 0;
	s->key = k;
	s->pss = false;
	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++)
		if (strcasecmp(digest, digests[i].name) == 0) {
			s->hash = digests[i].hash;
			return signing_set_params(s, params);
		}
	return 0;
}

static int
signing_sign(void *context, unsigned char *signature, size_t *len, size_t size, const unsigned char *text, size_t n)
{
	const struct signing *s = context;
	enum sign_algorithm base = s->key->type[0] == 'E' ? SIGN_ECDSA_SHA256 : s->pss ? SIGN_RSA_PSS_SHA256 :
	    SIGN_RSA_PKCS1_SHA256;
	struct ipc_sign m = { .key = (uint8_t)s->key->index, .algorithm = (enum sign_algorithm)(base + s->hash),
	    .text = text, .text_len = n };

	if (signature == NULL) {
		*len = (size_t)EVP_PKEY_get_size(s->key->public);
		return 1;
	}
	if (keys_fd >= 0 && request_sign(&m, signature, len, size) == ERR_OK)
		return 1;
	failed = true;
	return 0;
}

/* The tables by which OpenSSL finds the above: each row's number names the type that the pointer is called by. */

#define ROW(id, function) { id, (void (*)(void))(function) }

#define KEY_ROWS \
	ROW(OSSL_FUNC_KEYMGMT_FREE, key_free), \
	ROW(OSSL_FUNC_KEYMGMT_HAS, key_has), \
	ROW(OSSL_FUNC_KEYMGMT_MATCH, key_match), \
	ROW(OSSL_FUNC_KEYMGMT_IMPORT, key_import), \
	ROW(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_types), \
	ROW(OSSL_FUNC_KEYMGMT_EXPORT, key_export), \
	ROW(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_types), \
	ROW(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params), \
	ROW(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params)

static const OSSL_DISPATCH rsa_key[] = {
	ROW(OSSL_FUNC_KEYMGMT_NEW, key_new_rsa),
	KEY_ROWS,
	{ 0, NULL },
};

static const OSSL_DISPATCH ec_key[] = {
	ROW(OSSL_FUNC_KEYMGMT_NEW, key_new_ec),
	ROW(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, key_operation_name_ec),
	KEY_ROWS,
	{ 0, NULL },
};

static const OSSL_DISPATCH signature[] = {
	ROW(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
	ROW(OSSL_FUNC_SIGNATURE_FREECTX, free),
	ROW(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_start),
	ROW(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signing_sign),
	ROW(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set_params),
	ROW(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable_params),
	{ 0, NULL },
};

static const OSSL_ALGORITHM *
query(void *provider, int operation, int *no_cache)
{
	static const OSSL_ALGORITHM keys[] = {
		{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", PROVIDER_PROPERTY, rsa_key, "RSA, private part in postern-keys" },
		{ "EC:id-ecPublicKey:1.2.840.10045.2.1", PROVIDER_PROPERTY, ec_key, "EC, private part in postern-keys" },
		{ NULL, NULL, NULL, NULL },
	};
	static const OSSL_ALGORITHM signatures[] = {
		{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", PROVIDER_PROPERTY, signature, "RSA by postern-keys" },
		{ "ECDSA", PROVIDER_PROPERTY, signature, "ECDSA by postern-keys" },
		{ NULL, NULL, NULL, NULL },
	};

	(void)provider;
	*no_cache = 0;
	return operation == OSSL_OP_KEYMGMT ? keys : operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int
provider_start(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **context)
{
	static const OSSL_DISPATCH functions[] = {
		ROW(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
		{ 0, NULL },
	};

	(void)in;
	*context = (void *)(uintptr_t)core;
	*out = functions;
	return 1;
}

int
provider_load(OSSL_LIB_CTX *library)
{
	library_context = library;
	/* By preference, not by demand: EVP also looks for this provider's signature with these properties. */
	if (EVP_set_default_properties(library, "?provider=default") != 1 ||
	    OSSL_PROVIDER_add_builtin(library, PROVIDER_NAME, provider_start) != 1 ||
	    OSSL_PROVIDER_load(library, "default") == NULL || OSSL_PROVIDER_load(library, PROVIDER_NAME) == NULL)
		return ERR_SYSTEM;
	return ERR_OK;
}

int
provider_make_key(OSSL_LIB_CTX *library, EVP_PKEY *public, unsigned index, EVP_PKEY **key)
{
	OSSL_PARAM own[] = { OSSL_PARAM_uint(PARAM_INDEX, &index), OSSL_PARAM_END };
	OSSL_PARAM *params = NULL, *merged = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	int err = ERR_SYSTEM;

	*key = NULL;
	if (EVP_PKEY_todata(public, EVP_PKEY_PUBLIC_KEY, &params) > 0 && (merged = OSSL_PARAM_merge(params, own)) != NULL &&
	    (ctx = EVP_PKEY_CTX_new_from_name(library, EVP_PKEY_get0_type_name(public), PROVIDER_PROPERTY)) != NULL &&
	    EVP_PKEY_fromdata_init(ctx) > 0 && EVP_PKEY_fromdata(ctx, key, EVP_PKEY_KEYPAIR, merged) > 0)
		err = ERR_OK;
	EVP_PKEY_CTX_free(ctx);
	OPENSSL_free(merged);
	OSSL_PARAM_free(params);
	return err;
}

void
provider_set_socket(int fd)
{
	keys_fd = fd;
	failed = false;
}

bool
provider_has_failed(void)
{
	return failed;
}
