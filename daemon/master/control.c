/*
 * The control socket: who is there, how it goes, end that session, take the new configuration, pause. Run by the master. Only root
 * and the master's own user are heard. Invariant: no answer is waited for; a bad frame ends its connection and nothing else.
 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "master.h"
#include "message_control.h"
#include "str.h"

#define REQUESTS_MAX 64		/* of one connection */
#define ACCEPTS_A_ROUND 4
#define PATIENCE_MS 5000	/* with a client that does not read; the oldest idle one goes when a new one comes */
#define ROWS_A_ROUND 64

static void
drop(struct control_client *c)
{
	if (!c->used)
		return;
	loop_remove(&c->master->loop, &c->watch);
	io_close(&c->watch.fd);
	free(c->list);
	*c = (struct control_client){ .used = false };
}

/* The last datagram of an answer. */
static void
answer(struct control_client *c, const struct wire_out *w)
{
	c->asked = (enum ipc_kind)0;
	c->active_ms = io_now_ms();
	if (ipc_send(c->watch.fd, w, NULL, 0, false) != ERR_OK)
		drop(c);
}

static void
answer_done(struct control_client *c, enum ipc_kind kind, int code, uint32_t count, const char *why)
{
	struct ipc_control_done m = { .code = (uint8_t)code, .count = count };
	uint8_t data[IPC_REASON_MAX + 16];
	struct wire_out w;

	snprintf(m.reason, sizeof(m.reason), "%s", why);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_control_done(&w, kind, &m);
	answer(c, &w);
}

/* Sessions, as many as there is room for in the socket; the rest when it is read. */
static void
send_sessions(struct control_client *c)
{
	struct master *m = c->master;
	struct unshared *u = m->unshared;
	struct wire_out w;
	int err;

	for (size_t i = 0; i < ROWS_A_ROUND && c->next < c->nlist; i++) {
		if (pool_describe(m, &c->list[c->next], &u->row) == ERR_OK) {
			wire_out_init(&w, u->buffer, sizeof(u->buffer));
			ipc_put_control_session(&w, &u->row);
			if ((err = ipc_send(c->watch.fd, &w, NULL, 0, false)) == ERR_BUSY)
				return;
			if (err != ERR_OK) {
				drop(c);
				return;
			}
		}
		c->next++;
		c->active_ms = io_now_ms();
	}
	if (c->next < c->nlist)
		return;
	u->row = (struct ipc_control_session){ .session = 0 };
	wire_out_init(&w, u->buffer, sizeof(u->buffer));
	ipc_put_control_session(&w, &u->row);
	if ((err = ipc_send(c->watch.fd, &w, NULL, 0, false)) == ERR_BUSY)
		return;
	free(c->list);
	c->list = NULL;
	c->asked = (enum ipc_kind)0;
	if (err != ERR_OK || loop_change(&m->loop, &c->watch, EPOLLIN) != ERR_OK)
		drop(c);
}

static void
ask_sessions(struct control_client *c, struct ipc_message *got)
{
	(void)got;
	c->next = 0;
	if (pool_list(c->master, &c->list, &c->nlist) != ERR_OK ||
	    loop_change(&c->master->loop, &c->watch, EPOLLOUT) != ERR_OK)
		drop(c);
}

static void
ask_kill(struct control_client *c, struct ipc_message *got)
{
	struct unshared *u = c->master->unshared;
	uint32_t n;

	if (ipc_get_control_kill(&got->body, &u->kill) != ERR_OK || (u->kill.session == 0) == (u->kill.account[0] == 0)) {
		drop(c);
		return;
	}
	n = pool_end_sessions(c->master, u->kill.session, u->kill.account);
	answer_done(c, IPC_CONTROL_KILL_ANSWER, n != 0 ? EX_OK : EX_NOUSER, n, n != 0 ? "" : "there is no such session");
}

static void
ask_status(struct control_client *c, struct ipc_message *got)
{
	struct master *m = c->master;
	uint64_t now = io_now_ms();
	struct ipc_control_status s = {
		.pid = (uint32_t)getpid(), .uptime_ms = now - m->started_ms, .loaded_ms = now - m->loaded_ms,
		.sessions = m->pool.nbusy - m->pool.nrefusing, .refusing = m->pool.nrefusing, .idle = m->pool.nidle,
		.max = m->setup.conf.workers_max, .spare = m->setup.conf.workers_spare, .accepting = !m->listeners.paused,
		.paused = m->paused, .draining = m->draining, .nservices = 0,
	};
	uint8_t data[1024];
	struct wire_out w;

	(void)got;
	if (m->paused)
		memcpy(s.reason, m->unshared->pause.reason, sizeof(s.reason));
	for (size_t i = 0; i < SERVICE_COUNT; i++) {
		const struct service_process *p = &m->services.process[i];

		if (!services_needs(&m->setup, (enum service_id)i))
			continue;
		snprintf(s.services[s.nservices].name, sizeof(s.services[0].name), "%s", service_name((enum service_id)i));
		s.services[s.nservices].pid = (uint32_t)p->pid;
		s.services[s.nservices].ready = p->ready;
		s.services[s.nservices++].restarts = m->metrics[METRIC_RESTARTS_AUTH + i];
	}
	wire_out_init(&w, data, sizeof(data));
	ipc_put_control_status(&w, &s);
	answer(c, &w);
}

static void
ask_metrics(struct control_client *c, struct ipc_message *got)
{
	static uint8_t data[METRIC_COUNT * 8 + 16];
	static struct ipc_counters all = { .first = 0, .n = METRIC_COUNT };
	struct master *m = c->master;
	struct wire_out w;

	(void)got;
	m->metrics[METRIC_SESSIONS_CURRENT] = m->pool.nbusy - m->pool.nrefusing;
	m->metrics[METRIC_SESSIONS_MAX] = m->setup.conf.workers_max;
	m->metrics[METRIC_WORKERS_IDLE] = m->pool.nidle;
	m->metrics[METRIC_PAUSED] = m->paused;
	memcpy(all.values, m->metrics, sizeof(m->metrics));
	wire_out_init(&w, data, sizeof(data));
	ipc_put_counters(&w, IPC_CONTROL_METRICS_ANSWER, &all);
	answer(c, &w);
}

static void
ask_reload(struct control_client *c, struct ipc_message *got)
{
	struct master *m = c->master;

	(void)got;
	/* control_tell_reload() answers, now or later. */
	c->waits = m->reloading;
	reload_begin(m);
}

static void
ask_pause(struct control_client *c, struct ipc_message *got)
{
	struct unshared *u = c->master->unshared;

	if (ipc_get_control_pause(&got->body, &u->pause) != ERR_OK) {
		c->master->paused = false;
		drop(c);
		return;
	}
	c->master->paused = true;
	log_event(LOG_LEVEL_WARNING, 0, "submission.paused", "reason", u->pause.reason, NULL);
	answer_done(c, IPC_CONTROL_PAUSE_ANSWER, EX_OK, c->master->pool.nbusy, "");
}

static void
ask_resume(struct control_client *c, struct ipc_message *got)
{
	(void)got;
	c->master->paused = false;
	log_info("submission.resumed", NULL, NULL);
	answer_done(c, IPC_CONTROL_RESUME_ANSWER, EX_OK, 0, "");
}

static void
ask_drain(struct control_client *c, struct ipc_message *got)
{
	struct master *m = c->master;
	char sessions[24];

	(void)got;
	m->draining = true;
	listeners_close(m);
	log_info("draining", "sessions", str_put_u64(sessions, m->pool.nbusy), NULL);
	answer_done(c, IPC_CONTROL_DRAIN_ANSWER, EX_OK, m->pool.nbusy, "");
}

static const struct {
	enum ipc_kind	kind;
	bool		has_fields;
	void		(*ask)(struct control_client *c, struct ipc_message *got);
} questions[] = {
	{ IPC_CONTROL_SESSIONS, false, ask_sessions },
	{ IPC_CONTROL_KILL, true, ask_kill },
	{ IPC_CONTROL_STATUS, false, ask_status },
	{ IPC_CONTROL_METRICS, false, ask_metrics },
	{ IPC_CONTROL_RELOAD, false, ask_reload },
	{ IPC_CONTROL_PAUSE, true, ask_pause },
	{ IPC_CONTROL_RESUME, false, ask_resume },
	{ IPC_CONTROL_DRAIN, false, ask_drain },
};

static void
handle_client(void *owner, uint32_t events)
{
	struct control_client *c = owner;
	struct unshared *u = c->master->unshared;
	struct ipc_message got;
	int err;

	if (c->list != NULL) {
		if ((events & (EPOLLHUP | EPOLLERR)) != 0)
			drop(c);
		else
			send_sessions(c);
		return;
	}
	if ((err = ipc_recv(c->watch.fd, IPC_MASTER_FROM_ADMIN, u->buffer, sizeof(u->buffer), false, &got)) == ERR_BUSY)
		return;
	/* One question at a time: what comes before its answer is as bad as nonsense. */
	if (err != ERR_OK || c->asked != (enum ipc_kind)0 || ++c->requests > REQUESTS_MAX) {
		if (err != ERR_CLOSED)
			log_event(LOG_LEVEL_WARNING, 0, "control.bad_frame", "error", err_text(err), NULL);
		drop(c);
		return;
	}
	c->asked = got.kind;
	c->active_ms = io_now_ms();
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		if (questions[i].kind != got.kind)
			continue;
		if (!questions[i].has_fields && ipc_get_empty(&got.body) != ERR_OK)
			drop(c);
		else
			questions[i].ask(c, &got);
		return;
	}
	drop(c);
}

static bool
is_trusted(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

/* A free place; else that of whoever is idle, or does not read, for the longest. */
static struct control_client *
find_place(struct control *k)
{
	struct control_client *oldest = NULL;
	uint64_t now = io_now_ms();

	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *c = &k->clients[i];

		if (!c->used)
			return c;
		if ((c->asked == (enum ipc_kind)0 || (c->list != NULL && now - c->active_ms > PATIENCE_MS)) &&
		    (oldest == NULL || c->active_ms < oldest->active_ms))
			oldest = c;
	}
	if (oldest != NULL)
		drop(oldest);
	return oldest;
}

static void
accept_clients(void *owner, uint32_t events)
{
	struct master *m = owner;

	(void)events;
	for (int i = 0; i < ACCEPTS_A_ROUND; i++) {
		int fd = accept4(m->control.watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct control_client *c;

		if (fd < 0)
			return;
		if (!is_trusted(fd) || (c = find_place(&m->control)) == NULL) {
			io_close(&fd);
			continue;
		}
		*c = (struct control_client){ .master = m, .used = true, .active_ms = io_now_ms() };
		c->watch = (struct loop_watch){ .fd = fd, .handle = handle_client, .owner = c };
		if (loop_add(&m->loop, &c->watch, EPOLLIN) != ERR_OK) {
			io_close(&c->watch.fd);
			c->used = false;
		}
	}
}

/* Binds by way of the open folder, since a socket's path may have 107 octets only. */
static int
open_socket(struct control *k, const char *run_dir)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int dir_fd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC), err = ERR_SYSTEM;
	mode_t mask = umask(0177);

	k->watch.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* The pid file is locked: whatever is there belongs to nobody any more. */
	if (dir_fd >= 0 && k->watch.fd >= 0 && (unlink(k->path) == 0 || errno == ENOENT) &&
	    str_fmt(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir_fd, IPC_CONTROL_FILE) == ERR_OK &&
	    bind(k->watch.fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(k->watch.fd, CONTROL_CLIENTS) == 0)
		err = ERR_OK;
	umask(mask);
	io_close(&dir_fd);
	if (err != ERR_OK)
		io_close(&k->watch.fd);
	return err;
}

void
control_open(struct master *m)
{
	struct control *k = &m->control;

	k->watch = (struct loop_watch){ .fd = -1, .handle = accept_clients, .owner = m };
	if (str_fmt(k->path, sizeof(k->path), "%s/%s", m->in.run_dir, IPC_CONTROL_FILE) == ERR_OK &&
	    open_socket(k, m->in.run_dir) == ERR_OK) {
		k->open = loop_add(&m->loop, &k->watch, EPOLLIN) == ERR_OK;
		if (!k->open)
			io_close(&k->watch.fd);
	}
	if (!k->open)
		log_error("control.failed", "path", k->path, "reason", strerror(errno), "effect",
		    "smtpadm session, pause, drain and metrics do not work", NULL);
}

void
control_close(struct master *m)
{
	struct control *k = &m->control;

	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		drop(&k->clients[i]);
	if (!k->open)
		return;
	loop_remove(&m->loop, &k->watch);
	io_close(&k->watch.fd);
	unlink(k->path);
	k->open = false;
}

void
control_tell_reload(struct master *m, int code, const char *why)
{
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *c = &m->control.clients[i];

		if (!c->used || c->asked != IPC_CONTROL_RELOAD)
			continue;
		if (c->waits)
			c->waits = false;
		else
			answer_done(c, IPC_CONTROL_RELOAD_ANSWER, code, 0, why);
	}
}
