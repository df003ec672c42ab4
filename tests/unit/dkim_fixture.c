/*
 * Keys and questions for the tests of DKIM. Part of unit tests only.
 */
#include "dkim_fixture.h"

#include <string.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base64.h"
#include "err.h"
#include "unit.h"

static const char ed25519_secret[] = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const char dkim_ed25519_public[] = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
static const char rsa_secret[] =
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi\n"
    "Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM\n"
    "KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB\n"
    "AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm\n"
    "6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe\n"
    "zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy\n"
    "6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc\n"
    "uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy\n"
    "WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd\n"
    "WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a\n"
    "licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst\n"
    "o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe\n"
    "uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL\n"
    "-----END RSA PRIVATE KEY-----\n";

void
dkim_open_key(struct dkim_key *k, enum dkim_algorithm algorithm, const char *domain, const char *selector)
{
	uint8_t raw[64];
	size_t len;
	BIO *bio;

	*k = (struct dkim_key){ .name = { .algorithm = algorithm, .state = DKIM_ACTIVE } };
	snprintf(k->name.domain, sizeof(k->name.domain), "%s", domain);
	snprintf(k->name.selector, sizeof(k->name.selector), "%s", selector);
	if (algorithm == DKIM_ED25519) {
		assert_int_equal(base64_decode(raw, &len, ed25519_secret, sizeof(ed25519_secret) - 1), ERR_OK);
		k->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, len);
	} else {
		assert_non_null(bio = BIO_new_mem_buf(rsa_secret, sizeof(rsa_secret) - 1));
		k->pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
		BIO_free(bio);
	}
	assert_non_null(k->pkey);
}

struct ipc_dkim_sign
dkim_ask(const char *domain, const char *fields)
{
	struct ipc_dkim_sign m = { .number = 7, .fields = (const uint8_t *)fields, .fields_len = strlen(fields) };

	snprintf(m.domain, sizeof(m.domain), "%s", domain);
	memset(m.body_hash, 'h', sizeof(m.body_hash));
	return m;
}

const struct dkim_case dkim_judged[] = {
	{ "example.org", "From: a@example.org\r\n", ERR_OK },
	{ "example.org", "From: \"b@evil.example\" <a@EXAMPLE.org>\r\nTo: x@y.example\r\n", ERR_OK },
	{ "example.org", "from : A\r\n <a@example.org>\r\n", ERR_OK },
	{ "example.org", "From: c@example.net, a@example.org\r\n", ERR_OK },
	{ "example.org", "From: c@example.net\r\n", ERR_DENIED },
	{ "example.org", "From: c@example.net (a@example.org)\r\n", ERR_DENIED },
	{ "example.org", "From: \"a@example.org\" <c@example.net>\r\n", ERR_DENIED },
	{ "example.org", "From: a@sub.example.org\r\n", ERR_DENIED },
	{ "example.org", "From: a@example.org.evil\r\n", ERR_DENIED },
	{ "example.org", "From: a@example.org\r\nFrom: a@example.org\r\n", ERR_SYNTAX },
	{ "example.org", "To: a@example.org\r\n", ERR_SYNTAX },
	{ "example.org", "", ERR_SYNTAX },
	{ "example.org", "From: nobody\r\n", ERR_SYNTAX },
	{ "example.org", "From: a@example.org\r\nReceived: x\r\n", ERR_SYNTAX },
	{ "example.org", "From: a@example.org\r\nDKIM-Signature: v=1\r\n", ERR_SYNTAX },
	{ "example.org", "From: a@example.org\r\nX: y\r\n", ERR_SYNTAX },
	{ "example.org", "From: a@example.org\r\n\r\nbody", ERR_SYNTAX },
	{ "example.org", "From: a@example.org\nTo: b\r\n", ERR_SYNTAX },
	{ "example.org", "From: a@example.org", ERR_SYNTAX },
	{ "example.org", "v=1; a=rsa-sha256", ERR_SYNTAX },
	{ "Example.org", "From: a@example.org\r\n", ERR_SYNTAX },
	{ "example.org; s=x", "From: a@example.org\r\n", ERR_SYNTAX },
	{ "example.org\r\nX: y", "From: a@example.org\r\n", ERR_SYNTAX },
	{ "", "From: a@example.org\r\n", ERR_SYNTAX },
};
const size_t dkim_judged_count = COUNT(dkim_judged);
