/*
 * Messages of delivery, between spool, relay and the session processes: one put and one get stand together. Pure.
 * Invariant: a get succeeds only if every field was there, in its bounds, and nothing is left.
 */
#include "message_relay.h"

#include <string.h>

#include "err.h"
#include "fields.h"

static const char *const stages[] = {
	[DELIVERY_ROUTE] = "route", [DELIVERY_RESOLVE] = "resolve", [DELIVERY_CONNECT] = "connect", [DELIVERY_GREETING] = "greeting",
	[DELIVERY_HELLO] = "hello", [DELIVERY_TLS] = "tls", [DELIVERY_LOGIN] = "login", [DELIVERY_MAIL] = "mail",
	[DELIVERY_RCPT] = "rcpt", [DELIVERY_DATA] = "data", [DELIVERY_END] = "end-of-data",
};

const char *
ipc_delivery_stage(enum delivery_stage stage)
{
	return stages[stage];
}

void
ipc_put_deliver(struct wire_out *w, const struct ipc_deliver *m)
{
	fields_put_kind(w, IPC_DELIVER);
	wire_put_u64(w, m->number);
	fields_put_text(w, m->id);
	fields_put_text(w, m->route);
	fields_put_text(w, m->domain);
	fields_put_sender(w, &m->sender);
	wire_put_u64(w, m->offset);
	wire_put_u16(w, m->nrecipients);
	wire_put_str(w, m->signatures, m->signatures_len);
}

int
ipc_get_deliver(struct wire_in *w, struct ipc_deliver *m)
{
	m->number = wire_get_u64(w);
	wire_get_text(w, m->id, sizeof(m->id));
	wire_get_text(w, m->route, sizeof(m->route));
	wire_get_text(w, m->domain, sizeof(m->domain));
	fields_get_sender(w, &m->sender);
	m->offset = wire_get_u64(w);
	m->nrecipients = wire_get_u16(w);
	wire_get_str(w, &m->signatures, &m->signatures_len, RELAY_SIGNATURES_MAX);
	if (m->nrecipients == 0 || m->nrecipients > RELAY_RECIPIENTS_MAX)
		w->failed = true;
	return wire_in_end(w);
}

void
ipc_put_deliver_recipient(struct wire_out *w, const struct ipc_deliver_recipient *m)
{
	fields_put_kind(w, IPC_DELIVER_RECIPIENT);
	wire_put_u64(w, m->number);
	wire_put_u16(w, m->index);
	fields_put_recipient(w, &m->recipient);
}

int
ipc_get_deliver_recipient(struct wire_in *w, struct ipc_deliver_recipient *m)
{
	m->number = wire_get_u64(w);
	m->index = wire_get_u16(w);
	fields_get_recipient(w, &m->recipient);
	return wire_in_end(w);
}

static void
put_outcome(struct wire_out *w, const struct ipc_outcome_of *o)
{
	wire_put_u8(w, o->verdict);
	wire_put_u8(w, o->stage);
	wire_put_u16(w, o->code);
	fields_put_text(w, o->enhanced);
	fields_put_text(w, o->reply);
}

/* What the processes of relay say comes from servers that may have taken them over: their text is printable or refused. */
static void
get_outcome(struct wire_in *w, struct ipc_outcome_of *o)
{
	o->verdict = (enum delivery_verdict)wire_get_enum(w, DELIVERY_RETURNED);
	o->stage = (enum delivery_stage)wire_get_enum(w, DELIVERY_STAGE_MAX);
	o->code = wire_get_u16(w);
	wire_get_text(w, o->enhanced, sizeof(o->enhanced));
	wire_get_text(w, o->reply, sizeof(o->reply));
	if (o->code != 0 && (o->code < 200 || o->code > 599))
		w->failed = true;
	if (o->enhanced[strspn(o->enhanced, "0123456789.")] != 0)
		w->failed = true;
	for (const char *p = o->reply; *p != 0; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			w->failed = true;
}

void
ipc_put_result(struct wire_out *w, const struct ipc_result *m)
{
	fields_put_kind(w, IPC_RESULT);
	wire_put_u16(w, m->index);
	put_outcome(w, &m->outcome);
}

int
ipc_get_result(struct wire_in *w, struct ipc_result *m)
{
	m->index = wire_get_u16(w);
	get_outcome(w, &m->outcome);
	if (m->outcome.verdict == DELIVERY_RETURNED)
		w->failed = true;
	return wire_in_end(w);
}

static void
get_printable(struct wire_in *w, char *text, size_t size)
{
	wire_get_text(w, text, size);
	for (const char *p = text; *p != 0; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			w->failed = true;
}

void
ipc_put_finished(struct wire_out *w, const struct ipc_finished *m)
{
	fields_put_kind(w, IPC_FINISHED);
	wire_put_u64(w, m->number);
	put_outcome(w, &m->outcome);
	fields_put_bool(w, m->is_dead);
	fields_put_text(w, m->host);
	fields_put_text(w, m->address);
	fields_put_text(w, m->tls);
	fields_put_bool(w, m->relayed_dsn);
}

int
ipc_get_finished(struct wire_in *w, struct ipc_finished *m)
{
	m->number = wire_get_u64(w);
	get_outcome(w, &m->outcome);
	m->is_dead = fields_get_bool(w);
	get_printable(w, m->host, sizeof(m->host));
	get_printable(w, m->address, sizeof(m->address));
	get_printable(w, m->tls, sizeof(m->tls));
	m->relayed_dsn = fields_get_bool(w);
	return wire_in_end(w);
}

void
ipc_put_delivery(struct wire_out *w, enum ipc_kind kind, const struct ipc_delivery *m)
{
	fields_put_kind(w, kind);
	wire_put_u64(w, m->number);
	fields_put_bool(w, m->is_open);
}

int
ipc_get_delivery(struct wire_in *w, struct ipc_delivery *m)
{
	m->number = wire_get_u64(w);
	m->is_open = fields_get_bool(w);
	return wire_in_end(w);
}

void
ipc_put_underway(struct wire_out *w, const struct ipc_underway *m)
{
	fields_put_kind(w, IPC_UNDERWAY);
	wire_put_u64(w, m->number);
	fields_put_text(w, m->id);
	wire_put_u16(w, m->n);
	for (size_t i = 0; i < m->n && i < RELAY_RECIPIENTS_MAX; i++)
		wire_put_u16(w, m->indexes[i]);
}

int
ipc_get_underway(struct wire_in *w, struct ipc_underway *m)
{
	m->number = wire_get_u64(w);
	wire_get_text(w, m->id, sizeof(m->id));
	m->n = wire_get_u16(w);
	if (m->n == 0 || m->n > RELAY_RECIPIENTS_MAX)
		w->failed = true;
	for (size_t i = 0; i < m->n && !w->failed; i++)
		m->indexes[i] = wire_get_u16(w);
	return wire_in_end(w);
}
