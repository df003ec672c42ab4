/*
 * What a certificate says, and whether its chain leads to an authority. Runs in smtpadm; no key is needed. Nothing is
 * asked of the network.
 */
#include "certificate_read.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "err.h"
#include "netaddr.h"

#define DAY 86400

static int64_t
seconds(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void
put_name(char *to, size_t size, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long n = 0;

	if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
		n = BIO_get_mem_data(bio, &data);
	snprintf(to, size, "%.*s", n > 0 ? (int)n : 0, n > 0 ? data : "");
	BIO_free(bio);
}

static void
add_name(struct certificate_info *info, const GENERAL_NAME *general)
{
	char *to = info->names[info->nnames], text[NETADDR_TEXT];
	const ASN1_STRING *value;
	struct netaddr address;
	int n;

	if (general->type == GEN_DNS) {
		value = general->d.dNSName;
		snprintf(to, sizeof(info->names[0]), "%.*s", ASN1_STRING_length(value), (const char *)ASN1_STRING_get0_data(value));
	} else if (general->type == GEN_IPADD) {
		value = general->d.iPAddress;
		n = ASN1_STRING_length(value);
		if (n != 4 && n != 16)
			return;
		address = (struct netaddr){ .family = n == 4 ? 4 : 6 };
		memcpy(address.octets, ASN1_STRING_get0_data(value), (size_t)n);
		snprintf(to, sizeof(info->names[0]), "%s", netaddr_put_host(text, &address));
	} else {
		return;
	}
	info->nnames++;
}

static void
read_names(struct certificate_info *info)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(info->leaf, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && info->nnames < CERTIFICATE_NAMES_MAX; i++)
		add_name(info, sk_GENERAL_NAME_value(names, i));
	GENERAL_NAMES_free(names);
}

static void
read_key_type(struct certificate_info *info)
{
	static const char *const groups[][2] = {
		{ "prime256v1", "P-256" }, { "secp384r1", "P-384" }, { "secp521r1", "P-521" },
	};
	EVP_PKEY *key = X509_get0_pubkey(info->leaf);
	char group[40] = "";
	size_t n;

	if (key == NULL) {
		snprintf(info->key_type, sizeof(info->key_type), "unknown");
	} else if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), &n) == 1) {
		for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
			if (strcmp(group, groups[i][0]) == 0)
				snprintf(group, sizeof(group), "%s", groups[i][1]);
		snprintf(info->key_type, sizeof(info->key_type), "EC %s", group);
	} else {
		snprintf(info->key_type, sizeof(info->key_type), "%.40s %d", EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
	}
}

/* Whether this system has authorities at all; without them nothing can be said of a chain that lacks only its root. */
static bool
has_authorities(void)
{
	const struct dirent *entry;
	bool found = access(X509_get_default_cert_file(), R_OK) == 0;
	DIR *d = opendir(X509_get_default_cert_dir());

	while (d != NULL && !found && (entry = readdir(d)) != NULL)
		found = entry->d_name[0] != '.';
	if (d != NULL)
		closedir(d);
	return found;
}

static void
judge_chain(struct certificate_info *info, X509_STORE_CTX *ctx)
{
	int err = X509_STORE_CTX_get_error(ctx);
	char name[512] = "";
	X509 *last;

	switch (err) {
	case X509_V_OK:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:	/* an authority of one's own */
		return;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		if (X509_STORE_CTX_get_error_depth(ctx) > 0 && !has_authorities())
			return;
		if ((last = X509_STORE_CTX_get_current_cert(ctx)) != NULL)
			put_name(name, sizeof(name), X509_get_issuer_name(last));
		snprintf(info->chain_problem, sizeof(info->chain_problem), "the chain is incomplete: the certificate of '%s' is "
		    "neither in the file nor among this system's authorities; the file must hold the whole chain (fullchain.pem)", name);
		return;
	default:
		snprintf(info->chain_problem, sizeof(info->chain_problem), "the chain does not hold: %s",
		    X509_verify_cert_error_string(err));
	}
}

static void
check_chain(struct certificate_info *info, STACK_OF(X509) *others)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();

	if (store != NULL && ctx != NULL && X509_STORE_set_default_paths(store) == 1 &&
	    X509_STORE_CTX_init(ctx, store, info->leaf, others) == 1 && X509_STORE_CTX_set_default(ctx, "ssl_server") == 1) {
		/* The leaf's own time is looked at elsewhere. */
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME);
		X509_verify_cert(ctx);
		judge_chain(info, ctx);
	}
	for (int i = 0; i < sk_X509_num(others) && info->chain_problem[0] == 0; i++)
		if (X509_cmp_current_time(X509_get0_notAfter(sk_X509_value(others, i))) < 0)
			snprintf(info->chain_problem, sizeof(info->chain_problem), "certificate %d of the chain has expired", i + 2);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
}

int
certificate_read(const struct buf *chain, struct certificate_info *info)
{
	BIO *bio = BIO_new_mem_buf(chain->data, (int)chain->len);
	STACK_OF(X509) *others = sk_X509_new_null();
	X509 *x;

	*info = (struct certificate_info){ .leaf = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL };
	while (info->leaf != NULL && others != NULL && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		sk_X509_push(others, x);
	ERR_clear_error();
	BIO_free(bio);
	if (info->leaf != NULL) {
		put_name(info->subject, sizeof(info->subject), X509_get_subject_name(info->leaf));
		put_name(info->issuer, sizeof(info->issuer), X509_get_issuer_name(info->leaf));
		info->not_before = seconds(X509_get0_notBefore(info->leaf));
		info->not_after = seconds(X509_get0_notAfter(info->leaf));
		info->self_signed = X509_self_signed(info->leaf, 0) == 1;
		read_names(info);
		read_key_type(info);
		check_chain(info, others);
	}
	sk_X509_pop_free(others, X509_free);
	return info->leaf != NULL ? ERR_OK : ERR_SYNTAX;
}

void
certificate_info_free(struct certificate_info *info)
{
	X509_free(info->leaf);
	info->leaf = NULL;
}

bool
certificate_bears(const struct certificate_info *info, const char *name)
{
	return X509_check_host(info->leaf, name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
	    NULL) == 1;
}

int64_t
certificate_days_left(const struct certificate_info *info)
{
	int64_t left = info->not_after - (int64_t)time(NULL);

	return left >= 0 ? left / DAY : -((-left + DAY - 1) / DAY);
}
