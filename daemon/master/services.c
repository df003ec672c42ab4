/*
 * The services: starting them, hearing whether they are ready, linking auth with spool, and starting again what
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
#include "io.h"
#include "log.h"
#include "master.h"
#include "spawn.h"
#include "str.h"

#define RETRY_FIRST_MS 50
#define RETRY_MS 1000

static const char *const names[SERVICE_COUNT] = {
	[SERVICE_AUTH] = "auth", [SERVICE_KEYS] = "keys", [SERVICE_SPOOL] = "spool",
};

const char *
service_name(enum service_id id)
{
	return names[id];
}

static bool
is_needed(const struct master *m, enum service_id id)
{
	return id != SERVICE_KEYS || setup_needs_tls(&m->setup);
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

/* Auth and spool talk to each other over a pair of their own, made anew whenever one of them is new. */
static void
link_auth_and_spool(struct master *m)
{
	struct service_process *auth = &m->services.process[SERVICE_AUTH], *spool = &m->services.process[SERVICE_SPOOL];
	uint8_t data[16];
	struct wire_out w;
	int fds[2];

	if (!auth->ready || !spool->ready || ipc_pair(fds) != ERR_OK)
		return;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_empty(&w, IPC_LINK);
	if (services_tell(m, SERVICE_SPOOL, &w, &fds[1]) != ERR_OK || services_tell(m, SERVICE_AUTH, &w, &fds[0]) != ERR_OK)
		log_error("link.failed", "services", "auth spool", NULL);
	io_close(&fds[0]);
	io_close(&fds[1]);
}

static void
failed(struct service_process *p, uint8_t code, const char *reason)
{
	p->failed = true;
	p->code = code;
	snprintf(p->reason, sizeof(p->reason), "%s", reason);
	if (p == &p->master->services.next_keys)
		reload_abort(p->master, reason);
	else
		log_error("service.failed", "service", names[p->id], "reason", reason, NULL);
}

static void
became_ready(struct service_process *p, const struct ipc_ready *r)
{
	struct master *m = p->master;
	const struct setup *s = p == &m->services.next_keys ? &m->next : &m->setup;
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
	if (p == &m->services.next_keys)
		reload_commit(m);
	else if (p->id != SERVICE_KEYS)
		link_auth_and_spool(m);
}

/* What a service counted; it may count only its own. */
static int
add_counters(const struct service_process *p, struct wire_in *body)
{
	static struct ipc_counters c;
	size_t from = p->id == SERVICE_AUTH ? METRIC_OF_MASTER_END : METRIC_OF_AUTH_END;
	size_t end = p->id == SERVICE_AUTH ? METRIC_OF_AUTH_END : METRIC_COUNT;

	if (p->id == SERVICE_KEYS || ipc_get_counters(body, &c) != ERR_OK || c.first < from || c.first + c.n > end)
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

	*p = (struct service_process){ .master = m, .id = id, .started_ms = io_now_ms() };
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
		failed(p, 71, "the process could not be started: see the limits for processes and descriptors");
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
services_start_next_keys(struct master *m, const struct setup *s)
{
	return start(m, &m->services.next_keys, SERVICE_KEYS, s);
}

static void
drain(struct master *m, struct service_process *p)
{
	if (p->pid != 0) {
		size_t i = 0;

		while (i < 7 && m->services.draining[i] != 0)
			i++;
		m->services.draining[i] = p->pid;
	}
	close_control(p);
	p->pid = 0;
}

void
services_take_next_keys(struct master *m)
{
	struct service_process *now = &m->services.process[SERVICE_KEYS], *next = &m->services.next_keys;

	if (now->master != NULL)
		drain(m, now);
	/* The watch lives inside the structure: move it with its owner. */
	loop_remove(&m->loop, &next->control);
	*now = *next;
	now->control.owner = now;
	if (loop_add(&m->loop, &now->control, EPOLLIN) != ERR_OK)
		now->open = false;
	*next = (struct service_process){ .pid = 0 };
}

void
services_drop_next_keys(struct master *m)
{
	struct service_process *next = &m->services.next_keys;

	if (next->master != NULL)
		drain(m, next);
	*next = (struct service_process){ .pid = 0 };
}

bool
services_may_serve(const struct master *m, enum listener_kind kind)
{
	return m->services.process[SERVICE_AUTH].ready && m->services.process[SERVICE_SPOOL].ready &&
	    (kind != LISTENER_SUBMISSIONS || m->services.process[SERVICE_KEYS].ready);
}

bool
services_are_ready(const struct master *m)
{
	for (size_t i = 0; i < SERVICE_COUNT; i++)
		if (is_needed(m, (enum service_id)i) && !m->services.process[i].ready)
			return false;
	return true;
}

const struct service_process *
services_failed(const struct master *m)
{
	for (size_t i = 0; i < SERVICE_COUNT; i++)
		if (m->services.process[i].failed)
			return &m->services.process[i];
	return NULL;
}

bool
services_reap(struct master *m, pid_t pid, int status)
{
	char number[24];

	for (size_t i = 0; i < SERVICE_COUNT; i++) {
		struct service_process *p = &m->services.process[i];

		if (p->pid != pid)
			continue;
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
		p->retry_ms = io_now_ms() + (p->failed || io_now_ms() - p->started_ms < RETRY_MS ? RETRY_MS : RETRY_FIRST_MS);
		return true;
	}
	if (m->services.next_keys.pid == pid) {
		if (m->services.next_keys.open && !m->services.next_keys.failed)
			hear(&m->services.next_keys, 0);
		/* Its last words may have ended the reload; then it is among those that drain. */
		if (m->services.next_keys.pid == pid) {
			m->services.next_keys.pid = 0;
			if (m->reloading)
				reload_abort(m, "postern-keys ended while it was starting");
			return true;
		}
	}
	for (size_t i = 0; i < 8; i++) {
		if (m->services.draining[i] == pid) {
			m->services.draining[i] = 0;
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
			p->retry_ms = now_ms + RETRY_MS;
		}
		if (wait < 0 || (int)(p->retry_ms - now_ms) < wait)
			wait = (int)(p->retry_ms - now_ms);
	}
	if (services_are_ready(m))
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
	if (m->services.next_keys.master != NULL)
		services_drop_next_keys(m);
}

void
services_kill(struct master *m)
{
	for (size_t i = 0; i < SERVICE_COUNT; i++)
		if (m->services.process[i].pid != 0)
			kill(m->services.process[i].pid, SIGKILL);
	for (size_t i = 0; i < 8; i++)
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
