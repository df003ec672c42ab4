/*
 * postern-auth: who may log in, and what they may send. Started by posternd as root (or as an ordinary
 * user); forks its hashing children, opens the registry, takes its sandbox, then serves. Invariant:
 * the first octet from a worker is read behind the sandbox, with nothing but the registry, the
 * children and the master's socket open.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "err.h"
#include "exhausted.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "password.h"
#include "profile.h"
#include "rates.h"
#include "remember.h"
#include "service.h"
#include "session.h"
#include "str.h"
#include "throttle.h"
#include "writer.h"
#include "tally.h"

#define BUSY_MS 250		/* the longest that the loop waits for a lock */
#define STOP_MS 5000		/* sessions that are under way when the master ends */
#define SWEEP_MS 60000
#define WRITER_STOP_MS 500
#define REAP_MS 100
#define LOG_EVERY_MS 60000

static bool
may_log(uint64_t *last)
{
	uint64_t now = io_now_ms();

	if (*last != 0 && now - *last < LOG_EVERY_MS)
		return false;
	*last = now;
	return true;
}

void
auth_log_trouble(struct auth *a, int err)
{
	if (may_log(&a->trouble_ms))
		log_error("registry.trouble", "error", err_text(err), "reason", registry_reason(a->registry), NULL);
}

void
auth_log_full(struct auth *a)
{
	if (may_log(&a->full_ms))
		log_event(LOG_LEVEL_WARNING, 0, "hashing.queue_full", NULL);
}

static void
fill_sandbox(struct sandbox *box, const struct service *s, const struct sandbox_profile *profile, int empty_fd)
{
	*box = (struct sandbox){
		.profile = profile, .privileged = s->ids.separate, .uid = s->ids.auth_uid, .gid = s->ids.auth_gid,
		.empty_fd = empty_fd, .require = s->ids.separate && s->conf.sandbox_require,
	};
	if (sandbox_prepare(box) != ERR_OK)
		service_fail(s, EX_OSERR, "the sandbox of %s can't be prepared: this kernel lacks seccomp or Landlock",
		    profile->name);
}

static void
start_hashers(struct auth *a, struct service *s, const struct sandbox *box)
{
	uint32_t parts;
	char why[300];
	int err = hashers_start(&a->hashers, s->conf.auth_hashers, box, &parts);

	if (err == ERR_SYSTEM)
		service_fail(s, EX_OSERR, "the hashing children can't be started: %s", exhausted_explain(why, sizeof(why), errno));
	if (err != ERR_OK)
		service_fail(s, EX_OSERR, "the hashing children can't be started in their sandbox: see smtpadm selftest sandbox");
}

/* Somebody's password that nobody has. */
static void
make_dummy(struct auth *a, struct service *s)
{
	char password[32];

	if (password_generate(password) != ERR_OK || password_hash(password, strlen(password), a->dummy_hash) != ERR_OK)
		service_fail(s, EX_OSERR, "passwords can't be hashed: crypt(3) does not know yescrypt");
	mem_wipe(password, sizeof(password));
}

static void
open_registry(struct auth *a, struct service *s, struct registry **own)
{
	static const struct {
		int	err, code;
	} codes[] = {
		{ ERR_NOTFOUND, EX_NOINPUT }, { ERR_VERSION, EX_DATAERR }, { ERR_CORRUPT, EX_DATAERR },
		{ ERR_BUSY, EX_TEMPFAIL }, { ERR_DENIED, EX_NOPERM },
	};
	int err, code = EX_OSERR;

	/* The first brings an older one up to date. */
	if ((err = registry_open(&a->registry, &s->in, &s->ids, false)) == ERR_OK &&
	    (err = registry_open(own, &s->in, &s->ids, true)) == ERR_OK) {
		registry_set_timeout(a->registry, BUSY_MS);
		return;
	}
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].err == err)
			code = codes[i].code;
	service_fail(s, code, "%s", registry_reason(NULL));
}

/* Behind it no process and no thread is made any more. */
static int
start_writer(struct auth *a, const struct service *s, struct registry *own)
{
	const struct rlimit none = { 0, 0 };
	char why[300];

	if (writer_open(&a->writer, own) != ERR_OK)
		service_fail(s, EX_OSERR, "the thread that writes the registry can't be started: %s",
		    exhausted_explain(why, sizeof(why), errno));
	return setrlimit(RLIMIT_NPROC, &none) != 0 ? ERR_SYSTEM : ERR_OK;
}

static void
start(struct auth *a, struct service *s)
{
	struct sandbox box, hasher_box;
	struct registry *own;
	uint32_t parts;
	int empty_fd = -1;

	if (s->ids.separate && (empty_fd = open(s->in.empty_dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		service_fail(s, EX_OSERR, "the empty folder %s is not there: run smtpadm setup", s->in.empty_dir);
	fill_sandbox(&hasher_box, s, &profile_hasher, empty_fd);
	fill_sandbox(&box, s, &profile_auth, empty_fd);
	if (s->selftest) {
		int err = sandbox_selftest(&box), hasher_err = sandbox_selftest(&hasher_box);

		exit(err == ERR_OK && hasher_err == ERR_OK ? EX_OK : 1);
	}
	start_hashers(a, s, &hasher_box);
	make_dummy(a, s);
	open_registry(a, s, &own);
	deadlines_init(&a->deadlines);
	link_init(a);
	if ((a->conf = calloc(1, sizeof(*a->conf))) == NULL || remember_open(&a->remember) != ERR_OK ||
	    remember_open(&a->wrong) != ERR_OK || rates_open(&a->rates) != ERR_OK ||
	    throttle_open(&a->networks) != ERR_OK || throttle_open(&a->pairs) != ERR_OK ||
	    loop_open(&a->loop) != ERR_OK || hashers_watch(&a->hashers, &a->loop) != ERR_OK ||
	    control_watch(a, SERVICE_CONTROL_FD) != ERR_OK)
		service_fail(s, EX_OSERR, "postern-auth is out of memory or descriptors");
	*a->conf = (struct auth_conf){ .conf = s->conf, .users = 1 };
	if (sandbox_demote(&box, &parts) != ERR_OK || start_writer(a, s, own) != ERR_OK || sandbox_seal(&box, &parts) != ERR_OK)
		service_fail(s, EX_OSERR, "postern-auth can't enter its sandbox: see smtpadm selftest sandbox");
	io_close(&empty_fd);
	io_close(&box.ruleset_fd);
	io_close(&hasher_box.ruleset_fd);
	close(SERVICE_CONF_FD);
	service_ready(s, parts, NULL, 0);
}

static void
serve(struct auth *a)
{
	uint64_t swept = io_now_ms(), stop_at = 0;

	for (;;) {
		uint64_t now = io_now_ms();
		int wait = bans_wait(&a->bans, now);

		if (a->hashers.unreaped != 0 && wait > REAP_MS)
			wait = REAP_MS;
		if (a->stopping) {
			stop_at = stop_at != 0 ? stop_at : now + STOP_MS;
			if (a->nsessions == 0 || now >= stop_at) {
				writer_drain(a->writer, WRITER_STOP_MS);
				exit(EX_OK);
			}
			wait = stop_at - now < (uint64_t)wait ? (int)(stop_at - now) : wait;
		}
		wait = tally_tell(a->control.fd, now, wait);
		if (loop_run_once(&a->loop, deadlines_wait(&a->deadlines, now, wait)) != ERR_OK) {
			log_error("loop.failed", "error", err_text(ERR_SYSTEM), NULL);
			exit(EX_OSERR);
		}
		deadlines_run(&a->deadlines, io_now_ms());
		hashers_reap(&a->hashers);
		if (a->hashers.alive == 0) {
			log_event(LOG_LEVEL_ALARM, 0, "hashing.ended", "text", "no child is left: starting anew", NULL);
			exit(EX_SOFTWARE);
		}
		bans_check(a, io_now_ms());
		if (now - swept >= SWEEP_MS) {
			remember_sweep(a->remember, now);
			remember_sweep(a->wrong, now);
			rates_sweep(a->rates, now);
			swept = now;
		}
	}
}

int
main(int argc, char **argv)
{
	static struct service service;
	static struct auth a;

	service_start(&service, "auth", argc, argv);
	start(&a, &service);
	serve(&a);
}
