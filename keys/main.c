/*
 * postern-keys: holds the private keys of TLS and of DKIM, and signs handshakes and mail with them, nothing else. Started by
 * posternd as root (or the caller), or with --dkim by smtpadm to make keys; loads the keys, then gives up files, network and
 * rights before the first foreign octet.
 * Invariant: no key leaves this process, and no core file has one.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "dkim_key.h"
#include "dkim_program.h"
#include "err.h"
#include "io.h"
#include "key.h"
#include "log.h"
#include "profile.h"
#include "sandbox.h"
#include "serve.h"
#include "service.h"

static int
exit_code(int err)
{
	switch (err) {
	case ERR_NOTFOUND:
		return EX_NOINPUT;
	case ERR_DENIED:
		return EX_NOPERM;
	case ERR_SYNTAX:
	case ERR_CORRUPT:
	case ERR_TOOBIG:
		return EX_CONFIG;
	default:
		return EX_OSERR;
	}
}

/* The sandbox forbids both later, but the key is read before it. */
static void
forbid_core(void)
{
	const struct rlimit none = { 0, 0 };

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
}

/* All keys, in the order of the pairs, by which workers number them. */
static size_t
load(const struct service *s, struct key *keys)
{
	struct conf_pair pair;
	char why[1024];
	size_t n = 0;
	int err;

	while (conf_needs_tls(&s->conf) && conf_pair(&s->conf, n, &pair)) {
		if ((err = key_load(&keys[n], &s->in, &pair, why, sizeof(why))) != ERR_OK)
			service_fail(s, exit_code(err), "%s", why);
		n++;
	}
	return n;
}

static size_t
load_dkim(const struct service *s, struct dkim_key **keys)
{
	char why[1024];
	size_t n;
	int err;

	if ((err = dkim_load_active(s->in.dkim_dir, s->ids.keys_uid, keys, &n, why, sizeof(why))) != ERR_OK)
		service_fail(s, exit_code(err), "%s", why);
	return n;
}

static void
prepare(const struct service *s, struct sandbox *box)
{
	*box = (struct sandbox){
		.profile = &keys_profile,
		.privileged = s->ids.separate,
		.uid = s->ids.keys_uid,
		.gid = s->ids.keys_gid,
		.empty_fd = -1,
		.require = s->conf.sandbox_require && s->ids.separate,
	};
	if (box->privileged && (box->empty_fd = open(s->in.empty_dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		service_fail(s, EX_OSFILE, "the empty folder %s can't be opened; run smtpadm setup", s->in.empty_dir);
	if (sandbox_prepare(box) != ERR_OK)
		service_fail(s, EX_OSERR, "the sandbox of postern-keys can't be prepared; run smtpadm selftest sandbox");
}

static uint32_t
enter(const struct service *s, struct sandbox *box)
{
	uint32_t parts;

	if (sandbox_demote(box, &parts) != ERR_OK)
		service_fail(s, EX_OSERR, "postern-keys can't give up its rights; run smtpadm selftest sandbox");
	io_close(&box->empty_fd);
	io_close(&box->ruleset_fd);
	if (sandbox_seal(box, &parts) != ERR_OK)
		service_fail(s, EX_OSERR, "postern-keys can't close its sandbox; run smtpadm selftest sandbox");
	return parts;
}

int
main(int argc, char **argv)
{
	static struct service s;
	static struct key keys[CONF_PAIRS_MAX];
	uint8_t digests[CONF_PAIRS_MAX * sizeof(keys[0].digest)];
	struct dkim_key *dkim;
	struct sandbox box;
	size_t n, ndkim;
	int err;

	forbid_core();
	if (dkim_is_asked(argc, argv))
		return dkim_program(argc, argv);
	service_start(&s, "keys", argc, argv);
	prepare(&s, &box);
	if (s.selftest)
		return sandbox_selftest(&box) == ERR_OK ? EX_OK : 1;
	key_library_start();
	n = load(&s, keys);
	ndkim = load_dkim(&s, &dkim);
	close(SERVICE_CONF_FD);
	for (size_t i = 0; i < n; i++)
		memcpy(digests + i * sizeof(keys[0].digest), keys[i].digest, sizeof(keys[0].digest));
	if (serve_open(SERVICE_CONTROL_FD, keys, n, dkim, ndkim) != ERR_OK)
		service_fail(&s, EX_OSERR, "postern-keys can't make its loop: %s", err_text(ERR_SYSTEM));
	service_ready(&s, enter(&s, &box), digests, n * sizeof(keys[0].digest));
	if ((err = serve_run()) != ERR_OK)
		log_error("loop-failed", "reason", err_text(err), NULL);
	for (size_t i = 0; i < n; i++)
		key_release(&keys[i]);
	for (size_t i = 0; i < ndkim; i++)
		dkim_key_release(&dkim[i]);
	free(dkim);
	return err == ERR_OK ? EX_OK : EX_SOFTWARE;
}
