/*
 * A configuration with what is made from it: the certificate chain, loaded and measured. Run by the master; no private key
 * is read here.
 */
#include "master.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "tls.h"

bool
setup_needs_tls(const struct setup *s)
{
	for (size_t i = 0; i < s->conf.nlisteners; i++)
		if (s->conf.listeners[i].kind != LISTENER_PLAIN)
			return true;
	return false;
}

static int
load_tls(const struct instance *in, struct setup *s, char *why, size_t size)
{
	char path[PATH_MAX];
	int err;

	if (!setup_needs_tls(s))
		return ERR_OK;
	if (instance_file(in, s->conf.tls_certificate, path) != ERR_OK) {
		snprintf(why, size, "%s: tls.certificate: the path is too long", in->conf_file);
		return ERR_TOOBIG;
	}
	if ((err = tls_prepare(&s->tls, path, why, size)) == ERR_OK)
		tls_public_digest(s->tls, s->tls_digest);
	return err;
}

int
setup_load(const struct instance *in, struct setup *s, char *why, size_t size)
{
	struct conf_error error;
	int err;

	*s = (struct setup){ .text = NULL };
	if ((err = conf_load(&s->conf, in->conf_file, &s->text, &s->len, &error)) != ERR_OK) {
		if (error.line != 0)
			snprintf(why, size, "%s:%u: %s", in->conf_file, error.line, error.text);
		else
			snprintf(why, size, "%s: %s%s", in->conf_file, error.text,
			    err == ERR_NOTFOUND ? "; run smtpadm setup to make one" : "");
		return err;
	}
	if (s->conf.nlisteners == 0) {
		snprintf(why, size, "%s: there is no [listener NAME] section, so nothing would be served; "
		    "run smtpadm setup, or add one with 'address = 0.0.0.0:587'", in->conf_file);
		err = ERR_SYNTAX;
	} else {
		err = load_tls(in, s, why, size);
	}
	if (err != ERR_OK)
		setup_free(s);
	return err;
}

void
setup_free(struct setup *s)
{
	if (s->tls != NULL)
		tls_release(s->tls);
	free(s->text);
	s->tls = NULL;
	s->text = NULL;
}
