/*
 * Messages of the spool's control socket, between smtpadm and postern-spool: one put and one get stand together. Pure.
 * Invariant: a get succeeds only if every field was there, in its bounds, and nothing is left.
 */
#include "message_queue.h"

#include "fields.h"

void
ipc_put_queue_change(struct wire_out *w, const struct ipc_queue_change *m)
{
	fields_put_kind(w, IPC_QUEUE);
	wire_put_u8(w, m->change);
	fields_put_text(w, m->file);
}

int
ipc_get_queue_change(struct wire_in *w, struct ipc_queue_change *m)
{
	m->change = (enum queue_change)wire_get_enum(w, QUEUE_REMOVE);
	wire_get_text(w, m->file, sizeof(m->file));
	return wire_in_end(w);
}

void
ipc_put_queue_answer(struct wire_out *w, const struct ipc_queue_answer *m)
{
	fields_put_kind(w, IPC_QUEUE_ANSWER);
	wire_put_u8(w, m->verdict);
}

int
ipc_get_queue_answer(struct wire_in *w, struct ipc_queue_answer *m)
{
	m->verdict = (enum queue_verdict)wire_get_enum(w, QUEUE_FAILED);
	return wire_in_end(w);
}
