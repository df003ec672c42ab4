/*
 * The services: starting them, hearing whether they are ready, linking them with each other, and starting again what
 * died. Run by the master as it was started. What a service says is its own state, nothing more is believed.
 */
#include "services.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "exhausted.h"
#include "io.h"
#include "log.h"
#include "master.h"
#include "spawn.h"
#include "str.h"

#define RETRY_FIRST_MS 50
#define RETRY_MS 1000
#define RETRY_DOUBLINGS 6	/* of a relay that fails again and again: a minute */

static const char *const names[SERVICE_COUNT] = {
	[SERVICE_AUTH] = "auth", [SERVICE_KEYS] = "keys", [SERVICE_SPOOL] = "spool", [SERVICE_RELAY] = "relay",
};
static const enum service_id next_ids[NEXT_COUNT] = { [NEXT_KEYS] = SERVICE_KEYS, [NEXT_RELAY] = SERVICE_RELAY };

const char *
service_name(enum service_id id)
{
	return names[id];
}

bool
services_needs(const struct setup *s, enum service_id id)
{
	return id == SERVICE_KEYS ? setup_needs_keys(s) : id == SERVICE_RELAY ? s->conf.nroutes != 0 : true;
}

static bool
is_needed(const struct master *m, enum service_id id)
{
	return services_needs(&m->setup, id);
}

/* Whether it is one that a reload has started and not yet taken. */
static bool
is_next(const struct service_process *p)
{
	const struct services *s = &p->master->services;

	return p >= s->next && p < s->next + NEXT_COUNT;
}

static void
close_control(struct service_process *p)
{
	if (!p->open)
		return;
	loop_remove(&p->master->loop, &p->control);
	io_close(&p->control.fd);
	p->open = false;
	p->ready = false;
}

static int
tell_link(struct master *m, enum service_id id, enum service_id other, int fd)
{
	static const enum link_peer peers[SERVICE_COUNT] = {
		[SERVICE_AUTH] = LINK_AUTH, [SERVICE_KEYS] = LINK_KEYS, [SERVICE_SPOOL] = LINK_SPOOL, [SERVICE_RELAY] = LINK_RELAY,
	};
	uint8_t data[16];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_link(&w, peers[other]);
	return services_tell(m, id, &w, &fd);
}

/* Those that talk to each other have a pair of their own, made anew whenever one of them is new. */
static void
link_with_others(struct master *m, enum service_id id)
{
	static const enum service_id pairs[][2] = {
		{ SERVICE_SPOOL, SERVICE_AUTH }, { SERVICE_SPOOL, SERVICE_KEYS }, { SERVICE_SPOOL, SERVICE_RELAY },
	};
	int fds[2];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		enum service_id a = pairs[i][0], b = pairs[i][1];

		bool is_there = m->services.process[b].ready;

		/* Of keys that are not there spool hears, too: mail that is to be signed waits for them, and this end of the pair is closed. */
		if ((a != id && b != id) || !m->services.process[a].ready || !(is_there || (b == SERVICE_KEYS && m->setup.has_dkim)) ||
		    ipc_pair(fds) != ERR_OK)
			continue;
		if (tell_link(m, a, b, fds[1]) != ERR_OK || (is_there && tell_link(m, b, a, fds[0]) != ERR_OK))
			log_error("link.failed", "service", names[a], "with", names[b], NULL);
		io_close(&fds[0]);
		io_close(&fds[1]);
	}
}

static void
failed(struct service_process *p, uint8_t code, const char *reason)
{
	p->failed = true;
	p->code = code;
	snprintf(p->reason, sizeof(p->reason), "%s", reason);
	if (is_next(p))
		reload_abort(p->master, reason);
	else
		log_error("service.failed", "service", names[p->id], "reason", reason, NULL);
}

static void
became_ready(struct service_process *p, const struct ipc_ready *r)
{
	struct master *m = p->master;
	const struct setup *s = is_next(p) ? &m->next : &m->setup;
	char parts[128];

	if (p->id == SERVICE_KEYS && (r->detail_len != s->ntls * sizeof(s->tls_digests[0]) ||
	    memcmp(r->detail, s->tls_digests, r->detail_len) != 0)) {
		failed(p, 78, "its private keys do not belong to the certificates in force: have the files been changed?");
		watch_soon(m);
		return;
	}
	/* A new auth tells its list anew. */
	if (p->id == SERVICE_AUTH)
		m->clients.nrules = 0;
	p->ready = p->served = true;
	p->failed = false;
	log_info("service.ready", "service", names[p->id], "sandbox", sandbox_put_parts(parts, r->parts), NULL);
	if (!is_next(p))
		link_with_others(m, p->id);
	else if (services_next_are_ready(m))
		reload_commit(m);
}

/* What a service counted; it may count only its own. */
static int
add_counters(const struct service_process *p, struct wire_in *body)
{
	static struct ipc_counters c;
	size_t from = p->id == SERVICE_AUTH ? METRIC_OF_MASTER_END : METRIC_OF_AUTH_END;
	size_t end = p->id == SERVICE_AUTH ? METRIC_OF_AUTH_END : METRIC_COUNT;

	if ((p->id != SERVICE_AUTH && p->id != SERVICE_SPOOL) || ipc_get_counters(body, &c) != ERR_OK || c.first < from || c.first + c.n > end)
		return ERR_DENIED;
	for (size_t i = 0; i < c.n; i++)
		p->master->metrics[c.first + i] += c.values[i];
	return ERR_OK;
}

static void
hear(void *owner, uint32_t events)
{
	struct service_process *p = owner;
	struct unshared *u = p->master->unshared;
	struct ipc_message got;
	struct ipc_failed f;
	struct ipc_ready r;
	struct ipc_ban b;
	int err = ipc_recv(p->control.fd, IPC_MASTER_FROM_SERVICE, u->buffer, sizeof(u->buffer), false, &got);

	(void)events;
	if (err == ERR_BUSY)
		return;
	if (err == ERR_OK && got.kind == IPC_READY && ipc_get_ready(&got.body, &r) == ERR_OK)
		became_ready(p, &r);
	else if (err == ERR_OK && got.kind == IPC_FAILED && ipc_get_failed(&got.body, &f) == ERR_OK)
		failed(p, f.code, f.reason);
	else if (err == ERR_OK && got.kind == IPC_SESSION_ACCOUNT && p->id == SERVICE_AUTH &&
	    ipc_get_session_account(&got.body, &u->account) == ERR_OK)
		pool_name_session(p->master, u->account.session, u->account.name);
	else if (err == ERR_OK && got.kind == IPC_BAN && p->id == SERVICE_AUTH && ipc_get_ban(&got.body, &b) == ERR_OK)
		clients_set_rule(&p->master->clients, &b.network, b.allow, b.seconds == IPC_BAN_FOREVER ? UINT64_MAX :
		    b.seconds == 0 ? 0 : io_now_ms() + 1000ULL * b.seconds);
	else if (err != ERR_OK || got.kind != IPC_COUNTERS || add_counters(p, &got.body) != ERR_OK)
		close_control(p);
}

static int
start(struct master *m, struct service_process *p, enum service_id id, const struct setup *s)
{
	int fds[2], conf_fd, err;
	char why[400], text[300];

	*p = (struct service_process){ .master = m, .id = id, .started_ms = io_now_ms(), .failures = p->failures };
	p->control = (struct loop_watch){ .fd = -1, .handle = hear, .owner = p };
	if (ipc_pair(fds) != ERR_OK)
		return ERR_SYSTEM;
	if ((err = spawn_conf_fd(s->text, s->len, &conf_fd)) == ERR_OK) {
		err = spawn_service(names[id], m->in.root, fds[1], conf_fd, &p->pid);
		io_close(&conf_fd);
	}
	io_close(&fds[1]);
	p->control.fd = fds[0];
	if (err == ERR_OK)
		err = loop_add(&m->loop, &p->control, EPOLLIN);
	if (err != ERR_OK) {
		io_close(&p->control.fd);
		snprintf(why, sizeof(why), "the process could not be started: %s", exhausted_explain(text, sizeof(text), errno));
		failed(p, 71, why);
		return err;
	}
	p->open = true;
	return ERR_OK;
}

void
services_start(struct master *m)
{
	for (size_t i = 0; i < SERVICE_COUNT; i++) {
		m->services.process[i].master = m;
		if (is_needed(m, (enum service_id)i))
			start(m, &m->services.process[i], (enum service_id)i, &m->setup);
	}
}

int
services_start_next(struct master *m, enum next_id next, const struct setup *s)
{
	return start(m, &m->services.next[next], next_ids[next], s);
}

bool
services_next_are_ready(const struct master *m)
{
	for (size_t i = 0; i < NEXT_COUNT; i++)
		if (m->services.next[i].master != NULL && !m->services.next[i].ready)
			return false;
	return true;
}

static void
drain(struct master *m, struct service_process *p)
{
	if (p->pid != 0) {
		size_t i = 0;

		while (i < SERVICES_DRAINING - 1 && m->services.draining[i] != 0)
			i++;
		m->services.draining[i] = p->pid;
	}
	close_control(p);
	p->pid = 0;
}

static void
take_next(struct master *m, enum next_id id)
{
	struct service_process *now = &m->services.process[next_ids[id]], *next = &m->services.next[id];

	if (now->master != NULL)
		drain(m, now);
	/* The watch lives inside the structure: move it with its owner. */
	loop_remove(&m->loop, &next->control);
	*now = *next;
	now->control.owner = now;
	if (loop_add(&m->loop, &now->control, EPOLLIN) != ERR_OK)
		now->open = false;
	*next = (struct service_process){ .pid = 0 };
	link_with_others(m, next_ids[id]);
}

void
services_take_next(struct master *m)
{
	struct service_process *relay = &m->services.process[SERVICE_RELAY];

	for (size_t i = 0; i < NEXT_COUNT; i++)
		if (m->services.next[i].master != NULL)
			take_next(m, (enum next_id)i);
	if (!is_needed(m, SERVICE_RELAY) && relay->master != NULL) {
		drain(m, relay);
		*relay = (struct service_process){ .master = m, .id = SERVICE_RELAY };
	}
}

void
services_drop_next(struct master *m)
{
	for (size_t i = 0; i < NEXT_COUNT; i++) {
		struct service_process *next = &m->services.next[i];

		if (next->master != NULL)
			drain(m, next);
		*next = (struct service_process){ .pid = 0 };
	}
}

bool
services_may_serve(const struct master *m, enum listener_kind kind)
{
	return m->services.process[SERVICE_AUTH].ready && m->services.process[SERVICE_SPOOL].ready &&
	    (kind != LISTENER_SUBMISSIONS || m->services.process[SERVICE_KEYS].ready);
}

bool
services_can_submit(const struct master *m)
{
	for (size_t i = 0; i < SERVICE_COUNT; i++)
		if (i != SERVICE_RELAY && is_needed(m, (enum service_id)i) && !m->services.process[i].ready)
			return false;
	return true;
}

bool
services_are_ready(const struct master *m)
{
	return services_can_submit(m) && (!is_needed(m, SERVICE_RELAY) || m->services.process[SERVICE_RELAY].ready);
}

const struct service_process *
services_failed(const struct master *m)
{
	for (size_t i = 0; i < SERVICE_COUNT; i++)
		if (m->services.process[i].failed)
			return &m->services.process[i];
	return NULL;
}

/* How long to wait before it is started again. A relay that can't work may need an admin: that is no reason to keep a core busy. */
static uint64_t
back_off(struct service_process *p)
{
	uint64_t now = io_now_ms();

	if (!p->failed) {
		p->failures = 0;
		return now + (now - p->started_ms < RETRY_MS ? RETRY_MS : RETRY_FIRST_MS);
	}
	if (p->failures < RETRY_DOUBLINGS)
		p->failures++;
	return now + (p->id == SERVICE_RELAY ? RETRY_MS << (p->failures - 1) : RETRY_MS);
}

static void
reap(struct service_process *p, int status)
{
	struct master *m = p->master;
	char number[24];

	/* Its last words first: why it could not start. */
	if (p->open && !p->failed && !p->served)
		hear(p, 0);
	if (!p->failed && !p->served && !m->stopping)
		failed(p, 70, WIFEXITED(status) && WEXITSTATUS(status) == 69 ?
		    "its program can't be executed: is the installation complete?" : "it ended while it was starting");
	p->pid = 0;
	close_control(p);
	if (!m->stopping)
		log_event(LOG_LEVEL_ALARM, 0, "service.died", "service", names[p->id],
		    WIFSIGNALED(status) ? "signal" : "status",
		    str_put_u64(number, (uint64_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status))), NULL);
	p->retry_ms = back_off(p);
}

static void
reap_next(struct service_process *p, pid_t pid)
{
	struct master *m = p->master;
	char why[80];

	if (p->open && !p->failed)
		hear(p, 0);
	/* Its last words may have ended the reload, or begun what it was started for; then it is elsewhere. */
	if (p->pid != pid)
		return;
	p->pid = 0;
	snprintf(why, sizeof(why), "postern-%s ended while it was starting", names[p->id]);
	if (m->reloading)
		reload_abort(m, why);
}

bool
services_reap(struct master *m, pid_t pid, int status)
{
	struct services *s = &m->services;

	for (size_t i = 0; i < NEXT_COUNT; i++)
		if (s->next[i].pid == pid)
			reap_next(&s->next[i], pid);
	for (size_t i = 0; i < SERVICE_COUNT; i++) {
		if (s->process[i].pid == pid) {
			reap(&s->process[i], status);
			return true;
		}
	}
	for (size_t i = 0; i < SERVICES_DRAINING; i++) {
		if (s->draining[i] == pid) {
			s->draining[i] = 0;
			return true;
		}
	}
	return false;
}

int
services_tick(struct master *m, uint64_t now_ms)
{
	int wait = -1;

	for (size_t i = 0; i < SERVICE_COUNT && !m->stopping; i++) {
		struct service_process *p = &m->services.process[i];

		if (p->pid != 0 || !is_needed(m, (enum service_id)i))
			continue;
		if (p->retry_ms <= now_ms) {
			m->metrics[METRIC_RESTARTS_AUTH + i]++;
			start(m, p, (enum service_id)i, &m->setup);
			p->retry_ms = now_ms + RETRY_MS;	/* if not even that could be done */
		}
		if (wait < 0 || (int)(p->retry_ms - now_ms) < wait)
			wait = (int)(p->retry_ms - now_ms);
	}
	if (services_can_submit(m))
		m->services.down_since_ms = 0;
	else if (m->services.down_since_ms == 0)
		m->services.down_since_ms = now_ms;
	return wait;
}

int
services_tell(struct master *m, enum service_id id, const struct wire_out *w, const int *fd)
{
	struct service_process *p = &m->services.process[id];

	if (!p->open)
		return ERR_CLOSED;
	return ipc_send(p->control.fd, w, fd, fd != NULL ? 1 : 0, false);
}

void
services_tell_conf(struct master *m)
{
	static const enum service_id whom[] = { SERVICE_AUTH, SERVICE_SPOOL };
	uint8_t data[16];
	struct wire_out w;

	for (size_t i = 0; i < 2; i++) {
		int fd;

		wire_out_init(&w, data, sizeof(data));
		ipc_put_empty(&w, IPC_RELOAD);
		if (spawn_conf_fd(m->setup.text, m->setup.len, &fd) != ERR_OK) {
			log_error("reload.failed", "service", names[whom[i]], "reason", strerror(errno), NULL);
			continue;
		}
		if (services_tell(m, whom[i], &w, &fd) != ERR_OK)
			log_error("reload.failed", "service", names[whom[i]], "reason", "it does not take messages now", NULL);
		io_close(&fd);
	}
}

void
services_end(struct master *m)
{
	for (size_t i = 0; i < SERVICE_COUNT; i++)
		close_control(&m->services.process[i]);
	services_drop_next(m);
}

void
services_kill(struct master *m)
{
	for (size_t i = 0; i < SERVICE_COUNT; i++)
		if (m->services.process[i].pid != 0)
			kill(m->services.process[i].pid, SIGKILL);
	for (size_t i = 0; i < SERVICES_DRAINING; i++)
		if (m->services.draining[i] != 0)
			kill(m->services.draining[i], SIGKILL);
}

bool
services_are_gone(const struct master *m)
{
	for (size_t i = 0; i < SERVICE_COUNT; i++)
		if (m->services.process[i].pid != 0)
			return false;
	return true;
}

bool
services_only_deliver(const struct master *m)
{
	const struct service_process *p = m->services.process;

	return p[SERVICE_AUTH].pid == 0 && p[SERVICE_KEYS].pid == 0 && is_needed(m, SERVICE_RELAY);
}
