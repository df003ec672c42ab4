/*
 * postern-relay: carries accepted mail on. Started by posternd as root (or the caller); reads the routes' passwords and the certificates
 * of authorities, forks its resolver, then gives up files and rights before the first foreign octet, and never reads one: each
 * connection has a process of its own. Invariant: a password leaves this process only into the one that logs in with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "profile.h"
#include "relay.h"
#include "resolver_profile.h"
#include "tls.h"
#include "trial.h"

struct relay relay = { .root_fd = -1 };

/* The sandbox forbids both later, but passwords are read before it. */
static void
forbid_core(void)
{
	const struct rlimit none = { 0, 0 };

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
}

/* The first line of the file, without its end. */
static int
read_secret(int fd, char to[SESSION_SECRET_MAX])
{
	ssize_t n = read(fd, to, SESSION_SECRET_MAX);
	char *end;

	if (n <= 0 || n == SESSION_SECRET_MAX)
		return n < 0 ? ERR_SYSTEM : ERR_SYNTAX;
	to[n] = 0;
	if ((end = strpbrk(to, "\r\n")) != NULL)
		memset(end, 0, (size_t)(to + n - end));
	return to[0] != 0 && strlen(to) <= (size_t)n ? ERR_OK : ERR_SYNTAX;
}

static void
load_secret(const struct service *s, const struct conf_route *route, char to[SESSION_SECRET_MAX])
{
	char path[PATH_MAX];
	int fd, err;

	if (instance_file(&s->in, route->secret, path) != ERR_OK)
		service_fail(s, EX_CONFIG, "the secret of route %s has too long a path", route->name);
	switch (err = instance_open_secret(path, &fd)) {
	case ERR_OK:
		break;
	case ERR_NOTFOUND:
		service_fail(s, EX_NOINPUT, "the password of route %s, %s: no such file; write it there (mode 600), or use smtpadm route add",
		    route->name, path);
	case ERR_DENIED:
		service_fail(s, EX_NOPERM, "the password of route %s, %s, is open to others, or no file of root's: chmod 600 %s", route->name,
		    path, path);
	default:
		service_fail(s, EX_OSERR, "the password of route %s, %s: %s", route->name, path, err_text(err));
	}
	err = read_secret(fd, to);
	io_close(&fd);
	if (err != ERR_OK)
		service_fail(s, EX_CONFIG, "the password of route %s, %s, is empty or over %d octets", route->name, path,
		    SESSION_SECRET_MAX - 2);
}

/* Authorities: routes with the same file share them. */
static void
load_authorities(struct relay *r, const struct service *s, size_t i)
{
	const struct conf_route *route = &s->conf.routes[i];
	char path[PATH_MAX] = "", why[1024];
	int err;

	for (size_t j = 0; j < i; j++)
		if (r->clients[j] != NULL && strcmp(s->conf.routes[j].ca, route->ca) == 0) {
			r->clients[i] = r->clients[j];
			return;
		}
	if (route->ca[0] != 0 && instance_file(&s->in, route->ca, path) != ERR_OK)
		service_fail(s, EX_CONFIG, "the ca of route %s has too long a path", route->name);
	err = tls_prepare(&r->clients[i], path, why, sizeof(why));
	/* Without authorities TLS is as good as it can be where nobody asked for them. */
	if (err != ERR_OK && (r->clients[i] == NULL || route->tls == ROUTE_TLS_VERIFIED))
		service_fail(s, err == ERR_SYSTEM ? EX_OSERR : EX_CONFIG, "route %s: %s", route->name, why);
}

static void
load(struct relay *r, const struct service *s)
{
	bool has_local = false;

	for (size_t i = 0; i < s->conf.nroutes; i++) {
		const struct conf_route *route = &s->conf.routes[i];

		if (route->user[0] != 0)
			load_secret(s, route, r->unshared->secrets[i]);
		if (route->tls != ROUTE_TLS_NONE && route->kind != ROUTE_DISCARD)
			load_authorities(r, s, i);
		has_local = has_local || route->path[0] != 0;
	}
	if (has_local && (r->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		service_fail(s, EX_OSERR, "the system's root folder can't be opened: %s", strerror(errno));
	tls_warm_up();
}

static void
prepare(const struct service *s, struct sandbox *box, struct sandbox *outbound)
{
	*box = (struct sandbox){
		.profile = &profile_relay,
		.privileged = s->ids.separate,
		.uid = s->ids.relay_uid,
		.gid = s->ids.relay_gid,
		.empty_fd = -1,
		.require = s->conf.sandbox_require && s->ids.separate,
		.connects = true,
	};
	/* Already demoted with its parent, it narrows what is left. */
	*outbound = (struct sandbox){ .profile = &profile_outbound, .empty_fd = -1, .require = box->require };
	if (box->privileged && (box->empty_fd = open(s->in.empty_dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		service_fail(s, EX_OSFILE, "the empty folder %s can't be opened; run smtpadm setup", s->in.empty_dir);
	if (sandbox_prepare(box) != ERR_OK || sandbox_prepare(outbound) != ERR_OK)
		service_fail(s, EX_OSERR, "the sandbox of postern-relay can't be prepared; run smtpadm selftest sandbox");
}

static uint32_t
enter(const struct service *s, struct sandbox *box)
{
	uint32_t parts;

	if (sandbox_demote(box, &parts) != ERR_OK)
		service_fail(s, EX_OSERR, "postern-relay can't give up its rights; run smtpadm selftest sandbox");
	io_close(&box->empty_fd);
	io_close(&box->ruleset_fd);
	if (sandbox_seal(box, &parts) != ERR_OK)
		service_fail(s, EX_OSERR, "postern-relay can't close its sandbox; run smtpadm selftest sandbox");
	return parts;
}

/* As their own processes would be: root's rights are given up by relay and session process together. */
static int
prove(struct sandbox *box, struct sandbox *outbound)
{
	struct sandbox resolver = *box;
	int err = sandbox_selftest(box);

	outbound->privileged = box->privileged;
	outbound->uid = box->uid;
	outbound->gid = box->gid;
	outbound->empty_fd = box->empty_fd;
	if (sandbox_selftest(outbound) != ERR_OK)
		err = ERR_DENIED;
	resolver.profile = &resolver_profile;
	if (sandbox_prepare(&resolver) != ERR_OK || sandbox_selftest(&resolver) != ERR_OK)
		err = ERR_DENIED;
	return err == ERR_OK ? EX_OK : 1;
}

int
main(int argc, char **argv)
{
	static struct service s;
	struct sandbox box;
	uint32_t parts;
	char why[1024];
	int err;

	bool is_trial = trial_is_wanted(argc, argv);

	forbid_core();
	if (is_trial)
		trial_start(&s, argc, argv);
	else
		service_start(&s, "relay", argc, argv);
	relay.service = &s;
	prepare(&s, &box, &relay.outbound_sandbox);
	if (s.selftest && !is_trial)
		return prove(&box, &relay.outbound_sandbox);
	if (!is_trial)
		close(SERVICE_CONF_FD);
	if (resolver_start(&relay.resolver, &s, why, sizeof(why)) != ERR_OK)
		service_fail(&s, EX_OSERR, "%s", why);
	if (unshared_open(&relay.unshared) != ERR_OK)
		service_fail(&s, EX_OSERR, "no memory that session processes do not share: %s", strerror(errno));
	load(&relay, &s);
	if (is_trial ? loop_open(&relay.loop) != ERR_OK : serve_open(&relay) != ERR_OK)
		service_fail(&s, EX_OSERR, "postern-relay can't make its loop: %s", err_text(ERR_SYSTEM));
	parts = enter(&s, &box);
	if (chdir("/") != 0)
		service_fail(&s, EX_OSERR, "postern-relay can't stand in its root folder: %s", strerror(errno));
	if (is_trial)
		return trial_run(&relay);
	service_ready(&s, parts, NULL, 0);
	if ((err = serve_run(&relay)) != ERR_OK && err != ERR_CLOSED)
		log_error("loop-failed", "reason", err_text(err), NULL);
	return err == ERR_OK ? EX_OK : EX_SOFTWARE;
}
