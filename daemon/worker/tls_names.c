/*
 * Which certificate a client gets by the server name that it sends (SNI). Runs in workers inside a handshake, and while the
 * contexts are made. Pure: no I/O. Invariant: there is always an answer; a name of any kind can do no more than not be found.
 */
#include "tls_context.h"

#include <string.h>
#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* A name must be in subjectAltName, and a wildcard is a whole label (RFC 6125, 6.4.3 and 6.4.4). */
#define CHECK_FLAGS (X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)

const struct tls_entry *
tls_find_name(const struct tls_shared *s, const char *name)
{
	const struct tls_entry *found = NULL;
	size_t n = strlen(name);

	/* A leading dot means any subdomain to OpenSSL; a name that ends with one is the same without. */
	if (n > 1 && name[n - 1] == '.')
		n--;
	for (size_t i = 0; n > 0 && name[0] != '.' && i < s->n; i++) {
		char *borne = NULL;
		bool exact;

		if (X509_check_host(s->entries[i].leaf, name, n, CHECK_FLAGS, &borne) != 1 || borne == NULL)
			continue;
		exact = borne[0] != '*';
		OPENSSL_free(borne);
		if (exact)
			return &s->entries[i];
		if (found == NULL)
			found = &s->entries[i];
	}
	return found != NULL ? found : &s->entries[0];
}

static const ASN1_OCTET_STRING *
names_of(const X509 *x)
{
	int i = X509_get_ext_by_NID(x, NID_subject_alt_name, -1);

	return i >= 0 ? X509_EXTENSION_get_data(X509_get_ext(x, i)) : NULL;
}

bool
tls_has_same_names(const X509 *a, const X509 *b)
{
	const ASN1_OCTET_STRING *x = names_of(a), *y = names_of(b);

	return x != NULL && y != NULL && ASN1_OCTET_STRING_cmp(x, y) == 0;
}
