/*
 * The pairs of certificate and key that a configuration names: the default one and those of sections [certificate NAME].
 * Run by whoever parses a configuration. Pure.
 */
#include "conf.h"

#include <stdio.h>
#include <string.h>

#include "err.h"
#include "str.h"

static struct conf_certificate *
find(struct conf *c, const char *name)
{
	struct conf_certificate *cert;

	for (size_t i = 0; i < c->ncertificates; i++)
		if (strcmp(c->certificates[i].name, name) == 0)
			return &c->certificates[i];
	if (c->ncertificates == CONF_CERTIFICATES_MAX)
		return NULL;
	cert = &c->certificates[c->ncertificates];
	if (str_copy(cert->name, sizeof(cert->name), name, strlen(name)) != ERR_OK)
		return NULL;
	c->ncertificates++;
	return cert;
}

int
conf_set_certificate(struct conf *c, const char *name, const char *key, const char *value, struct conf_error *error)
{
	struct conf_certificate *cert;
	char *field;

	/* It becomes part of file names and of settings' names. */
	if (name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] != 0 || name[0] == '.') {
		snprintf(error->text, sizeof(error->text), "'%s' is no name for a certificate: use letters, digits, '.', '_' and '-'",
		    name);
		return ERR_SYNTAX;
	}
	if ((cert = find(c, name)) == NULL) {
		snprintf(error->text, sizeof(error->text), "more than %d certificates beside tls.certificate, or the name '%s' is "
		    "too long", CONF_CERTIFICATES_MAX, name);
		return ERR_TOOBIG;
	}
	if (strcmp(key, "certificate") != 0 && strcmp(key, "key") != 0) {
		snprintf(error->text, sizeof(error->text), "unknown key '%s' in [certificate %s]: the keys are certificate and key",
		    key, name);
		return ERR_NOTFOUND;
	}
	field = key[0] == 'k' ? cert->key : cert->certificate;
	if (field[0] != 0) {
		snprintf(error->text, sizeof(error->text), "%s of certificate '%s' is set twice: remove one of the lines", key, name);
		return ERR_EXISTS;
	}
	if (value[0] != 0 && str_copy(field, sizeof(cert->key), value, strlen(value)) == ERR_OK)
		return ERR_OK;
	snprintf(error->text, sizeof(error->text), "'%s' is no file name for %s of certificate '%s'", value, key, name);
	return ERR_SYNTAX;
}

void
conf_complete_certificates(struct conf *c)
{
	for (size_t i = 0; i < c->ncertificates; i++) {
		struct conf_certificate *cert = &c->certificates[i];

		if (cert->certificate[0] == 0)
			snprintf(cert->certificate, sizeof(cert->certificate), "tls/%s.pem", cert->name);
		if (cert->key[0] == 0)
			snprintf(cert->key, sizeof(cert->key), "tls/%s-key.pem", cert->name);
	}
}

bool
conf_pair(const struct conf *c, size_t i, struct conf_pair *p)
{
	if (i == 0) {
		*p = (struct conf_pair){ .name = "", .certificate = c->tls_certificate, .key = c->tls_key,
		    .certificate_setting = "tls.certificate", .key_setting = "tls.key" };
		return true;
	}
	if (--i >= c->ncertificates)
		return false;
	*p = (struct conf_pair){ .name = c->certificates[i].name, .certificate = c->certificates[i].certificate,
	    .key = c->certificates[i].key };
	snprintf(p->certificate_setting, sizeof(p->certificate_setting), "certificate.%s.certificate", p->name);
	snprintf(p->key_setting, sizeof(p->key_setting), "certificate.%s.key", p->name);
	return true;
}

bool
conf_needs_tls(const struct conf *c)
{
	for (size_t i = 0; i < c->nlisteners; i++)
		if (c->listeners[i].kind != LISTENER_PLAIN)
			return true;
	return false;
}
