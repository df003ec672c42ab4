/*
 * The socket to auth: grants and envelopes come, questions about the header From and the state of the disk go. Run by
 * postern-spool's loop. Invariant: what auth sends is believed, but a frame that does not parse is only logged; nothing here
 * waits for auth.
 */
#include "link.h"

#include <errno.h>
#include <string.h>

#include "err.h"
#include "etrn.h"
#include "io.h"
#include "log.h"
#include "message.h"
#include "session.h"
#include "spooler.h"
#include "str.h"

/* A grant, an envelope: big structures that only the loop uses, one at a time. */
static union {
	struct ipc_grant		grant;
	struct ipc_grant_name		grant_name;
	struct ipc_envelope_sender	sender;
	struct ipc_envelope_recipient	recipient;
	struct ipc_envelope_drop	drop;
	struct ipc_from_answer		from_answer;
} got;

static int
handle_grant(struct spooler *sp, struct ipc_message *m)
{
	int err = ipc_get_grant(&m->body, &got.grant);

	if (err != ERR_OK)
		return err;
	session_grant(sp, &got.grant, m->fds[0]);
	m->fds[0] = -1;
	return ERR_OK;
}

static int
handle_grant_name(struct spooler *sp, struct ipc_message *m)
{
	int err = ipc_get_grant_name(&m->body, &got.grant_name);
	struct session *s;

	if (err == ERR_OK && (s = session_find(sp, got.grant_name.session)) != NULL)
		memcpy(s->account, got.grant_name.name, sizeof(s->account));
	return err;
}

static int
handle_sender(struct spooler *sp, struct ipc_message *m)
{
	int err = ipc_get_envelope_sender(&m->body, &got.sender);
	struct session *s;

	if (err != ERR_OK)
		return err;
	if ((s = session_find(sp, got.sender.session)) != NULL)
		envelope_begin(&s->pending, &got.sender);
	return ERR_OK;
}

/* The pending envelope that auth speaks of, or NULL: its session has ended meanwhile. */
static struct envelope *
find_envelope(struct spooler *sp, uint64_t session, uint32_t t)
{
	struct session *s = session_find(sp, session);

	return s != NULL && s->pending.is_pending && s->pending.t == t ? &s->pending : NULL;
}

static int
handle_recipient(struct spooler *sp, struct ipc_message *m)
{
	int err = ipc_get_envelope_recipient(&m->body, &got.recipient);
	struct envelope *e;

	if (err != ERR_OK)
		return err;
	if ((e = find_envelope(sp, got.recipient.session, got.recipient.t)) != NULL)
		envelope_add(e, &got.recipient.recipient);
	return ERR_OK;
}

static int
handle_envelope_drop(struct spooler *sp, struct ipc_message *m)
{
	int err = ipc_get_envelope_drop(&m->body, &got.drop);
	struct envelope *e;

	if (err != ERR_OK)
		return err;
	if ((e = find_envelope(sp, got.drop.session, got.drop.t)) != NULL)
		envelope_drop(e);
	return ERR_OK;
}

static int
handle_from_answer(struct spooler *sp, struct ipc_message *m)
{
	int err = ipc_get_from_answer(&m->body, &got.from_answer);
	struct message *message;

	if (err != ERR_OK)
		return err;
	/* No message has that number. */
	if (got.from_answer.t == 0)
		etrn_judge(sp, got.from_answer.session, got.from_answer.verdict);
	else if ((message = message_find(sp, got.from_answer.session, got.from_answer.t)) != NULL)
		message_judge(message, got.from_answer.verdict);
	return ERR_OK;
}

static const struct {
	enum ipc_kind	kind;
	int		(*handle)(struct spooler *sp, struct ipc_message *m);
} handlers[] = {
	{ IPC_GRANT, handle_grant },
	{ IPC_GRANT_NAME, handle_grant_name },
	{ IPC_ENVELOPE_SENDER, handle_sender },
	{ IPC_ENVELOPE_RECIPIENT, handle_recipient },
	{ IPC_ENVELOPE_DROP, handle_envelope_drop },
	{ IPC_FROM_ANSWER, handle_from_answer },
};

static void
dispatch(struct spooler *sp, struct ipc_message *m)
{
	int err = ERR_DENIED;

	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].kind == m->kind)
			err = handlers[i].handle(sp, m);
	ipc_message_close(m);
	if (err != ERR_OK)
		log_event(LOG_LEVEL_ALARM, 0, "auth.bad_frame", "what", err_text(err), "kind", ipc_kind_name(m->kind), NULL);
}

static void
close_link(struct spooler *sp)
{
	struct message *next;

	loop_remove(&sp->loop, &sp->link_watch);
	io_close(&sp->link_watch.fd);
	sp->link_is_writing = false;
	for (struct message *m = sp->messages; m != NULL; m = next) {
		next = m->next;
		message_lose_link(m);
	}
	etrn_lose_link(sp);
}

void
link_drain(struct spooler *sp)
{
	struct ipc_message m;

	while (sp->link_watch.fd >= 0) {
		int err = ipc_recv(sp->link_watch.fd, IPC_SPOOL_FROM_AUTH, sp->small, sizeof(sp->small), false, &m);

		if (err == ERR_OK) {
			dispatch(sp, &m);
		} else if (err == ERR_BUSY) {
			return;
		} else if (err == ERR_CLOSED || err == ERR_SYSTEM) {
			close_link(sp);
		} else {
			/* ERR_TOOBIG is also what comes of a grant when descriptors have run out: that session is refused. */
			log_event(LOG_LEVEL_ALARM, 0, "auth.bad_frame", "what", err_text(err), "hint",
			    "if descriptors have run out, raise the limit of open files (ulimit -n)", NULL);
		}
	}
}

/* Has the loop say when there is room in the link, or stops that. */
static void
set_writing(struct spooler *sp, bool on)
{
	if (sp->link_is_writing != on && sp->link_watch.fd >= 0 &&
	    loop_change(&sp->loop, &sp->link_watch, on ? EPOLLIN | EPOLLOUT : EPOLLIN) == ERR_OK)
		sp->link_is_writing = on;
}

static int
send_now(struct spooler *sp, const struct wire_out *w)
{
	int err = sp->link_watch.fd >= 0 ? ipc_send(sp->link_watch.fd, w, NULL, 0, false) : ERR_CLOSED;

	if (err == ERR_BUSY)
		set_writing(sp, true);
	return err;
}

void
link_ask_from(struct spooler *sp, struct message *m)
{
	uint8_t data[64 + IPC_FROM_ADDRESSES_MAX * (ADDR_TEXT + 2)];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_from(&w, m->assembly.from);
	/* A link that has just ended says so to the loop, which then loses all that is unsent. */
	if (sp->link_watch.fd < 0)
		m->from = FROM_LOST;
	else
		m->from = send_now(sp, &w) == ERR_OK ? FROM_ASKED : FROM_UNSENT;
}

int
link_ask_etrn(struct spooler *sp, uint64_t session, const char *domain)
{
	static struct ipc_from m;
	char address[IPC_TEXT_MAX + 2];
	uint8_t data[64 + ADDR_TEXT];
	struct wire_out w;

	m = (struct ipc_from){ .session = session, .t = 0, .n = 1 };
	if (str_fmt(address, sizeof(address), "*@%s", domain) != ERR_OK ||
	    addr_parse(&m.addresses[0], address, strlen(address), false) != ERR_OK)
		return ERR_SYNTAX;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_from(&w, &m);
	return send_now(sp, &w);
}

void
link_tell_storage(struct spooler *sp)
{
	struct ipc_storage m = { .ok = !sp->is_low };
	uint8_t data[16];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_storage(&w, &m);
	sp->storage_unsent = send_now(sp, &w) == ERR_BUSY;
}

void
link_tell_usage(struct spooler *sp)
{
	uint8_t data[IPC_TEXT_MAX + 32];
	struct ipc_usage m;
	struct wire_out w;

	/* Without a link all is told to the next one. */
	while (sp->link_watch.fd >= 0 && !sp->link_is_writing && waiting_next(&sp->waiting, &m)) {
		wire_out_init(&w, data, sizeof(data));
		ipc_put_usage(&w, &m);
		if (send_now(sp, &w) != ERR_OK)
			return;
		waiting_told(&sp->waiting);
	}
}

void
link_tell_refused(struct spooler *sp, uint64_t session, uint32_t t)
{
	struct ipc_refused m = { .session = session, .t = t };
	uint8_t data[32];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_refused(&w, &m);
	send_now(sp, &w);
}

static struct message *
oldest(struct spooler *sp)
{
	struct message *m = sp->messages;

	while (m != NULL && m->next != NULL)
		m = m->next;
	return m;
}

static void
send_waiting(struct spooler *sp)
{
	set_writing(sp, false);
	if (sp->storage_unsent)
		link_tell_storage(sp);
	/* Who has waited longest comes first; a message that has a fault meanwhile asks nothing more. */
	for (struct message *m = oldest(sp); m != NULL && !sp->link_is_writing; m = m->previous)
		if (m->from == FROM_UNSENT && m->assembly.from != NULL)
			link_ask_from(sp, m);
	link_tell_usage(sp);
}

static void
handle_socket(void *owner, uint32_t events)
{
	struct spooler *sp = owner;

	link_drain(sp);
	if ((events & EPOLLOUT) != 0 && sp->link_watch.fd >= 0)
		send_waiting(sp);
}

void
link_replace(struct spooler *sp, int fd)
{
	link_drain(sp);
	if (sp->link_watch.fd >= 0)
		close_link(sp);
	sp->link_watch = (struct loop_watch){ .fd = fd, .handle = handle_socket, .owner = sp };
	if (loop_add(&sp->loop, &sp->link_watch, EPOLLIN) != ERR_OK) {
		log_error("link.failed", "reason", strerror(errno), NULL);
		io_close(&sp->link_watch.fd);
		return;
	}
	link_tell_storage(sp);
	waiting_forget_told(&sp->waiting);
	link_tell_usage(sp);
}
