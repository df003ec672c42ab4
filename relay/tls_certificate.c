/*
 * What a server's certificate says about itself, for an admin who tries a route. Run by session processes. Pure but for the clock.
 */
#include "tls.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "err.h"
#include "tls_client.h"

/* Printable ASCII: it is foreign text. */
static void
clean(char *text)
{
	for (; *text != 0; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static void
put_name(char *to, size_t size, const X509_NAME *name)
{
	if (X509_NAME_get_text_by_NID(name, NID_commonName, to, (int)size) < 0 &&
	    X509_NAME_get_text_by_NID(name, NID_organizationName, to, (int)size) < 0)
		snprintf(to, size, "no name");
	clean(to);
}

static size_t
put_alternatives(char *to, size_t size, X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	size_t used = 0;

	to[0] = 0;
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && i < 4; i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

		if (n->type == GEN_DNS && used < size)
			used += (size_t)snprintf(to + used, size - used, "%s%.*s", used != 0 ? " " : "",
			    ASN1_STRING_length(n->d.dNSName), (const char *)ASN1_STRING_get0_data(n->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	clean(to);
	return used;
}

int
tls_put_certificate(char *to, size_t size, const struct tls *tls)
{
	X509 *certificate = SSL_get0_peer_certificate(tls_ssl(tls));
	char subject[200], issuer[128];
	int days = 0, seconds = 0;

	if (certificate == NULL)
		return ERR_NOTFOUND;
	if (put_alternatives(subject, sizeof(subject), certificate) == 0)
		put_name(subject, sizeof(subject), X509_get_subject_name(certificate));
	put_name(issuer, sizeof(issuer), X509_get_issuer_name(certificate));
	ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate));
	snprintf(to, size, "for %s, by %s, %s %d days", subject, issuer, days < 0 ? "expired for" : "good for", days < 0 ? -days : days);
	return ERR_OK;
}
