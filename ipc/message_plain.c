/*
 * Messages without fields of their own: empty ones, transaction numbers, message octets: one put and one get stand together. Pure.
 * Invariant: a get succeeds only if every field was there, in its bounds, and nothing is left.
 */
#include "ipc.h"

#include "err.h"
#include "fields.h"

void
ipc_put_empty(struct wire_out *w, enum ipc_kind kind)
{
	fields_put_kind(w, kind);
}

int
ipc_get_empty(struct wire_in *w)
{
	return wire_in_end(w);
}

void
ipc_put_transaction(struct wire_out *w, enum ipc_kind kind, uint32_t t)
{
	fields_put_kind(w, kind);
	wire_put_u32(w, t);
}

int
ipc_get_transaction(struct wire_in *w, uint32_t *t)
{
	*t = wire_get_u32(w);
	return wire_in_end(w);
}

void
ipc_put_data(struct wire_out *w, const void *p, size_t n)
{
	fields_put_kind(w, IPC_DATA);
	wire_put_raw(w, p, n);
}

int
ipc_get_data(struct wire_in *w, const uint8_t **p, size_t *n)
{
	wire_get_rest(w, p, n);
	if (*n == 0 || *n > IPC_DATA_MAX)
		return ERR_SHORT;
	return wire_in_end(w);
}
