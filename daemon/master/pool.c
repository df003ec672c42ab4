/*
 * Workers: forking, keeping some ready, handing over one session each, noting how they end. Run by the master, whose
 * memory they inherit: it holds nothing that a worker must not have.
 */
#include "pool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "exhausted.h"
#include "io.h"
#include "log.h"
#include "master.h"
#include "str.h"

#define FORK_PAUSE_MS 200
#define FORK_LOG_MS 5000	/* between two log lines of the same trouble */
#define STARVED_MS 1000
#define KILL_MS 5000	/* for a worker that was told to end its session */

static const char *const end_names[] = {
	[SESSION_QUIT] = "quit", [SESSION_DISCONNECTED] = "disconnected", [SESSION_TIMEOUT] = "timeout",
	[SESSION_TOO_MANY_ERRORS] = "too_many_errors", [SESSION_TLS_FAILED] = "tls_failed", [SESSION_REFUSED] = "refused",
	[SESSION_SHUTDOWN] = "shutdown", [SESSION_SERVICE_LOST] = "service_lost", [SESSION_NOT_SMTP] = "not_smtp",
};

static struct worker_process **
find(struct pool *p, pid_t pid)
{
	struct worker_process **w = &p->buckets[(unsigned)pid % POOL_BUCKETS];

	while (*w != NULL && (*w)->pid != pid)
		w = &(*w)->next;
	return w;
}

/* A worker's only word: numbers about its end. Anything else is none. */
static void
hear(void *owner, uint32_t events)
{
	struct worker_process *w = owner;
	struct master *m = w->master;
	uint8_t buffer[256];
	struct ipc_message got;

	(void)events;
	if (ipc_recv(w->watch.fd, IPC_MASTER_FROM_WORKER, buffer, sizeof(buffer), false, &got) == ERR_OK &&
	    !w->idle && !w->ended && ipc_get_session_end(&got.body, &w->end) == ERR_OK) {
		w->ended = true;
		return;
	}
	/* Its end, or nonsense: either way there is nothing more to hear. */
	loop_remove(&m->loop, &w->watch);
	io_close(&w->watch.fd);
	w->open = false;
}

static int
make(struct master *m)
{
	struct worker inherited = { .conf = &m->setup.conf, .tls = m->setup.tls, .sandbox = &m->sandbox };
	struct worker_process *w = calloc(1, sizeof(*w));
	int fds[2];
	pid_t pid;

	if (w == NULL)
		return ERR_NOMEM;
	if (ipc_pair(fds) != ERR_OK) {
		free(w);
		return ERR_SYSTEM;
	}
	if ((pid = fork()) == 0)
		worker_run(&inherited, fds[1]);
	io_close(&fds[1]);
	*w = (struct worker_process){ .master = m, .pid = pid, .open = true, .idle = true };
	w->watch = (struct loop_watch){ .fd = fds[0], .handle = hear, .owner = w };
	if (pid < 0 || loop_add(&m->loop, &w->watch, EPOLLIN) != ERR_OK) {
		/* Without its socket the child ends by itself and is reaped as unknown. */
		io_close(&fds[0]);
		free(w);
		return ERR_SYSTEM;
	}
	w->next = m->pool.buckets[(unsigned)pid % POOL_BUCKETS];
	m->pool.buckets[(unsigned)pid % POOL_BUCKETS] = w;
	w->next_idle = m->pool.idle;
	m->pool.idle = w;
	m->pool.nidle++;
	return ERR_OK;
}

static int
make_or_pause(struct master *m)
{
	char why[300];
	int err;

	if (io_now_ms() < m->pool.fork_after_ms)
		return ERR_BUSY;
	if ((err = make(m)) == ERR_OK) {
		m->pool.starved_since_ms = 0;
		return ERR_OK;
	}
	if (m->pool.starved_since_ms == 0)
		m->pool.starved_since_ms = io_now_ms();
	if (m->pool.logged_ms == 0 || io_now_ms() - m->pool.logged_ms > FORK_LOG_MS) {
		log_error("worker.fork_failed", "reason", err == ERR_SYSTEM ? exhausted_explain(why, sizeof(why), errno) : err_text(err),
		    "fix", "raise the limits for processes and descriptors, or lower workers.max", NULL);
		m->pool.logged_ms = io_now_ms();
	}
	m->pool.fork_after_ms = io_now_ms() + FORK_PAUSE_MS;
	return err;
}

bool
pool_is_starved(const struct master *m)
{
	return m->pool.starved_since_ms != 0 && io_now_ms() - m->pool.starved_since_ms > STARVED_MS;
}

void
pool_fill(struct master *m)
{
	while (!m->stopping && m->pool.nidle < m->setup.conf.workers_spare)
		if (make_or_pause(m) != ERR_OK)
			return;
}

bool
pool_can_serve(struct master *m)
{
	return !m->stopping && (m->pool.idle != NULL || make_or_pause(m) == ERR_OK);
}

static void
close_watch(struct master *m, struct worker_process *w)
{
	if (!w->open)
		return;
	loop_remove(&m->loop, &w->watch);
	io_close(&w->watch.fd);
	w->open = false;
}

static void
forget_idle(struct pool *p, struct worker_process *w)
{
	struct worker_process **i = &p->idle;

	while (*i != NULL && *i != w)
		i = &(*i)->next_idle;
	if (*i == w) {
		*i = w->next_idle;
		p->nidle--;
	}
	w->idle = false;
}

void
pool_drop_idle(struct master *m)
{
	while (m->pool.idle != NULL) {
		struct worker_process *w = m->pool.idle;

		forget_idle(&m->pool, w);
		w->ended = true;	/* nothing to tell about it */
		close_watch(m, w);
	}
}

int
pool_hand_over(struct master *m, const struct ipc_session *s, const int *fds, size_t nfds)
{
	struct worker_process *w = m->pool.idle;
	uint8_t data[128];
	struct wire_out out;

	if (w == NULL)
		return ERR_NOTFOUND;
	forget_idle(&m->pool, w);
	wire_out_init(&out, data, sizeof(data));
	ipc_put_session(&out, s);
	w->session = *s;
	w->started_ms = io_now_ms();
	m->pool.nbusy++;
	if (s->verdict != PEER_SERVE)
		m->pool.nrefusing++;
	if (ipc_send(w->watch.fd, &out, fds, nfds, false) == ERR_OK)
		return ERR_OK;
	/* It can't be told: its socket's end ends it, and its end counts the session out. */
	close_watch(m, w);
	return ERR_CLOSED;
}

static bool
is_crash(int signal_number)
{
	switch (signal_number) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGABRT:
	case SIGSYS:
	case SIGTRAP:
		return true;
	default:
		return false;	/* SIGKILL: the admin, or memory was out */
	}
}

static void
log_end(struct master *m, const struct worker_process *w, int status)
{
	char peer[NETADDR_TEXT], number[24], commands[24], errors[24], messages[24], ms[24];

	m->metrics[w->ended && !WIFSIGNALED(status) ? METRIC_ENDED_QUIT + w->end.reason : METRIC_ENDED_UNKNOWN]++;
	netaddr_put(peer, &w->session.peer);
	str_put_u64(ms, io_now_ms() - w->started_ms);
	if (WIFSIGNALED(status)) {
		str_put_u64(number, (uint64_t)WTERMSIG(status));
		log_event(is_crash(WTERMSIG(status)) ? LOG_LEVEL_ALARM : LOG_LEVEL_ERROR, w->session.session, "worker.killed",
		    "signal", number, "peer", peer, "ms", ms, NULL);
		if (is_crash(WTERMSIG(status)))
			m->metrics[METRIC_WORKER_CRASHES]++;
		if (is_crash(WTERMSIG(status)) && m->setup.conf.workers_crash_ban != 0)
			clients_ban(&m->clients, &w->session.peer, io_now_ms() + m->setup.conf.workers_crash_ban);
		return;
	}
	log_event(LOG_LEVEL_INFO, w->session.session, "session.end", "peer", peer,
	    "reason", w->ended ? end_names[w->end.reason] : "unknown",
	    "commands", str_put_u64(commands, w->end.commands), "errors", str_put_u64(errors, w->end.errors),
	    "messages", str_put_u64(messages, w->end.messages), "ms", ms, NULL);
}

bool
pool_reap(struct master *m, pid_t pid, int status)
{
	struct worker_process **place = find(&m->pool, pid), *w = *place;

	if (w == NULL)
		return false;
	if (w->open && !w->ended && !w->idle)
		hear(w, 0);
	*place = w->next;
	if (w->idle) {
		char number[24];

		/* A worker that can't even enter its sandbox: don't fork as fast as they die. */
		forget_idle(&m->pool, w);
		log_error("worker.lost", WIFSIGNALED(status) ? "signal" : "status", str_put_u64(number,
		    (uint64_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status))), NULL);
		m->pool.fork_after_ms = io_now_ms() + FORK_PAUSE_MS;
	} else if (w->session.session != 0) {
		m->pool.nbusy--;
		if (w->session.verdict != PEER_SERVE)
			m->pool.nrefusing--;
		clients_leave(&m->clients, &w->session.peer);
		log_end(m, w, status);
	}
	close_watch(m, w);
	m->pool.ndoomed -= w->doomed;
	unshared_drop(m->unshared, w->account);
	free(w);
	return true;
}

static bool
is_served(const struct worker_process *w)
{
	return !w->idle && w->session.session != 0 && w->session.verdict == PEER_SERVE;
}

void
pool_name_session(struct master *m, uint64_t session, const char *account)
{
	for (size_t i = 0; i < POOL_BUCKETS; i++)
		for (struct worker_process *w = m->pool.buckets[i]; w != NULL; w = w->next) {
			if (!is_served(w) || w->session.session != session)
				continue;
			unshared_drop(m->unshared, w->account);
			w->account = unshared_put(m->unshared, account);
			return;
		}
}

int
pool_list(const struct master *m, struct pool_place **list, size_t *n)
{
	*n = 0;
	if ((*list = calloc(m->pool.nbusy + 1, sizeof(**list))) == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < POOL_BUCKETS; i++)
		for (const struct worker_process *w = m->pool.buckets[i]; w != NULL && *n < m->pool.nbusy; w = w->next)
			if (is_served(w))
				(*list)[(*n)++] = (struct pool_place){ .pid = w->pid, .session = w->session.session };
	return ERR_OK;
}

int
pool_describe(const struct master *m, const struct pool_place *p, struct ipc_control_session *row)
{
	const struct worker_process *w = m->pool.buckets[(unsigned)p->pid % POOL_BUCKETS];

	while (w != NULL && w->pid != p->pid)
		w = w->next;
	if (w == NULL || w->session.session != p->session)
		return ERR_NOTFOUND;
	*row = (struct ipc_control_session){
		.session = p->session, .peer = w->session.peer, .listener = w->session.listener, .ending = w->doomed,
		.age_ms = io_now_ms() - w->started_ms,
	};
	/* A login on a listener with STARTTLS comes behind it. */
	row->tls = w->session.listener == LISTENER_PLAIN || w->session.listener == LISTENER_LOCAL ? SESSION_TLS_NO :
	    w->session.listener == LISTENER_SUBMISSIONS || w->account != NULL ? SESSION_TLS_YES : SESSION_TLS_UNKNOWN;
	if (w->account != NULL)
		memcpy(row->account, w->account, sizeof(row->account));
	return ERR_OK;
}

/* Its socket's end makes a worker say 421 and end. */
static void
doom(struct master *m, struct worker_process *w)
{
	if (w->doomed)
		return;
	w->doomed = true;
	w->kill_ms = io_now_ms() + KILL_MS;
	m->pool.ndoomed++;
	if (w->open)
		shutdown(w->watch.fd, SHUT_WR);
	log_event(LOG_LEVEL_WARNING, w->session.session, "session.killed", "by", "smtpadm", NULL);
}

unsigned
pool_end_sessions(struct master *m, uint64_t session, const char *account)
{
	unsigned n = 0;

	for (size_t i = 0; i < POOL_BUCKETS; i++)
		for (struct worker_process *w = m->pool.buckets[i]; w != NULL; w = w->next) {
			if (!is_served(w) || (session != 0 ? w->session.session != session : w->account == NULL ||
			    !str_is_equal_nocase(w->account, strlen(w->account), account, strlen(account))))
				continue;
			doom(m, w);
			n++;
		}
	return n;
}

int
pool_tick(struct master *m, uint64_t now_ms)
{
	if (m->pool.ndoomed == 0)
		return -1;
	for (size_t i = 0; i < POOL_BUCKETS; i++)
		for (struct worker_process *w = m->pool.buckets[i]; w != NULL; w = w->next)
			if (w->doomed && now_ms >= w->kill_ms) {
				kill(w->pid, SIGKILL);
				w->kill_ms = UINT64_MAX;
			}
	return 250;
}

void
pool_end(struct master *m)
{
	pool_drop_idle(m);
	for (size_t i = 0; i < POOL_BUCKETS; i++)
		for (struct worker_process *w = m->pool.buckets[i]; w != NULL; w = w->next)
			if (w->open)
				shutdown(w->watch.fd, SHUT_WR);
}

void
pool_kill(struct master *m)
{
	for (size_t i = 0; i < POOL_BUCKETS; i++)
		for (struct worker_process *w = m->pool.buckets[i]; w != NULL; w = w->next)
			kill(w->pid, SIGKILL);
}

bool
pool_is_empty(const struct master *m)
{
	for (size_t i = 0; i < POOL_BUCKETS; i++)
		if (m->pool.buckets[i] != NULL)
			return false;
	return true;
}
