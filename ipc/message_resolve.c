/*
 * Messages between postern-relay and its resolver: one put and one get stand together. Pure.
 * Invariant: a get succeeds only if every field was there, in its bounds, and nothing is left; names are those that a host may have.
 */
#include "message_resolve.h"

#include <string.h>

#include "err.h"
#include "fields.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_-."

/* What is compared with certificates and shown in logs later: the resolver, which talks to the world, is not believed. */
static void
get_name(struct wire_in *w, char name[RESOLVE_NAME])
{
	wire_get_text(w, name, RESOLVE_NAME);
	if (!w->failed && name[strspn(name, NAME_CHARACTERS)] != 0)
		w->failed = true;
}

void
ipc_put_resolve(struct wire_out *w, const struct ipc_resolve *m)
{
	fields_put_kind(w, IPC_RESOLVE);
	wire_put_u64(w, m->number);
	wire_put_u8(w, m->type);
	fields_put_text(w, m->name);
}

int
ipc_get_resolve(struct wire_in *w, struct ipc_resolve *m)
{
	m->number = wire_get_u64(w);
	m->type = (enum resolve_type)wire_get_enum(w, RESOLVE_ADDRESSES);
	get_name(w, m->name);
	return wire_in_end(w);
}

void
ipc_put_resolve_answer(struct wire_out *w, const struct ipc_resolve_answer *m)
{
	fields_put_kind(w, IPC_RESOLVE_ANSWER);
	wire_put_u64(w, m->number);
	wire_put_u8(w, m->type);
	wire_put_u8(w, m->status);
	fields_put_bool(w, m->is_secure);
	fields_put_text(w, m->why);
	wire_put_u8(w, (uint8_t)m->n);
	for (size_t i = 0; i < m->n && i < RESOLVE_MAX; i++) {
		if (m->type == RESOLVE_ADDRESSES) {
			fields_put_netaddr(w, &m->addresses[i]);
		} else {
			wire_put_u16(w, m->hosts[i].preference);
			fields_put_text(w, m->hosts[i].name);
		}
	}
}

int
ipc_get_resolve_answer(struct wire_in *w, struct ipc_resolve_answer *m)
{
	m->number = wire_get_u64(w);
	m->type = (enum resolve_type)wire_get_enum(w, RESOLVE_ADDRESSES);
	m->status = (enum resolve_status)wire_get_enum(w, RESOLVE_STATUS_MAX);
	m->is_secure = fields_get_bool(w);
	wire_get_text(w, m->why, sizeof(m->why));
	m->n = wire_get_enum(w, RESOLVE_MAX);
	for (size_t i = 0; i < m->n && !w->failed; i++) {
		if (m->type == RESOLVE_ADDRESSES) {
			fields_get_netaddr(w, &m->addresses[i]);
			w->failed = w->failed || (m->addresses[i].family != 4 && m->addresses[i].family != 6);
		} else {
			m->hosts[i].preference = wire_get_u16(w);
			get_name(w, m->hosts[i].name);
		}
	}
	if ((m->status == RESOLVE_OK) != (m->n != 0))
		w->failed = true;
	return wire_in_end(w);
}
