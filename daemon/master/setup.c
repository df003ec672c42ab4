/*
 * A configuration with what is made from it: the certificate chains, loaded and measured. Run by the master; no private key
 * is read here.
 */
#include "master.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "log.h"
#include "str.h"
#include "tls.h"

#define DESCRIPTORS_OF_OUR_OWN 96	/* listeners, services, what a hand-over needs */
#define DESCRIPTORS_MIN (DESCRIPTORS_OF_OUR_OWN + POOL_REFUSERS_MAX + 32)

bool
setup_needs_tls(const struct setup *s)
{
	return conf_needs_tls(&s->conf);
}

bool
setup_needs_keys(const struct setup *s)
{
	return setup_needs_tls(s) || s->has_dkim;
}

/* FNV-1a: that nobody wants two states to look the same is enough. */
static uint64_t
mix(uint64_t hash, const void *p, size_t n)
{
	const uint8_t *octets = p;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ octets[i]) * 0x100000001b3ULL;
	return hash;
}

static uint64_t
mix_file(uint64_t hash, const struct instance *in, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	if (instance_file(in, name, path) != ERR_OK || stat(path, &st) != 0)
		return mix(hash, "", 1);
	hash = mix(hash, &st.st_dev, sizeof(st.st_dev));
	hash = mix(hash, &st.st_ino, sizeof(st.st_ino));
	hash = mix(hash, &st.st_size, sizeof(st.st_size));
	hash = mix(hash, &st.st_mtim, sizeof(st.st_mtim));
	return mix(hash, &st.st_ctim, sizeof(st.st_ctim));
}

uint64_t
setup_files(const struct instance *in, const struct conf *c)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	struct conf_pair pair;

	for (size_t i = 0; conf_pair(c, i, &pair); i++)
		hash = mix_file(mix_file(hash, in, pair.certificate), in, pair.key);
	return hash != 0 ? hash : 1;
}

static int
load_files(const struct instance *in, struct setup *s, char *why, size_t size)
{
	static char paths[CONF_PAIRS_MAX][PATH_MAX];
	static struct conf_pair pairs[CONF_PAIRS_MAX];
	struct tls_file files[CONF_PAIRS_MAX];
	size_t n;
	int err;

	/* The folder is made with the first key. */
	s->has_dkim = access(in->dkim_dir, F_OK) == 0;
	if (!setup_needs_tls(s))
		return ERR_OK;
	s->files = setup_files(in, &s->conf);
	for (n = 0; conf_pair(&s->conf, n, &pairs[n]); n++) {
		if (instance_file(in, pairs[n].certificate, paths[n]) != ERR_OK) {
			snprintf(why, size, "%s: %s: the path is too long", in->conf_file, pairs[n].certificate_setting);
			return ERR_TOOBIG;
		}
		files[n] = (struct tls_file){ .path = paths[n], .setting = pairs[n].certificate_setting };
	}
	if ((err = tls_prepare(&s->tls, files, n, why, size)) != ERR_OK)
		return err;
	s->ntls = n;
	for (size_t i = 0; i < n; i++)
		tls_public_digest(s->tls, i, s->tls_digests[i]);
	return ERR_OK;
}

int
setup_load(const struct instance *in, struct setup *s, char *why, size_t size)
{
	struct conf_error error;
	struct stat st;
	int err;

	*s = (struct setup){ .text = NULL };
	if (stat(in->conf_file, &st) == 0 && (st.st_mode & S_IWOTH) != 0) {
		snprintf(why, size, "%s: everybody may write it, and so rule this service: chmod o-w it", in->conf_file);
		return ERR_DENIED;
	}
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
		err = load_files(in, s, why, size);
	}
	if (err != ERR_OK)
		setup_free(s);
	return err;
}

int
setup_load_again(const struct instance *in, const struct setup *from, struct setup *s, char *why, size_t size)
{
	struct conf_error error;
	int err;

	*s = (struct setup){ .text = malloc(from->len + 1), .len = from->len };
	if (s->text == NULL) {
		snprintf(why, size, "out of memory");
		return ERR_NOMEM;
	}
	memcpy(s->text, from->text, from->len + 1);
	/* It was parsed before: this can't fail. */
	if ((err = conf_parse(&s->conf, s->text, s->len, &error)) != ERR_OK)
		snprintf(why, size, "%s", error.text);
	else
		err = load_files(in, s, why, size);
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
