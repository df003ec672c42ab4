/*
 * Session processes, seen from postern-relay: what each is doing, what it gets next, when it ends. Invariant: a process has at most
 * one delivery, and gets none before it has said that it is ready; nothing that it says is believed beyond its own delivery.
 */
#include "ipc.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "patience.h"
#include "relay.h"
#include "str.h"

/* Waits that a process may have from its greeting to its login, each delivery.timeout: one that takes longer does not do as it should. */
#define START_STEPS 12

/* Nothing more is for it; its delivery, if it has one, is its own to answer. */
void
outbound_close(struct outbound *o)
{
	if (o->state == OUTBOUND_CLOSING || o->state == OUTBOUND_GONE)
		return;
	o->state = OUTBOUND_CLOSING;
	if (o->delivery == NULL)
		o->since_ms = io_now_ms();
	shutdown(o->watch.fd, SHUT_WR);
}

static void
drop_delivery(struct outbound *o)
{
	if (o->delivery != NULL)
		delivery_free(&relay, o->delivery);
	o->delivery = NULL;
}

/* The attempt that it was to answer goes on without it. */
static void
leave_attempt(struct outbound *o)
{
	struct attempt *a = o->attempt;

	o->attempt = NULL;
	if (a == NULL)
		return;
	a->outbound = NULL;
	attempt_next(a);
}

/* Its socket has ended. */
static void
bury(struct outbound *o)
{
	loop_remove(&relay.loop, &o->watch);
	io_close(&o->watch.fd);
	o->state = OUTBOUND_GONE;
	o->since_ms = io_now_ms();
	drop_delivery(o);
	if (o->is_counted) {
		o->destination->nsessions--;
		relay.nsessions--;
	}
	o->is_counted = false;
	o->destination = NULL;
	if (o->attempt != NULL)
		attempt_blame(o->attempt, DELIVERY_DEFERRED, DELIVERY_GREETING, "4.3.0", "the session process ended without a word");
	leave_attempt(o);
}

static void
became_ready(struct outbound *o)
{
	struct attempt *a = o->attempt;

	o->attempt = NULL;
	a->outbound = NULL;
	attempt_end(&relay, a);
	o->destination->nsessions++;
	relay.nsessions++;
	o->is_counted = true;
	o->state = OUTBOUND_IDLE;
	o->idle_ms = io_now_ms();
}

static int
hear_idle(struct outbound *o, const struct ipc_delivery *m)
{
	/* It was told to end before it said so. */
	if (o->state == OUTBOUND_CLOSING && o->delivery == NULL)
		return ERR_OK;
	if (o->state == OUTBOUND_STARTING) {
		if (m->number != 0 || !m->is_open)
			return ERR_DENIED;
		became_ready(o);
		return ERR_OK;
	}
	if (o->delivery != NULL && m->number == o->delivery->number) {
		drop_delivery(o);
		o->deliveries++;
		o->since_ms = io_now_ms();
	} else if (m->number != 0 || m->is_open) {
		return ERR_DENIED;
	}
	if (!m->is_open || o->deliveries >= RELAY_SESSION_DELIVERIES || relay.is_stopping ||
	    io_now_ms() >= o->began_ms + patience_life_ms) {
		outbound_close(o);
	} else if (o->state == OUTBOUND_BUSY) {
		o->state = OUTBOUND_IDLE;
		o->idle_ms = io_now_ms();
	}
	return ERR_OK;
}

/* It could not get ready: with the same server once more in the clear, where that is permitted, else with the next. */
static int
hear_failure(struct outbound *o, const struct ipc_finished *m)
{
	struct attempt *a = o->attempt;
	const struct conf_route *route;
	bool again;

	if (o->state == OUTBOUND_CLOSING && a == NULL)
		return ERR_OK;
	if (o->state != OUTBOUND_STARTING || m->outcome.verdict == DELIVERY_DELIVERED)
		return ERR_DENIED;
	route = destination_route(&relay, o->destination);
	again = m->outcome.stage == DELIVERY_TLS && route->tls == ROUTE_TLS_OPPORTUNISTIC && route->kind != ROUTE_SMTPS &&
	    !a->is_clear && a->host < a->nhosts && !relay.is_stopping;
	attempt_blame_session(a, m);
	/* A password that one address refused will be refused by the next. */
	if (m->outcome.stage == DELIVERY_LOGIN)
		a->ntried = RELAY_CANDIDATES_MAX;
	o->attempt = NULL;
	a->outbound = NULL;
	o->destination = NULL;
	outbound_close(o);
	if (again) {
		a->is_clear = true;
		connect_begin(&relay, a);
	} else {
		attempt_next(a);
	}
	return ERR_OK;
}

static void
handle(void *owner, uint32_t events)
{
	struct outbound *o = owner;
	struct destination *t = o->destination;
	struct unshared *u = relay.unshared;
	struct ipc_delivery idle;
	struct ipc_message m;
	int err = ipc_recv(o->watch.fd, IPC_RELAY_FROM_OUTBOUND, u->datagram, sizeof(u->datagram), false, &m);

	(void)events;
	if (err == ERR_BUSY)
		return;
	if (err == ERR_OK && m.kind == IPC_IDLE && (err = ipc_get_delivery(&m.body, &idle)) == ERR_OK)
		err = hear_idle(o, &idle);
	else if (err == ERR_OK && m.kind == IPC_FINISHED && (err = ipc_get_finished(&m.body, &u->finished)) == ERR_OK)
		err = hear_failure(o, &u->finished);
	if (err != ERR_OK) {
		if (err != ERR_CLOSED)
			log_event(LOG_LEVEL_ALARM, 0, "frame-bad", "from", "session process", "host", o->host, "reason", err_text(err), NULL);
		bury(o);
	}
	if (t != NULL)
		destination_pump(&relay, t);
}

struct outbound *
outbound_find_idle(struct relay *r, const struct destination *t)
{
	for (struct outbound *o = r->outbounds; o != NULL; o = o->next)
		if (o->destination == t && o->state == OUTBOUND_IDLE)
			return o;
	return NULL;
}

int
outbound_give(struct relay *r, struct outbound *o, struct delivery *d)
{
	int err = delivery_forward(r, d, o->watch.fd);

	if (err != ERR_OK) {
		/* Half of a delivery may be on its way: it is of no use to anybody. */
		outbound_close(o);
		return err;
	}
	o->delivery = d;
	o->since_ms = io_now_ms();
	o->state = OUTBOUND_BUSY;
	return ERR_OK;
}

bool
outbound_evict(struct relay *r)
{
	struct outbound *oldest = NULL;

	for (struct outbound *o = r->outbounds; o != NULL; o = o->next)
		if (o->state == OUTBOUND_IDLE && o->destination->first == NULL && (oldest == NULL || o->idle_ms < oldest->idle_ms))
			oldest = o;
	if (oldest != NULL)
		outbound_close(oldest);
	return oldest != NULL;
}

static void
log_death(const struct outbound *o, int status)
{
	char number[24], pid[24];

	if (o->is_killed)
		return;
	if (WIFSIGNALED(status))
		log_event(LOG_LEVEL_ALARM, 0, "session-process.died", "pid", str_put_u64(pid, (uint64_t)o->pid), "host", o->host, "signal",
		    str_put_u64(number, (uint64_t)WTERMSIG(status)), NULL);
	else if (WEXITSTATUS(status) != 0)
		log_event(LOG_LEVEL_ERROR, 0, "session-process.failed", "pid", str_put_u64(pid, (uint64_t)o->pid), "host", o->host,
		    "status", str_put_u64(number, (uint64_t)WEXITSTATUS(status)), NULL);
}

uint64_t
outbound_end_ms(const struct outbound *o)
{
	if (o->is_killed || o->state == OUTBOUND_STARTING || o->state == OUTBOUND_IDLE)
		return UINT64_MAX;
	return o->since_ms + (o->delivery != NULL ? patience_delivery_ms : patience_end_ms);
}

/* One that does not end when it should: in a hostile server's hands it would keep its place for ever. What it had breaks off. */
static void
put_down(struct outbound *o, uint64_t now_ms)
{
	char pid[24], ms[24];

	if (now_ms < outbound_end_ms(o))
		return;
	log_event(LOG_LEVEL_ALARM, 0, "session-process.killed", "reason", o->delivery != NULL ? "its delivery takes too long" :
	    "it does not end", "pid", str_put_u64(pid, (uint64_t)o->pid), "host", o->host, "ms", str_put_u64(ms, now_ms - o->since_ms), NULL);
	o->is_killed = true;
	kill(o->pid, SIGKILL);
}

void
outbound_tick(struct relay *r, uint64_t now_ms)
{
	struct outbound **p = &r->outbounds;

	while (*p != NULL) {
		struct outbound *o = *p;
		int status;

		if (o->state == OUTBOUND_STARTING && now_ms >= o->idle_ms + START_STEPS * r->service->conf.delivery_timeout) {
			bury(o);
			p = &r->outbounds;	/* another one may stand there now */
			continue;
		}
		if (o->state == OUTBOUND_IDLE && now_ms >= o->idle_ms + RELAY_IDLE_MS)
			outbound_close(o);
		put_down(o, now_ms);
		if (o->state != OUTBOUND_GONE || waitpid(o->pid, &status, WNOHANG) == 0) {
			p = &o->next;
			continue;
		}
		log_death(o, status);
		*p = o->next;
		unshared_drop(r->unshared, o);
	}
}

void
outbound_tell_underway(struct relay *r)
{
	static struct ipc_underway m;
	uint8_t data[1024];
	struct wire_out w;

	for (struct outbound *o = r->outbounds; o != NULL; o = o->next) {
		const struct ipc_delivery which = { .number = o->delivery != NULL ? o->delivery->number : 0, .is_open = true };
		int fds[2];

		if (o->delivery == NULL || o->state != OUTBOUND_BUSY || ipc_pair(fds) != ERR_OK)
			continue;
		m = (struct ipc_underway){ .number = o->delivery->number, .n = o->delivery->n };
		str_fmt(m.id, sizeof(m.id), "%s", o->delivery->id);
		memcpy(m.indexes, o->delivery->indexes, sizeof(m.indexes));
		wire_out_init(&w, data, sizeof(data));
		ipc_put_underway(&w, &m);
		if (ipc_send(r->spool.fd, &w, &fds[0], 1, false) == ERR_OK) {
			wire_out_init(&w, data, sizeof(data));
			ipc_put_delivery(&w, IPC_RESULT_SOCKET, &which);
			ipc_send(o->watch.fd, &w, &fds[1], 1, false);
		}
		io_close(&fds[0]);
		io_close(&fds[1]);
	}
}

int
outbound_start(struct relay *r, struct attempt *a, int fd)
{
	static struct session_facts facts;
	struct outbound *o = unshared_get(r->unshared);
	const struct conf_route *route = destination_route(r, a->destination);
	int fds[2] = { -1, -1 };
	struct netmask mask;

	if (o == NULL || ipc_pair(fds) != ERR_OK) {
		unshared_drop(r->unshared, o);
		io_close(&fd);
		return ERR_NOMEM;
	}
	facts = (struct session_facts){
		.kind = route->kind, .tls = route->tls, .is_clear = a->is_clear, .return_path = route->return_path,
		.address = a->addresses[a->host][a->address], .timeout_ms = r->service->conf.delivery_timeout,
		.client = r->clients[a->destination->route],
	};
	facts.is_near = facts.address.family == 0 || netaddr_is_loopback(&facts.address);
	str_fmt(facts.hostname, sizeof(facts.hostname), "%s", r->service->conf.hostname);
	str_fmt(facts.host, sizeof(facts.host), "%s", a->hosts[a->host].name);
	facts.is_address = facts.host[0] == '[' || netmask_parse(&mask, facts.host) == ERR_OK;
	str_fmt(facts.user, sizeof(facts.user), "%s", route->user);
	memcpy(facts.secret, r->unshared->secrets[a->destination->route], sizeof(facts.secret));
	str_fmt(o->host, sizeof(o->host), "%s", facts.host);
	if ((o->pid = fork()) == 0)
		outbound_run(r, &facts, fd, fds[1]);
	mem_wipe(facts.secret, sizeof(facts.secret));
	io_close(&fd);
	io_close(&fds[1]);
	o->watch = (struct loop_watch){ .fd = fds[0], .handle = handle, .owner = o };
	if (o->pid < 0) {
		io_close(&fds[0]);
		unshared_drop(r->unshared, o);
		return ERR_SYSTEM;
	}
	if (loop_add(&r->loop, &o->watch, EPOLLIN) != ERR_OK) {
		/* It is there all the same, and to be waited for. */
		io_close(&o->watch.fd);
		o->state = OUTBOUND_GONE;
		o->since_ms = io_now_ms();
		o->next = r->outbounds;
		r->outbounds = o;
		return ERR_SYSTEM;
	}
	o->destination = a->destination;
	o->attempt = a;
	o->idle_ms = o->began_ms = io_now_ms();
	a->outbound = o;
	o->next = r->outbounds;
	r->outbounds = o;
	return ERR_OK;
}
