/*
 * The socket to relay: deliveries go, and after a start, those that its session processes have from an earlier postern-spool come.
 * Run by postern-spool's loop. Invariant: relay is given a delivery whole or, as far as this program knows, not at all; nothing here
 * waits for it.
 */
#include "relay_link.h"

#include <errno.h>
#include <string.h>

#include "active.h"
#include "deliver.h"
#include "destination.h"
#include "err.h"
#include "io.h"
#include "log.h"
#include "schedule.h"
#include "spooler.h"

static void
close_link(struct spooler *sp)
{
	struct delivery *row = sp->relay.first, *next;

	loop_remove(&sp->loop, &sp->relay.watch);
	io_close(&sp->relay.watch.fd);
	sp->relay.is_ready = sp->relay.is_writing = false;
	sp->relay.first = sp->relay.last = NULL;
	for (; row != NULL; row = next) {
		next = row->behind;
		row->behind = NULL;
		deliver_give_back(row);
	}
}

static int
take(struct spooler *sp, struct ipc_message *m)
{
	static struct ipc_underway u;
	int err;

	if (m->kind == IPC_RELAY_READY) {
		if ((err = ipc_get_empty(&m->body)) == ERR_OK)
			sp->relay.is_ready = true;
		return err;
	}
	if ((err = ipc_get_underway(&m->body, &u)) != ERR_OK)
		return err;
	deliver_take_up(sp, &u, m->fds[0]);
	m->fds[0] = -1;
	return ERR_OK;
}

static void
drain(struct spooler *sp)
{
	struct ipc_message m;

	while (sp->relay.watch.fd >= 0) {
		int err = ipc_recv(sp->relay.watch.fd, IPC_SPOOL_FROM_RELAY, sp->small, sizeof(sp->small), false, &m);

		if (err == ERR_BUSY)
			return;
		if (err == ERR_CLOSED || err == ERR_SYSTEM) {
			close_link(sp);
			return;
		}
		if (err == ERR_OK) {
			err = take(sp, &m);
			ipc_message_close(&m);
		}
		if (err != ERR_OK)
			log_event(LOG_LEVEL_ALARM, 0, "relay.bad_frame", "what", err_text(err), "kind", ipc_kind_name(m.kind), NULL);
	}
}

static void
set_writing(struct spooler *sp, bool on)
{
	if (sp->relay.is_writing != on && sp->relay.watch.fd >= 0 &&
	    loop_change(&sp->loop, &sp->relay.watch, on ? EPOLLIN | EPOLLOUT : EPOLLIN) == ERR_OK)
		sp->relay.is_writing = on;
}

static void
handle_socket(void *owner, uint32_t events)
{
	struct spooler *sp = owner;

	drain(sp);
	if ((events & EPOLLOUT) != 0 && sp->relay.watch.fd >= 0) {
		set_writing(sp, false);
		relay_link_flush(sp);
	}
}

void
relay_link_replace(struct spooler *sp, int fd)
{
	drain(sp);
	if (sp->relay.watch.fd >= 0)
		close_link(sp);
	sp->relay.watch = (struct loop_watch){ .fd = fd, .handle = handle_socket, .owner = sp };
	if (loop_add(&sp->loop, &sp->relay.watch, EPOLLIN) == ERR_OK)
		return;
	log_error("link.failed", "reason", strerror(errno), NULL);
	io_close(&sp->relay.watch.fd);
}

bool
relay_link_is_ready(const struct spooler *sp)
{
	return sp->relay.watch.fd >= 0 && sp->relay.is_ready;
}

void
relay_link_send(struct spooler *sp, struct delivery *d)
{
	d->carriage = CARRIAGE_UNSENT;
	d->behind = NULL;
	if (sp->relay.last != NULL)
		sp->relay.last->behind = d;
	else
		sp->relay.first = d;
	sp->relay.last = d;
}

void
relay_link_forget(struct spooler *sp, struct delivery *d)
{
	struct delivery *before = NULL;

	for (struct delivery *i = sp->relay.first; i != NULL; before = i, i = i->behind) {
		if (i != d)
			continue;
		if (before != NULL)
			before->behind = d->behind;
		else
			sp->relay.first = d->behind;
		if (sp->relay.last == d)
			sp->relay.last = before;
		d->behind = NULL;
		return;
	}
}

/* The envelope was parsed before it was stored; what does not parse again is given on empty, and refused there. */
static void
put_address(struct addr *to, const char *text)
{
	if (text[0] == 0 || addr_parse(to, text, strlen(text), true) != ERR_OK)
		addr_set_null(to);
}

static int
send_head(struct spooler *sp, struct delivery *d)
{
	static struct ipc_deliver m;
	const struct active *a = d->active;
	const struct spool_envelope *e = &a->envelope;
	int fds[2] = { a->fd, d->peer_fd };
	struct wire_out w;

	m = (struct ipc_deliver){ .number = d->number, .offset = e->message_offset, .nrecipients = d->n, .signatures = a->signatures,
	    .signatures_len = a->signatures_len };
	memcpy(m.id, a->id, sizeof(a->id));
	strncpy(m.route, d->part->destination->name, sizeof(m.route) - 1);
	strncpy(m.domain, d->part->destination->domain, sizeof(m.domain) - 1);
	put_address(&m.sender.address, e->sender);
	m.sender.size = e->message_size;
	m.sender.body = e->body_8bit ? BODY_8BITMIME : BODY_7BIT;
	m.sender.smtputf8 = e->smtputf8;
	m.sender.ret = e->ret == NULL ? DSN_RET_NONE : strcmp(e->ret, "FULL") == 0 ? DSN_RET_FULL : DSN_RET_HDRS;
	if (e->envid != NULL)
		strncpy(m.sender.envid, e->envid, sizeof(m.sender.envid) - 1);
	wire_out_init(&w, sp->small, sizeof(sp->small));
	ipc_put_deliver(&w, &m);
	return ipc_send(sp->relay.watch.fd, &w, fds, 2, false);
}

static uint8_t
notify_bits(const char *notify)
{
	static const struct {
		const char	*word;
		uint8_t		bit;
	} words[] = { { "NEVER", DSN_NOTIFY_NEVER }, { "SUCCESS", DSN_NOTIFY_SUCCESS }, { "FAILURE", DSN_NOTIFY_FAILURE },
	    { "DELAY", DSN_NOTIFY_DELAY } };
	uint8_t bits = 0;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && notify != NULL; i++)
		if (strstr(notify, words[i].word) != NULL)
			bits |= words[i].bit;
	return bits;
}

static int
send_recipient(struct spooler *sp, const struct delivery *d, uint16_t index)
{
	static struct ipc_deliver_recipient m;
	const struct spool_recipient *r = &d->active->envelope.recipients[index];
	struct wire_out w;

	m = (struct ipc_deliver_recipient){ .number = d->number, .index = index, .recipient.notify = notify_bits(r->notify) };
	put_address(&m.recipient.address, r->address);
	if (r->orcpt != NULL)
		strncpy(m.recipient.orcpt, r->orcpt, sizeof(m.recipient.orcpt) - 1);
	wire_out_init(&w, sp->small, sizeof(sp->small));
	ipc_put_deliver_recipient(&w, &m);
	return ipc_send(sp->relay.watch.fd, &w, NULL, 0, false);
}

/* What is left of a delivery. ERR_BUSY: no more now. */
static int
send_rest(struct spooler *sp, struct delivery *d)
{
	int err;

	for (; d->nsent <= d->n; d->nsent++)
		if ((err = d->nsent == 0 ? send_head(sp, d) : send_recipient(sp, d, d->indexes[d->nsent - 1])) != ERR_OK)
			return err;
	return ERR_OK;
}

void
relay_link_flush(struct spooler *sp)
{
	while (relay_link_is_ready(sp) && !sp->relay.is_writing && sp->relay.first != NULL) {
		struct delivery *d = sp->relay.first;
		int err = send_rest(sp, d);

		if (err == ERR_OK) {
			relay_link_forget(sp, d);
			d->carriage = CARRIAGE_SENT;
			io_close(&d->peer_fd);
		} else if (err == ERR_BUSY) {
			set_writing(sp, true);
		} else {
			/* An ended link says so to the loop, too. */
			close_link(sp);
		}
	}
}
