/*
 * A configuration with what is made from it: the certificate chain, loaded and measured. Run by the master; no private key
 * is read here.
 */
#include "master.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "err.h"
#include "log.h"
#include "str.h"
#include "tls.h"

#define DESCRIPTORS_OF_OUR_OWN 96	/* listeners, services, what a hand-over needs */
#define DESCRIPTORS_MIN (DESCRIPTORS_OF_OUR_OWN + POOL_REFUSERS_MAX + 32)

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

int
setup_fit_limits(struct setup *s, char *why, size_t size)
{
	uint64_t wanted = s->conf.workers_max + s->conf.workers_spare + POOL_REFUSERS_MAX + DESCRIPTORS_OF_OUR_OWN;
	struct rlimit r;
	char number[24];

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return ERR_SYSTEM;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	if (r.rlim_cur == RLIM_INFINITY || r.rlim_cur >= wanted)
		return ERR_OK;
	if (r.rlim_cur < DESCRIPTORS_MIN) {
		snprintf(why, size, "the limit of open files is %llu, too low to serve: raise it to %llu (ulimit -n)",
		    (unsigned long long)r.rlim_cur, (unsigned long long)wanted);
		return ERR_DENIED;
	}
	s->conf.workers_max = r.rlim_cur - DESCRIPTORS_OF_OUR_OWN - POOL_REFUSERS_MAX;
	if (s->conf.workers_spare > s->conf.workers_max)
		s->conf.workers_spare = s->conf.workers_max;
	log_event(LOG_LEVEL_WARNING, 0, "limits.lowered", "setting", "workers.max",
	    "value", str_put_u64(number, s->conf.workers_max), "reason", "the limit of open files is too low", NULL);
	return ERR_OK;
}
