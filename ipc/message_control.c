/*
 * Messages of the control socket, between smtpadm and the master, and what auth and spool tell the master for it: one put and
 * one get stand together. Pure. Invariant: a get succeeds only if every field was there, in its bounds, and nothing is left.
 */
#include "message_control.h"

#include "err.h"
#include "fields.h"

void
ipc_put_session_account(struct wire_out *w, const struct ipc_session_account *m)
{
	fields_put_kind(w, IPC_SESSION_ACCOUNT);
	wire_put_u64(w, m->session);
	fields_put_text(w, m->name);
}

int
ipc_get_session_account(struct wire_in *w, struct ipc_session_account *m)
{
	m->session = wire_get_u64(w);
	wire_get_text(w, m->name, sizeof(m->name));
	return wire_in_end(w);
}

void
ipc_put_counters(struct wire_out *w, enum ipc_kind kind, const struct ipc_counters *m)
{
	fields_put_kind(w, kind);
	wire_put_u16(w, m->first);
	wire_put_u16(w, m->n);
	for (size_t i = 0; i < m->n && i < METRIC_COUNT; i++)
		wire_put_u64(w, m->values[i]);
}

int
ipc_get_counters(struct wire_in *w, struct ipc_counters *m)
{
	m->first = wire_get_u16(w);
	m->n = wire_get_u16(w);
	if (m->first > METRIC_COUNT || m->n > METRIC_COUNT - m->first)
		return ERR_SHORT;
	for (size_t i = 0; i < m->n; i++)
		m->values[i] = wire_get_u64(w);
	return wire_in_end(w);
}

void
ipc_put_control_session(struct wire_out *w, const struct ipc_control_session *m)
{
	fields_put_kind(w, IPC_CONTROL_SESSIONS_ANSWER);
	wire_put_u64(w, m->session);
	fields_put_netaddr(w, &m->peer);
	wire_put_u8(w, m->listener);
	wire_put_u8(w, m->tls);
	fields_put_bool(w, m->ending);
	wire_put_u64(w, m->age_ms);
	fields_put_text(w, m->account);
}

int
ipc_get_control_session(struct wire_in *w, struct ipc_control_session *m)
{
	m->session = wire_get_u64(w);
	fields_get_netaddr(w, &m->peer);
	m->listener = (enum listener_kind)wire_get_enum(w, LISTENER_KIND_MAX);
	m->tls = (enum session_tls)wire_get_enum(w, SESSION_TLS_UNKNOWN);
	m->ending = fields_get_bool(w);
	m->age_ms = wire_get_u64(w);
	wire_get_text(w, m->account, sizeof(m->account));
	return wire_in_end(w);
}

void
ipc_put_control_kill(struct wire_out *w, const struct ipc_control_kill *m)
{
	fields_put_kind(w, IPC_CONTROL_KILL);
	wire_put_u64(w, m->session);
	fields_put_text(w, m->account);
}

int
ipc_get_control_kill(struct wire_in *w, struct ipc_control_kill *m)
{
	m->session = wire_get_u64(w);
	wire_get_text(w, m->account, sizeof(m->account));
	return wire_in_end(w);
}

void
ipc_put_control_pause(struct wire_out *w, const struct ipc_control_pause *m)
{
	fields_put_kind(w, IPC_CONTROL_PAUSE);
	fields_put_text(w, m->reason);
}

int
ipc_get_control_pause(struct wire_in *w, struct ipc_control_pause *m)
{
	wire_get_text(w, m->reason, sizeof(m->reason));
	return wire_in_end(w);
}

void
ipc_put_control_done(struct wire_out *w, enum ipc_kind kind, const struct ipc_control_done *m)
{
	fields_put_kind(w, kind);
	wire_put_u8(w, m->code);
	wire_put_u32(w, m->count);
	fields_put_text(w, m->reason);
}

int
ipc_get_control_done(struct wire_in *w, struct ipc_control_done *m)
{
	m->code = wire_get_u8(w);
	m->count = wire_get_u32(w);
	wire_get_text(w, m->reason, sizeof(m->reason));
	return wire_in_end(w);
}

void
ipc_put_control_status(struct wire_out *w, const struct ipc_control_status *m)
{
	fields_put_kind(w, IPC_CONTROL_STATUS_ANSWER);
	wire_put_u32(w, m->pid);
	wire_put_u64(w, m->uptime_ms);
	wire_put_u64(w, m->loaded_ms);
	wire_put_u32(w, m->sessions);
	wire_put_u32(w, m->refusing);
	wire_put_u32(w, m->idle);
	wire_put_u64(w, m->max);
	wire_put_u64(w, m->spare);
	fields_put_bool(w, m->accepting);
	fields_put_bool(w, m->paused);
	fields_put_bool(w, m->draining);
	fields_put_text(w, m->reason);
	wire_put_u8(w, m->nservices);
	for (size_t i = 0; i < m->nservices && i < IPC_SERVICES_MAX; i++) {
		fields_put_text(w, m->services[i].name);
		wire_put_u32(w, m->services[i].pid);
		fields_put_bool(w, m->services[i].ready);
		wire_put_u64(w, m->services[i].restarts);
	}
}

int
ipc_get_control_status(struct wire_in *w, struct ipc_control_status *m)
{
	m->pid = wire_get_u32(w);
	m->uptime_ms = wire_get_u64(w);
	m->loaded_ms = wire_get_u64(w);
	m->sessions = wire_get_u32(w);
	m->refusing = wire_get_u32(w);
	m->idle = wire_get_u32(w);
	m->max = wire_get_u64(w);
	m->spare = wire_get_u64(w);
	m->accepting = fields_get_bool(w);
	m->paused = fields_get_bool(w);
	m->draining = fields_get_bool(w);
	wire_get_text(w, m->reason, sizeof(m->reason));
	m->nservices = wire_get_enum(w, IPC_SERVICES_MAX);
	for (size_t i = 0; i < m->nservices; i++) {
		wire_get_text(w, m->services[i].name, sizeof(m->services[i].name));
		m->services[i].pid = wire_get_u32(w);
		m->services[i].ready = fields_get_bool(w);
		m->services[i].restarts = wire_get_u64(w);
	}
	return wire_in_end(w);
}
