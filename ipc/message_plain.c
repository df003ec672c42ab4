/*
 * Messages with one field or none: empty ones, links, transaction numbers, message octets: one put and one get stand together. Pure.
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
ipc_put_link(struct wire_out *w, enum link_peer peer)
{
	fields_put_kind(w, IPC_LINK);
	wire_put_u8(w, peer);
}

int
ipc_get_link(struct wire_in *w, enum link_peer *peer)
{
	*peer = (enum link_peer)wire_get_enum(w, LINK_PEER_MAX);
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
