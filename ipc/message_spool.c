/*
 * Messages of envelopes and message data, between auth, spool and worker: one put and one get stand together. Pure.
 * Invariant: a get succeeds only if every field was there, in its bounds, and nothing is left.
 */
#include "ipc.h"

#include "err.h"
#include "fields.h"

void
ipc_put_spool_answer(struct wire_out *w, const struct ipc_spool_answer *m)
{
	fields_put_kind(w, IPC_SPOOL_ANSWER);
	fields_put_bool(w, m->ok);
}

int
ipc_get_spool_answer(struct wire_in *w, struct ipc_spool_answer *m)
{
	m->ok = fields_get_bool(w);
	return wire_in_end(w);
}

void
ipc_put_grant(struct wire_out *w, const struct ipc_grant *m)
{
	fields_put_kind(w, IPC_GRANT);
	wire_put_u64(w, m->session);
	wire_put_u64(w, m->account);
	fields_put_text(w, m->name);
	fields_put_netaddr(w, &m->peer);
	wire_put_u8(w, m->listener);
	fields_put_text(w, m->credential);
	wire_put_u8(w, m->mechanism);
	wire_put_u64(w, m->began_us);
	wire_put_u64(w, m->login_us);
}

int
ipc_get_grant(struct wire_in *w, struct ipc_grant *m)
{
	m->session = wire_get_u64(w);
	m->account = wire_get_u64(w);
	wire_get_text(w, m->name, sizeof(m->name));
	fields_get_netaddr(w, &m->peer);
	m->listener = (enum listener_kind)wire_get_enum(w, LISTENER_KIND_MAX);
	wire_get_text(w, m->credential, sizeof(m->credential));
	m->mechanism = (enum mechanism)wire_get_enum(w, MECHANISM_LOCAL);
	m->began_us = wire_get_u64(w);
	m->login_us = wire_get_u64(w);
	return wire_in_end(w);
}

void
ipc_put_grant_name(struct wire_out *w, const struct ipc_grant_name *m)
{
	fields_put_kind(w, IPC_GRANT_NAME);
	wire_put_u64(w, m->session);
	fields_put_text(w, m->name);
}

int
ipc_get_grant_name(struct wire_in *w, struct ipc_grant_name *m)
{
	m->session = wire_get_u64(w);
	wire_get_text(w, m->name, sizeof(m->name));
	return wire_in_end(w);
}

void
ipc_put_envelope_sender(struct wire_out *w, const struct ipc_envelope_sender *m)
{
	fields_put_kind(w, IPC_ENVELOPE_SENDER);
	wire_put_u64(w, m->session);
	wire_put_u32(w, m->t);
	fields_put_sender(w, &m->sender);
	wire_put_u64(w, m->message_size);
	fields_put_bool(w, m->check_header);
	fields_put_bool(w, m->repair_lf);
}

int
ipc_get_envelope_sender(struct wire_in *w, struct ipc_envelope_sender *m)
{
	m->session = wire_get_u64(w);
	m->t = wire_get_u32(w);
	fields_get_sender(w, &m->sender);
	m->message_size = wire_get_u64(w);
	m->check_header = fields_get_bool(w);
	m->repair_lf = fields_get_bool(w);
	return wire_in_end(w);
}

void
ipc_put_envelope_recipient(struct wire_out *w, const struct ipc_envelope_recipient *m)
{
	fields_put_kind(w, IPC_ENVELOPE_RECIPIENT);
	wire_put_u64(w, m->session);
	wire_put_u32(w, m->t);
	fields_put_recipient(w, &m->recipient);
}

int
ipc_get_envelope_recipient(struct wire_in *w, struct ipc_envelope_recipient *m)
{
	m->session = wire_get_u64(w);
	m->t = wire_get_u32(w);
	fields_get_recipient(w, &m->recipient);
	return wire_in_end(w);
}

void
ipc_put_envelope_drop(struct wire_out *w, const struct ipc_envelope_drop *m)
{
	fields_put_kind(w, IPC_ENVELOPE_DROP);
	wire_put_u64(w, m->session);
	wire_put_u32(w, m->t);
}

int
ipc_get_envelope_drop(struct wire_in *w, struct ipc_envelope_drop *m)
{
	m->session = wire_get_u64(w);
	m->t = wire_get_u32(w);
	return wire_in_end(w);
}

void
ipc_put_from(struct wire_out *w, const struct ipc_from *m)
{
	fields_put_kind(w, IPC_FROM);
	wire_put_u64(w, m->session);
	wire_put_u32(w, m->t);
	wire_put_u8(w, m->n);
	for (size_t i = 0; i < m->n && i < IPC_FROM_ADDRESSES_MAX; i++)
		fields_put_addr(w, &m->addresses[i]);
}

int
ipc_get_from(struct wire_in *w, struct ipc_from *m)
{
	m->session = wire_get_u64(w);
	m->t = wire_get_u32(w);
	m->n = wire_get_enum(w, IPC_FROM_ADDRESSES_MAX);
	for (size_t i = 0; i < m->n; i++)
		fields_get_addr(w, &m->addresses[i], false);
	return wire_in_end(w);
}

void
ipc_put_from_answer(struct wire_out *w, const struct ipc_from_answer *m)
{
	fields_put_kind(w, IPC_FROM_ANSWER);
	wire_put_u64(w, m->session);
	wire_put_u32(w, m->t);
	wire_put_u8(w, m->verdict);
}

int
ipc_get_from_answer(struct wire_in *w, struct ipc_from_answer *m)
{
	m->session = wire_get_u64(w);
	m->t = wire_get_u32(w);
	m->verdict = (enum header_verdict)wire_get_enum(w, HEADER_UNAVAILABLE);
	return wire_in_end(w);
}

void
ipc_put_storage(struct wire_out *w, const struct ipc_storage *m)
{
	fields_put_kind(w, IPC_STORAGE);
	fields_put_bool(w, m->ok);
}

int
ipc_get_storage(struct wire_in *w, struct ipc_storage *m)
{
	m->ok = fields_get_bool(w);
	return wire_in_end(w);
}

void
ipc_put_usage(struct wire_out *w, const struct ipc_usage *m)
{
	fields_put_kind(w, IPC_USAGE);
	fields_put_text(w, m->account);
	wire_put_u64(w, m->messages);
	wire_put_u64(w, m->octets);
}

int
ipc_get_usage(struct wire_in *w, struct ipc_usage *m)
{
	wire_get_text(w, m->account, sizeof(m->account));
	m->messages = wire_get_u64(w);
	m->octets = wire_get_u64(w);
	return wire_in_end(w);
}

void
ipc_put_commit(struct wire_out *w, const struct ipc_commit *m)
{
	fields_put_kind(w, IPC_COMMIT);
	wire_put_u32(w, m->t);
	wire_put_u64(w, m->size);
}

int
ipc_get_commit(struct wire_in *w, struct ipc_commit *m)
{
	m->t = wire_get_u32(w);
	m->size = wire_get_u64(w);
	return wire_in_end(w);
}

void
ipc_put_commit_answer(struct wire_out *w, const struct ipc_commit_answer *m)
{
	fields_put_kind(w, IPC_COMMIT_ANSWER);
	wire_put_u32(w, m->t);
	wire_put_u8(w, m->verdict);
	fields_put_text(w, m->id);
}

int
ipc_get_commit_answer(struct wire_in *w, struct ipc_commit_answer *m)
{
	m->t = wire_get_u32(w);
	m->verdict = (enum commit_verdict)wire_get_enum(w, COMMIT_ERROR);
	wire_get_text(w, m->id, sizeof(m->id));
	return wire_in_end(w);
}

void
ipc_put_outcome_answer(struct wire_out *w, const struct ipc_outcome_answer *m)
{
	fields_put_kind(w, IPC_OUTCOME_ANSWER);
	wire_put_u32(w, m->t);
	fields_put_bool(w, m->stored);
	fields_put_text(w, m->id);
}

int
ipc_get_outcome_answer(struct wire_in *w, struct ipc_outcome_answer *m)
{
	m->t = wire_get_u32(w);
	m->stored = fields_get_bool(w);
	wire_get_text(w, m->id, sizeof(m->id));
	return wire_in_end(w);
}

void
ipc_put_etrn(struct wire_out *w, const struct ipc_etrn *m)
{
	fields_put_kind(w, IPC_ETRN);
	fields_put_text(w, m->domain);
	fields_put_bool(w, m->subdomains);
}

int
ipc_get_etrn(struct wire_in *w, struct ipc_etrn *m)
{
	wire_get_text(w, m->domain, sizeof(m->domain));
	m->subdomains = fields_get_bool(w);
	return wire_in_end(w);
}

void
ipc_put_etrn_answer(struct wire_out *w, const struct ipc_etrn_answer *m)
{
	fields_put_kind(w, IPC_ETRN_ANSWER);
	wire_put_u8(w, m->verdict);
	wire_put_u32(w, m->messages);
}

int
ipc_get_etrn_answer(struct wire_in *w, struct ipc_etrn_answer *m)
{
	m->verdict = (enum etrn_verdict)wire_get_enum(w, ETRN_LOGIN_VOID);
	m->messages = wire_get_u32(w);
	return wire_in_end(w);
}

void
ipc_put_abort(struct wire_out *w, enum abort_reason reason)
{
	fields_put_kind(w, IPC_ABORT);
	wire_put_u8(w, reason);
}

int
ipc_get_abort(struct wire_in *w, enum abort_reason *reason)
{
	*reason = (enum abort_reason)wire_get_enum(w, ABORT_TROUBLE);
	return wire_in_end(w);
}

void
ipc_put_refused(struct wire_out *w, const struct ipc_refused *m)
{
	fields_put_kind(w, IPC_REFUSED);
	wire_put_u64(w, m->session);
	wire_put_u32(w, m->t);
}

int
ipc_get_refused(struct wire_in *w, struct ipc_refused *m)
{
	m->session = wire_get_u64(w);
	m->t = wire_get_u32(w);
	return wire_in_end(w);
}
