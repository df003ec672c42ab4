/*
 * Messages of the spool's control socket, between smtpadm and postern-spool: one put and one get stand together. Pure.
 * Invariant: a get succeeds only if every field was there, in its bounds, and nothing is left.
 */
#include "message_queue.h"

#include "err.h"
#include "fields.h"

void
ipc_put_queue_change(struct wire_out *w, const struct ipc_queue_change *m)
{
	fields_put_kind(w, IPC_QUEUE);
	wire_put_u8(w, m->change);
	fields_put_text(w, m->text);
	wire_put_u16(w, m->n);
	for (size_t i = 0; i < m->n && i < IPC_QUEUE_FILES; i++)
		fields_put_text(w, m->files[i]);
}

int
ipc_get_queue_change(struct wire_in *w, struct ipc_queue_change *m)
{
	m->change = (enum queue_change)wire_get_enum(w, QUEUE_REROUTE);
	wire_get_text(w, m->text, sizeof(m->text));
	m->n = wire_get_u16(w);
	if (m->n == 0 || m->n > IPC_QUEUE_FILES)
		return ERR_SHORT;
	for (size_t i = 0; i < m->n; i++)
		wire_get_text(w, m->files[i], sizeof(m->files[i]));
	return wire_in_end(w);
}

void
ipc_put_queue_answer(struct wire_out *w, const struct ipc_queue_answer *m)
{
	fields_put_kind(w, IPC_QUEUE_ANSWER);
	wire_put_u16(w, m->n);
	for (size_t i = 0; i < m->n && i < IPC_QUEUE_FILES; i++)
		wire_put_u8(w, m->verdicts[i]);
}

int
ipc_get_queue_answer(struct wire_in *w, struct ipc_queue_answer *m)
{
	m->n = wire_get_u16(w);
	if (m->n == 0 || m->n > IPC_QUEUE_FILES)
		return ERR_SHORT;
	for (size_t i = 0; i < m->n; i++)
		m->verdicts[i] = (enum queue_verdict)wire_get_enum(w, QUEUE_FAILED);
	return wire_in_end(w);
}

void
ipc_put_delivery_order(struct wire_out *w, const struct ipc_delivery_order *m)
{
	fields_put_kind(w, IPC_DELIVERY);
	wire_put_u8(w, m->order);
	fields_put_text(w, m->reason);
}

int
ipc_get_delivery_order(struct wire_in *w, struct ipc_delivery_order *m)
{
	m->order = (enum delivery_order)wire_get_enum(w, DELIVERY_RESUME);
	wire_get_text(w, m->reason, sizeof(m->reason));
	return wire_in_end(w);
}

void
ipc_put_delivery_state(struct wire_out *w, const struct ipc_delivery_state *m)
{
	fields_put_kind(w, IPC_DELIVERY_ANSWER);
	fields_put_bool(w, m->is_paused);
	fields_put_text(w, m->reason);
	wire_put_u64(w, m->paused_ms);
	wire_put_u64(w, m->scheduled);
	wire_put_u64(w, m->underway);
}

int
ipc_get_delivery_state(struct wire_in *w, struct ipc_delivery_state *m)
{
	m->is_paused = fields_get_bool(w);
	wire_get_text(w, m->reason, sizeof(m->reason));
	m->paused_ms = wire_get_u64(w);
	m->scheduled = wire_get_u64(w);
	m->underway = wire_get_u64(w);
	return wire_in_end(w);
}
