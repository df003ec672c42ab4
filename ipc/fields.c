/*
 * Fields that several messages share. Pure; runs in every program. An address is parsed anew by whoever is told it.
 */
#include "fields.h"

#include <string.h>

#include "err.h"

void
fields_put_kind(struct wire_out *w, enum ipc_kind kind)
{
	wire_put_u16(w, (uint16_t)kind);
}

void
fields_put_text(struct wire_out *w, const char *text)
{
	wire_put_str(w, text, strlen(text));
}

void
fields_put_bool(struct wire_out *w, bool value)
{
	wire_put_u8(w, value);
}

bool
fields_get_bool(struct wire_in *w)
{
	return wire_get_enum(w, 1) != 0;
}

void
fields_put_netaddr(struct wire_out *w, const struct netaddr *a)
{
	wire_put_u8(w, a->family);
	wire_put_raw(w, a->octets, sizeof(a->octets));
	wire_put_u16(w, a->port);
}

void
fields_get_netaddr(struct wire_in *w, struct netaddr *a)
{
	const uint8_t *octets;

	*a = (struct netaddr){ .family = wire_get_u8(w) };
	if (a->family != 0 && a->family != 4 && a->family != 6 && a->family != NETADDR_LOCAL)
		w->failed = true;
	if ((octets = wire_get_raw(w, sizeof(a->octets))) != NULL)
		memcpy(a->octets, octets, sizeof(a->octets));
	a->port = wire_get_u16(w);
}

void
fields_put_addr(struct wire_out *w, const struct addr *a)
{
	wire_put_str(w, a->text, a->len);
}

void
fields_get_addr(struct wire_in *w, struct addr *a, bool may_be_null)
{
	const uint8_t *p;
	size_t n;

	addr_set_null(a);
	wire_get_str(w, &p, &n, ADDR_TEXT - 1);
	if (w->failed || (n == 0 && may_be_null))
		return;
	if (addr_parse(a, p, n, true) != ERR_OK)
		w->failed = true;
}

void
fields_put_sender(struct wire_out *w, const struct ipc_sender *m)
{
	fields_put_addr(w, &m->address);
	wire_put_u64(w, m->size);
	wire_put_u8(w, m->body);
	fields_put_bool(w, m->smtputf8);
	wire_put_u8(w, m->ret);
	fields_put_text(w, m->envid);
}

void
fields_get_sender(struct wire_in *w, struct ipc_sender *m)
{
	fields_get_addr(w, &m->address, true);
	m->size = wire_get_u64(w);
	m->body = (enum body_type)wire_get_enum(w, BODY_8BITMIME);
	m->smtputf8 = fields_get_bool(w);
	m->ret = (enum dsn_ret)wire_get_enum(w, DSN_RET_HDRS);
	wire_get_text(w, m->envid, sizeof(m->envid));
}

void
fields_put_recipient(struct wire_out *w, const struct ipc_recipient *m)
{
	fields_put_addr(w, &m->address);
	wire_put_u8(w, m->notify);
	fields_put_text(w, m->orcpt);
}

void
fields_get_recipient(struct wire_in *w, struct ipc_recipient *m)
{
	fields_get_addr(w, &m->address, false);
	m->notify = wire_get_enum(w, 15);
	wire_get_text(w, m->orcpt, sizeof(m->orcpt));
}
