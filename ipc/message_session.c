/*
 * Messages of sessions and logins, between master, worker and auth: one put and one get stand together. Pure.
 * Invariant: a get succeeds only if every field was there, in its bounds, and nothing is left.
 */
#include "ipc.h"

#include "err.h"
#include "fields.h"

void
ipc_put_session(struct wire_out *w, const struct ipc_session *m)
{
	fields_put_kind(w, IPC_SESSION);
	wire_put_u64(w, m->session);
	fields_put_netaddr(w, &m->peer);
	fields_put_netaddr(w, &m->local);
	wire_put_u8(w, m->listener);
	wire_put_u8(w, m->verdict);
}

int
ipc_get_session(struct wire_in *w, struct ipc_session *m)
{
	m->session = wire_get_u64(w);
	fields_get_netaddr(w, &m->peer);
	fields_get_netaddr(w, &m->local);
	m->listener = (enum listener_kind)wire_get_enum(w, LISTENER_KIND_MAX);
	m->verdict = (enum peer_verdict)wire_get_enum(w, PEER_PAUSED);
	return wire_in_end(w);
}

void
ipc_put_session_end(struct wire_out *w, const struct ipc_session_end *m)
{
	fields_put_kind(w, IPC_SESSION_END);
	wire_put_u8(w, m->reason);
	wire_put_u32(w, m->commands);
	wire_put_u32(w, m->errors);
	wire_put_u32(w, m->messages);
	fields_put_bool(w, m->tls);
	fields_put_bool(w, m->login);
}

int
ipc_get_session_end(struct wire_in *w, struct ipc_session_end *m)
{
	m->reason = (enum session_end)wire_get_enum(w, SESSION_NOT_SMTP);
	m->commands = wire_get_u32(w);
	m->errors = wire_get_u32(w);
	m->messages = wire_get_u32(w);
	m->tls = fields_get_bool(w);
	m->login = fields_get_bool(w);
	return wire_in_end(w);
}

void
ipc_put_ready(struct wire_out *w, const struct ipc_ready *m)
{
	fields_put_kind(w, IPC_READY);
	wire_put_u32(w, m->parts);
	wire_put_str(w, m->detail, m->detail_len);
}

int
ipc_get_ready(struct wire_in *w, struct ipc_ready *m)
{
	m->parts = wire_get_u32(w);
	wire_get_str(w, &m->detail, &m->detail_len, IPC_REASON_MAX);
	return wire_in_end(w);
}

void
ipc_put_failed(struct wire_out *w, const struct ipc_failed *m)
{
	fields_put_kind(w, IPC_FAILED);
	wire_put_u8(w, m->code);
	fields_put_text(w, m->reason);
}

int
ipc_get_failed(struct wire_in *w, struct ipc_failed *m)
{
	m->code = wire_get_u8(w);
	wire_get_text(w, m->reason, sizeof(m->reason));
	return wire_in_end(w);
}

void
ipc_put_ban(struct wire_out *w, const struct ipc_ban *m)
{
	fields_put_kind(w, IPC_BAN);
	fields_put_netaddr(w, &m->network.address);
	wire_put_u8(w, m->network.bits);
	fields_put_bool(w, m->allow);
	wire_put_u32(w, m->seconds);
}

/* The address must have no port, and no bits behind the prefix. */
int
ipc_get_ban(struct wire_in *w, struct ipc_ban *m)
{
	struct netaddr network;

	fields_get_netaddr(w, &m->network.address);
	m->network.bits = wire_get_enum(w, m->network.address.family == 4 ? 32 : 128);
	m->allow = fields_get_bool(w);
	m->seconds = wire_get_u32(w);
	network = netaddr_network(&m->network.address, m->network.bits, m->network.bits);
	if (!w->failed && ((network.family != 4 && network.family != 6) || !netaddr_is_equal(&network, &m->network.address)))
		w->failed = true;
	return wire_in_end(w);
}

void
ipc_put_login(struct wire_out *w, const struct ipc_login *m)
{
	fields_put_kind(w, IPC_LOGIN);
	wire_put_u8(w, m->mechanism);
	wire_put_str(w, m->authzid, m->authzid_len);
	wire_put_str(w, m->user, m->user_len);
	wire_put_str(w, m->password, m->password_len);
}

int
ipc_get_login(struct wire_in *w, struct ipc_login *m)
{
	m->mechanism = (enum mechanism)wire_get_enum(w, MECHANISM_LOCAL);
	wire_get_str(w, &m->authzid, &m->authzid_len, IPC_CREDENTIAL_MAX);
	wire_get_str(w, &m->user, &m->user_len, IPC_CREDENTIAL_MAX);
	wire_get_str(w, &m->password, &m->password_len, IPC_CREDENTIAL_MAX);
	return wire_in_end(w);
}

void
ipc_put_login_answer(struct wire_out *w, const struct ipc_login_answer *m)
{
	fields_put_kind(w, IPC_LOGIN_ANSWER);
	wire_put_u8(w, m->verdict);
	wire_put_u64(w, m->account);
	fields_put_text(w, m->name);
	wire_put_u32(w, m->wait_seconds);
	fields_put_bool(w, m->device);
	fields_put_text(w, m->sender);
}

int
ipc_get_login_answer(struct wire_in *w, struct ipc_login_answer *m)
{
	m->verdict = (enum login_verdict)wire_get_enum(w, LOGIN_THROTTLED);
	m->account = wire_get_u64(w);
	wire_get_text(w, m->name, sizeof(m->name));
	m->wait_seconds = wire_get_u32(w);
	m->device = fields_get_bool(w);
	wire_get_text(w, m->sender, sizeof(m->sender));
	return wire_in_end(w);
}

void
ipc_put_sender(struct wire_out *w, const struct ipc_sender *m)
{
	fields_put_kind(w, IPC_SENDER);
	fields_put_sender(w, m);
}

int
ipc_get_sender(struct wire_in *w, struct ipc_sender *m)
{
	fields_get_sender(w, m);
	return wire_in_end(w);
}

void
ipc_put_sender_answer(struct wire_out *w, const struct ipc_sender_answer *m)
{
	fields_put_kind(w, IPC_SENDER_ANSWER);
	wire_put_u8(w, m->verdict);
	wire_put_u32(w, m->t);
	wire_put_u32(w, m->wait_seconds);
	wire_put_u64(w, m->message_size);
}

int
ipc_get_sender_answer(struct wire_in *w, struct ipc_sender_answer *m)
{
	m->verdict = (enum sender_verdict)wire_get_enum(w, SENDER_THROTTLED);
	m->t = wire_get_u32(w);
	m->wait_seconds = wire_get_u32(w);
	m->message_size = wire_get_u64(w);
	return wire_in_end(w);
}

void
ipc_put_recipient(struct wire_out *w, const struct ipc_recipient *m)
{
	fields_put_kind(w, IPC_RECIPIENT);
	fields_put_recipient(w, m);
}

int
ipc_get_recipient(struct wire_in *w, struct ipc_recipient *m)
{
	fields_get_recipient(w, m);
	return wire_in_end(w);
}

void
ipc_put_recipient_answer(struct wire_out *w, const struct ipc_recipient_answer *m)
{
	fields_put_kind(w, IPC_RECIPIENT_ANSWER);
	wire_put_u8(w, m->verdict);
	wire_put_u32(w, m->t);
}

int
ipc_get_recipient_answer(struct wire_in *w, struct ipc_recipient_answer *m)
{
	m->verdict = (enum recipient_verdict)wire_get_enum(w, RECIPIENT_UNAVAILABLE);
	m->t = wire_get_u32(w);
	return wire_in_end(w);
}

void
ipc_put_status_answer(struct wire_out *w, const struct ipc_status_answer *m)
{
	fields_put_kind(w, IPC_STATUS_ANSWER);
	fields_put_bool(w, m->ok);
	fields_put_bool(w, m->login_void);
	fields_put_text(w, m->name);
	wire_put_u64(w, m->sessions);
	wire_put_u64(w, m->sessions_max);
	wire_put_u64(w, m->recipients);
	wire_put_u64(w, m->message_size);
	wire_put_u64(w, m->messages);
	wire_put_u64(w, m->messages_max);
	wire_put_u64(w, m->queued_messages);
	wire_put_u64(w, m->queued_octets);
}

int
ipc_get_status_answer(struct wire_in *w, struct ipc_status_answer *m)
{
	m->ok = fields_get_bool(w);
	m->login_void = fields_get_bool(w);
	wire_get_text(w, m->name, sizeof(m->name));
	m->sessions = wire_get_u64(w);
	m->sessions_max = wire_get_u64(w);
	m->recipients = wire_get_u64(w);
	m->message_size = wire_get_u64(w);
	m->messages = wire_get_u64(w);
	m->messages_max = wire_get_u64(w);
	m->queued_messages = wire_get_u64(w);
	m->queued_octets = wire_get_u64(w);
	return wire_in_end(w);
}
