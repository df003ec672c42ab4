/*
 * The loop of postern-relay: the master's socket, the link with the spool, and what waits for a time. Runs sandboxed. Invariant: a
 * delivery that the spool gave is with a session process, waits for one, or was answered; nothing here waits for a peer.
 */
#include <string.h>

#include "err.h"
#include "io.h"
#include "ipc.h"
#include "log.h"
#include "relay.h"
#include "str.h"

#define TICK_MS 1000
#define REAP_MS 20	/* a session process is about to end */
#define LINGER_MS 300	/* for what the spool sends before it hears of the end */

static void
close_link(struct relay *r)
{
	if (r->spool.fd < 0)
		return;
	loop_remove(&r->loop, &r->spool);
	io_close(&r->spool.fd);
	if (r->assembling != NULL)
		delivery_free(r, r->assembling);
	r->assembling = NULL;
	r->is_skipping = false;
}

static void
finish_own(struct relay *r, struct delivery *d, enum delivery_verdict verdict, const char *enhanced, const char *text)
{
	struct ipc_finished *m = &r->unshared->finished;

	*m = (struct ipc_finished){ .outcome = { .verdict = verdict, .stage = DELIVERY_ROUTE } };
	str_fmt(m->outcome.enhanced, sizeof(m->outcome.enhanced), "%s", enhanced);
	str_fmt(m->outcome.reply, sizeof(m->outcome.reply), "%s", text);
	delivery_finish(r, d, m);
}

/* A whole delivery: unshared->deliver still holds its first datagram's fields. */
static void
dispatch(struct relay *r, struct delivery *d)
{
	const struct conf *c = &r->service->conf;
	const struct ipc_deliver *m = &r->unshared->deliver;
	size_t i = 0;

	if (r->is_stopping) {
		delivery_return(r, d);
		return;
	}
	while (i < c->nroutes && strcmp(c->routes[i].name, m->route) != 0)
		i++;
	if (i == c->nroutes)
		finish_own(r, d, DELIVERY_DEFERRED, "4.3.5", "the configuration has no such route any more");
	else if (c->routes[i].kind == ROUTE_DISCARD)
		finish_own(r, d, DELIVERY_DELIVERED, "2.0.0", "discarded");
	else if (c->routes[i].kind == ROUTE_MX && m->domain[0] == 0)
		finish_own(r, d, DELIVERY_FAILED, "5.1.2", "the recipient has no domain");
	else
		destination_take(r, d, i, c->routes[i].kind == ROUTE_MX ? m->domain : "");
}

/* There is no room for this delivery: what is still to come of it is not looked at. The spool gives it again a little later. */
static void
skip(struct relay *r, uint64_t number)
{
	r->is_skipping = true;
	r->skipped = number;
}

static int
take_deliver(struct relay *r, struct ipc_message *m, size_t n)
{
	const struct ipc_deliver *d = &r->unshared->deliver;
	int err;

	if (r->assembling != NULL)
		return ERR_DENIED;
	if ((err = ipc_get_deliver(&m->body, &r->unshared->deliver)) != ERR_OK)
		return err;
	r->is_skipping = false;
	if ((r->assembling = delivery_begin(r, n, m->fds[0], m->fds[1])) == NULL) {
		delivery_refuse(r, d->number, m->fds[1]);
		skip(r, d->number);
		return ERR_OK;
	}
	m->fds[0] = m->fds[1] = -1;
	return ERR_OK;
}

/* For its descriptors this process had no room: they are gone, and the spool sees its socket end. */
static bool
lacks_descriptors(struct relay *r, struct ipc_message *m, int err)
{
	if (err != ERR_TOOBIG || m->kind != IPC_DELIVER || r->assembling != NULL ||
	    ipc_get_deliver(&m->body, &r->unshared->deliver) != ERR_OK)
		return false;
	log_error("descriptors.short", "id", r->unshared->deliver.id, NULL);
	skip(r, r->unshared->deliver.number);
	return true;
}

static int
take_recipient(struct relay *r, struct ipc_message *m, size_t n)
{
	struct ipc_deliver_recipient *got = &r->unshared->recipient;
	struct delivery *d = r->assembling;
	int err;

	if ((err = ipc_get_deliver_recipient(&m->body, got)) != ERR_OK)
		return err;
	if (d == NULL && r->is_skipping && got->number == r->skipped)
		return ERR_OK;
	if (d == NULL || got->number != d->number)
		return ERR_DENIED;
	if (delivery_add(r, d, n) != ERR_OK) {
		skip(r, d->number);
		r->assembling = NULL;
		delivery_return(r, d);
		return ERR_OK;
	}
	d->indexes[d->come++] = got->index;
	if (d->come == d->n) {
		r->assembling = NULL;
		dispatch(r, d);
	}
	return ERR_OK;
}

/* Everything that is there: a delivery is several datagrams. */
static void
hear_spool(void *owner, uint32_t events)
{
	struct relay *r = owner;
	struct unshared *u = r->unshared;
	struct ipc_message m;
	int err;

	(void)events;
	for (unsigned i = 0; i < 2 * RELAY_RECIPIENTS_MAX; i++) {
		size_t n;

		err = ipc_recv(r->spool.fd, IPC_RELAY_FROM_SPOOL, u->datagram, sizeof(u->datagram), false, &m);
		if (err == ERR_BUSY)
			return;
		n = m.body.left + sizeof(uint16_t);
		if (err == ERR_OK)
			err = m.kind == IPC_DELIVER ? take_deliver(r, &m, n) : take_recipient(r, &m, n);
		ipc_message_close(&m);
		if (err == ERR_OK || lacks_descriptors(r, &m, err))
			continue;
		/* A spool that died gets another link from the master when it is back; nonsense ends this relay, and another is started. */
		if (err != ERR_CLOSED) {
			log_event(LOG_LEVEL_ALARM, 0, "frame-bad", "from", "spool", "reason", err_text(err), NULL);
			r->is_lost = true;
		}
		close_link(r);
		destination_empty_all(r);
		return;
	}
}

static void
take_link(struct relay *r, int fd)
{
	uint8_t data[16];
	struct wire_out w;

	close_link(r);
	destination_empty_all(r);
	r->spool = (struct loop_watch){ .fd = fd, .handle = hear_spool, .owner = r };
	if (loop_add(&r->loop, &r->spool, EPOLLIN) != ERR_OK) {
		log_error("link.failed", "service", "spool", NULL);
		io_close(&r->spool.fd);
		return;
	}
	outbound_tell_underway(r);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_empty(&w, IPC_RELAY_READY);
	ipc_send(r->spool.fd, &w, NULL, 0, false);
}

/* The master has ended, or a new relay is in our place: what is not begun goes back, what is under way comes to its end. */
static void
stop(struct relay *r)
{
	loop_remove(&r->loop, &r->control);
	io_close(&r->control.fd);
	r->is_stopping = true;
	r->stop_ms = io_now_ms();
	destination_empty_all(r);
	while (r->attempts != NULL) {
		struct attempt *a = r->attempts;

		if (a->outbound != NULL) {
			a->outbound->attempt = NULL;
			a->outbound->destination = NULL;
		}
		attempt_end(r, a);
	}
	for (struct outbound *o = r->outbounds; o != NULL; o = o->next)
		outbound_close(o);
}

static void
hear_master(void *owner, uint32_t events)
{
	struct relay *r = owner;
	uint8_t data[64];
	struct ipc_message m;
	enum link_peer peer;
	int err = ipc_recv(r->control.fd, IPC_RELAY_FROM_MASTER, data, sizeof(data), false, &m);

	(void)events;
	if (err == ERR_BUSY)
		return;
	if (err != ERR_OK) {
		stop(r);
		return;
	}
	if (ipc_get_link(&m.body, &peer) == ERR_OK && peer == LINK_SPOOL) {
		take_link(r, m.fds[0]);
		m.fds[0] = -1;
	}
	ipc_message_close(&m);
}

static void
lose_resolver(void *owner)
{
	struct relay *r = owner;

	log_event(LOG_LEVEL_ALARM, 0, "resolver.died", NULL);
	r->is_lost = true;
}

int
serve_open(struct relay *r)
{
	r->spool.fd = -1;
	r->control = (struct loop_watch){ .fd = SERVICE_CONTROL_FD, .handle = hear_master, .owner = r };
	if (loop_open(&r->loop) != ERR_OK || loop_add(&r->loop, &r->control, EPOLLIN) != ERR_OK)
		return ERR_SYSTEM;
	return resolver_watch(&r->resolver, &r->loop, lose_resolver, r);
}

static void
sooner(int *wait, uint64_t at_ms, uint64_t now_ms)
{
	int ms = at_ms <= now_ms ? 0 : at_ms - now_ms > TICK_MS ? TICK_MS : (int)(at_ms - now_ms);

	if (*wait < 0 || ms < *wait)
		*wait = ms;
}

/* How long nothing needs to be done unless something comes. */
static int
wait_time(const struct relay *r)
{
	uint64_t now = io_now_ms();
	int wait = r->is_stopping || r->attempts != NULL ? TICK_MS : -1;

	if (r->is_stopping && r->outbounds == NULL)
		sooner(&wait, r->stop_ms + LINGER_MS, now);
	for (const struct attempt *a = r->attempts; a != NULL; a = a->next)
		if (a->watch.fd >= 0)
			sooner(&wait, a->deadline_ms, now);
	for (const struct outbound *o = r->outbounds; o != NULL; o = o->next) {
		if (o->state == OUTBOUND_IDLE)
			sooner(&wait, o->idle_ms + RELAY_IDLE_MS, now);
		else if (o->state == OUTBOUND_GONE)
			sooner(&wait, now + (now < o->since_ms + TICK_MS ? REAP_MS : TICK_MS), now);
		if (outbound_end_ms(o) != UINT64_MAX)
			sooner(&wait, outbound_end_ms(o), now);
	}
	for (const struct destination *t = r->destinations; t != NULL; t = t->next)
		if (t->first != NULL)
			sooner(&wait, t->open_ms > now ? t->open_ms : now + TICK_MS, now);
	return wait;
}

static bool
is_over(const struct relay *r, uint64_t now)
{
	if (!r->is_stopping)
		return false;
	return now > r->stop_ms + RELAY_STOP_MS ||
	    (r->outbounds == NULL && (r->spool.fd < 0 || now >= r->stop_ms + LINGER_MS));
}

int
serve_run(struct relay *r)
{
	int err = ERR_OK;

	while (err == ERR_OK && !is_over(r, io_now_ms())) {
		uint64_t now;

		err = loop_run_once(&r->loop, wait_time(r));
		now = io_now_ms();
		resolver_tick(&r->resolver, now);
		connect_tick(r, now);
		outbound_tick(r, now);
		destination_pump_all(r);
		if (r->is_lost && !r->is_stopping)
			stop(r);
	}
	resolver_end(&r->resolver);
	return err == ERR_OK && r->is_lost ? ERR_CLOSED : err;
}
