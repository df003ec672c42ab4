/*
 * posternd: reads the configuration, starts the services, forks workers, accepts clients and hands them over, watches
 * over all of them. Runs as root where it can, and is therefore kept free of every foreign octet: no byte from a client,
 * no SQLite, no private key, no password.
 */
#include "master.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "activation.h"
#include "err.h"
#include "exhausted.h"
#include "io.h"
#include "log.h"
#include "notify.h"
#include "sandbox_table.h"
#include "str.h"
#include "tls.h"

#define READY_MS 600000		/* a big spool takes its time to be looked through */
#define STOP_WORKERS_MS 6000
#define STOP_SERVICES_MS 1200
#define STOP_DELIVERIES_MS 15000	/* for those whose message the next hop has whole, and has not answered */
#define DOWN_WORD_MS 3000	/* a service missing for longer: clients are told 421 instead of waiting */

static struct master master;

struct signals {
	struct master		*master;
	struct loop_watch	 watch;
};

struct options {
	const char	*root;
	bool		 selftest;
};

static void
usage(void)
{
	fputs("usage: posternd [--root DIR] [--selftest] [--version]\n"
	    "Serves in the foreground; TERM ends it, HUP reloads the configuration. See posternd(8).\n", stderr);
	exit(EX_USAGE);
}

static struct options
read_options(int argc, char **argv)
{
	struct options o = { .root = getenv("POSTERN_ROOT") };

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--root") == 0 && i + 1 < argc) {
			o.root = argv[++i];
		} else if (strcmp(argv[i], "--selftest") == 0) {
			o.selftest = true;
		} else if (strcmp(argv[i], "--version") == 0) {
			puts("posternd " POSTERN_VERSION);
			exit(EX_OK);
		} else {
			usage();
		}
	}
	return o;
}

/* run/ and run/empty; the folder that programs see as their root must be there and empty. */
static void
prepare_folders(struct master *m)
{
	if ((mkdir(m->in.run_dir, 0755) != 0 && errno != EEXIST) || (mkdir(m->in.empty_dir, 0555) != 0 && errno != EEXIST))
		log_fatal(EX_CANTCREAT, "the folder %s can't be made: %s; run smtpadm setup first", m->in.empty_dir, strerror(errno));
	m->sandbox.empty_fd = open(m->in.empty_dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (m->sandbox.empty_fd < 0)
		log_fatal(EX_OSERR, "the folder %s can't be opened: %s", m->in.empty_dir, strerror(errno));
}

/* One posternd an instance; the lock goes with the process. */
static void
take_pid_file(struct master *m)
{
	char path[PATH_MAX], text[24];
	struct stat st;
	int fd;

	if (str_fmt(path, sizeof(path), "%s/posternd.pid", m->in.run_dir) != ERR_OK)
		log_fatal(EX_CONFIG, "the path of %s is too long", m->in.run_dir);
	if ((fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644)) < 0)
		log_fatal(EX_CANTCREAT, "%s can't be written: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
		log_fatal(EX_CANTCREAT, "%s is not a file of its own: remove it", path);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		log_fatal(EX_TEMPFAIL, "posternd runs already for this instance (%s is locked); stop it first", path);
	snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) != 0 || io_write_all(fd, text, strlen(text)) != ERR_OK)
		log_fatal(EX_IOERR, "%s can't be written: %s", path, strerror(errno));
	/* fd stays open for the lock. */
}

static void
prepare_sandbox(struct master *m)
{
	struct sandbox *s = &m->sandbox;

	s->profile = &worker_profile;
	s->privileged = m->ids.separate;
	s->uid = m->ids.smtp_uid;
	s->gid = m->ids.smtp_gid;
	s->require = m->ids.separate && m->setup.conf.sandbox_require != 0;
	if (sandbox_prepare(s) != ERR_OK)
		log_fatal(EX_OSERR, "the sandbox can't be prepared: %s", strerror(errno));
}

/* The workers' sandbox must work before anybody is let in. */
static void
try_sandbox(struct master *m)
{
	char text[128], why[300];
	uint32_t parts;
	int status;
	pid_t pid;

	if (m->sandbox.ruleset_fd < 0)
		log_event(m->sandbox.require ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, 0, "sandbox.part_missing", "part", "landlock",
		    "fix", m->sandbox.require ? "use a kernel with Landlock, or set sandbox.require off" : NULL, NULL);
	if ((pid = fork()) == 0)
		_exit(sandbox_demote(&m->sandbox, &parts) == ERR_OK && sandbox_seal(&m->sandbox, &parts) == ERR_OK ? 0 : 1);
	if (pid < 0)
		log_fatal(EX_OSERR, "no process can be started: %s", exhausted_explain(why, sizeof(why), errno));
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		log_fatal(EX_OSERR, "the workers' sandbox can't be entered; smtpadm selftest sandbox says which part is missing");
	sandbox_put_parts(text, m->ids.separate ? SANDBOX_PARTS_ALL : SANDBOX_PARTS_UNPRIVILEGED);
	log_info("sandbox.ready", "build", sandbox_build_name, "parts", text, NULL);
	if (!m->ids.separate)
		log_event(LOG_LEVEL_WARNING, 0, "unprivileged", "reason",
		    "not started as root: all programs run as one user, without chroot", NULL);
}

static void
reap(struct master *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!pool_reap(m, pid, status))
			services_reap(m, pid, status);
}

static void
take_signal(void *owner, uint32_t events)
{
	struct signals *g = owner;
	struct signalfd_siginfo info;

	(void)events;
	while (read(g->watch.fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			reap(g->master);
			break;
		case SIGHUP:
			if (!g->master->stopping)
				reload_begin(g->master);
			break;
		default:
			g->master->stopping = true;
		}
	}
}

static void
watch_signals(struct signals *g)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	g->watch = (struct loop_watch){ .handle = take_signal, .owner = g };
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 ||
	    (g->watch.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) < 0 ||
	    loop_add(&g->master->loop, &g->watch, EPOLLIN) != ERR_OK)
		log_fatal(EX_OSERR, "signals can't be watched: %s", strerror(errno));
}

/* Runs the loop until `done` says so or the time is over; false then. */
static bool
run_until(struct master *m, bool (*done)(const struct master *m), uint64_t ms)
{
	uint64_t deadline = io_now_ms() + ms;

	while (!done(m)) {
		if (io_now_ms() >= deadline)
			return false;
		loop_run_once(&m->loop, 50);
	}
	return true;
}

static bool
is_started(const struct master *m)
{
	return services_are_ready(m) || services_failed(m) != NULL || m->stopping;
}

static void
start_services(struct master *m)
{
	const struct service_process *failed;

	services_start(m);
	for (uint64_t deadline = io_now_ms() + READY_MS; !is_started(m) && io_now_ms() < deadline;) {
		loop_run_once(&m->loop, 50);
		if (services_failed(m) == NULL)
			services_tick(m, io_now_ms());
	}
	if (services_are_ready(m) || m->stopping)
		return;
	failed = services_failed(m);
	m->stopping = true;
	services_end(m);
	if (!run_until(m, services_are_gone, 1000))
		services_kill(m);
	if (failed == NULL)
		log_fatal(EX_SOFTWARE, "the services did not become ready in time");
	log_fatal(failed->code, "postern-%s: %s", service_name(failed->id), failed->reason);
}

static void
serve(struct master *m)
{
	while (!m->stopping) {
		uint64_t now = io_now_ms();
		int wait = services_tick(m, now), look = watch_tick(m, now);
		int doomed = pool_tick(m, now);
		bool down = m->services.down_since_ms != 0;

		if (m->draining && m->pool.nbusy == 0) {
			m->stopping = true;
			break;
		}
		if (look >= 0 && (wait < 0 || look < wait))
			wait = look;
		if ((look = notify_tick(now)) >= 0 && (wait < 0 || look < wait))
			wait = look;
		reload_continue(m);
		pool_fill(m);
		/* While a service is being started again clients wait in the kernel; if that lasts, they are told. */
		if (down && now - m->services.down_since_ms < DOWN_WORD_MS)
			listeners_pause(m);
		else if (m->listeners.paused && (pool_can_serve(m) || pool_is_starved(m)))
			listeners_resume(m);
		if ((m->listeners.paused || m->pool.nidle < m->setup.conf.workers_spare || down) && (wait < 0 || wait > 50))
			wait = 50;
		if (doomed >= 0 && (wait < 0 || wait > doomed))
			wait = doomed;
		loop_run_once(&m->loop, wait);
	}
}

/* Workers first, since they need the services to keep their promises; all within 8 seconds, and 15 more where a next hop is slow. */
static void
stop(struct master *m)
{
	notify_stopping();
	log_info("stopping", "sessions", m->pool.nbusy != 0 ? "some" : "none", NULL);
	listeners_close(m);
	control_close(m);
	pool_end(m);
	if (!run_until(m, pool_is_empty, STOP_WORKERS_MS)) {
		pool_kill(m);
		run_until(m, pool_is_empty, 300);
	}
	services_end(m);
	if (!run_until(m, services_are_gone, STOP_SERVICES_MS) && services_only_deliver(m))
		run_until(m, services_are_gone, STOP_DELIVERIES_MS);
	if (!services_are_gone(m)) {
		services_kill(m);
		run_until(m, services_are_gone, 300);
	}
	/* What a reload left behind may still wait for a handshake. */
	services_kill(m);
	log_info("stopped", NULL);
}

static void
log_listeners(const struct master *m)
{
	char address[NETADDR_TEXT];

	for (size_t i = 0; i < m->listeners.n; i++) {
		const struct conf_listener *l = &m->listeners.list[i]->conf;

		log_info("listening", "listener", l->name, "kind", conf_listener_kind(l->kind),
		    "address", netaddr_put(address, &l->address), NULL);
	}
	if (m->listeners.local != NULL)
		log_info("listening", "listener", "local", "kind", "local", "path", INSTANCE_SUBMIT_FILE, NULL);
}

static void
open_everything(struct master *m, const struct options *o)
{
	char why[1024];
	int err;

	if (instance_open(&m->in, o->root) != ERR_OK)
		log_fatal(EX_OSERR, "the folder %s can't be used", o->root);
	/* The codes that smtpadm config check has for these. */
	if ((err = setup_load(&m->in, &m->setup, why, sizeof(why))) != ERR_OK)
		log_fatal(err == ERR_NOTFOUND ? EX_NOINPUT : err == ERR_DENIED ? EX_NOPERM : EX_CONFIG, "%s", why);
	log_configure((enum log_level)m->setup.conf.log_level, (enum log_format)m->setup.conf.log_format);
	if (m->setup.conf.log_target == LOG_TARGET_SYSLOG && !o->selftest)
		log_open_syslog();
	instance_ids(&m->in, &m->setup.conf, &m->ids);
	umask(022);
	prepare_folders(m);
	prepare_sandbox(m);
}

int
main(int argc, char **argv)
{
	struct master *m = &master;
	static struct signals signals;
	struct options o;
	char why[1024];

	log_open("posternd", LOG_LEVEL_INFO);
	o = read_options(argc, argv);
	activation_take();
	notify_open();
	open_everything(m, &o);
	if (o.selftest)
		return sandbox_selftest(&m->sandbox) == ERR_OK ? EX_OK : 1;
	take_pid_file(m);
	if (setup_fit_limits(&m->setup, why, sizeof(why)) != ERR_OK)
		log_fatal(EX_OSERR, "%s", why);
	try_sandbox(m);
	/* Sessions are numbered from the time on, so that no number comes twice over restarts. */
	m->session = io_now_us();
	m->metrics[METRIC_STARTED] = m->session / 1000000;
	m->started_ms = m->loaded_ms = io_now_ms();
	if (loop_open(&m->loop) != ERR_OK)
		log_fatal(EX_OSERR, "epoll: %s", strerror(errno));
	if (unshared_open(&m->unshared) != ERR_OK)
		log_fatal(EX_OSERR, "memory that workers do not inherit can't be had: %s", strerror(errno));
	signals.master = m;
	watch_signals(&signals);
	/* Addresses before services: a port in use is told at once. */
	m->listeners.paused = true;
	if (listeners_switch(m, &m->setup.conf, why, sizeof(why)) != ERR_OK)
		log_fatal(EX_UNAVAILABLE, "%s", why);
	if (setup_needs_tls(&m->setup))
		tls_warm_up();
	malloc_trim(0);
	start_services(m);
	if (!m->stopping) {
		control_open(m);
		pool_fill(m);
		log_listeners(m);
		log_info("ready", "instance", m->in.root[0] != 0 ? m->in.root : "system", NULL);
		activation_log_unused();
		notify_ready("Serving");
		serve(m);
	}
	stop(m);
	return EX_OK;
}
