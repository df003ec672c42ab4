/*
 * Messages of signatures and password hashes, between worker and keys, auth and its hashing children: one put and one get stand together. Pure.
 * Invariant: a get succeeds only if every field was there, in its bounds, and nothing is left.
 */
#include "ipc.h"

#include "err.h"
#include "fields.h"

void
ipc_put_sign(struct wire_out *w, const struct ipc_sign *m)
{
	fields_put_kind(w, IPC_SIGN);
	wire_put_u8(w, m->key);
	wire_put_u8(w, m->algorithm);
	wire_put_str(w, m->text, m->text_len);
}

int
ipc_get_sign(struct wire_in *w, struct ipc_sign *m)
{
	m->key = wire_get_u8(w);
	m->algorithm = (enum sign_algorithm)wire_get_enum(w, SIGN_ECDSA_SHA512);
	wire_get_str(w, &m->text, &m->text_len, IPC_SIGN_TEXT_MAX);
	return wire_in_end(w);
}

void
ipc_put_sign_answer(struct wire_out *w, const struct ipc_sign_answer *m)
{
	fields_put_kind(w, IPC_SIGN_ANSWER);
	wire_put_str(w, m->signature, m->signature_len);
}

int
ipc_get_sign_answer(struct wire_in *w, struct ipc_sign_answer *m)
{
	wire_get_str(w, &m->signature, &m->signature_len, IPC_SIGNATURE_MAX);
	return wire_in_end(w);
}

void
ipc_put_hash(struct wire_out *w, const struct ipc_hash *m)
{
	fields_put_kind(w, IPC_HASH);
	wire_put_u32(w, m->job);
	fields_put_text(w, m->hash);
	wire_put_str(w, m->password, m->password_len);
}

int
ipc_get_hash(struct wire_in *w, struct ipc_hash *m)
{
	m->job = wire_get_u32(w);
	wire_get_text(w, m->hash, sizeof(m->hash));
	wire_get_str(w, &m->password, &m->password_len, IPC_CREDENTIAL_MAX);
	return wire_in_end(w);
}

void
ipc_put_hash_answer(struct wire_out *w, const struct ipc_hash_answer *m)
{
	fields_put_kind(w, IPC_HASH_ANSWER);
	wire_put_u32(w, m->job);
	wire_put_u8(w, m->verdict);
	fields_put_text(w, m->hash);
}

int
ipc_get_hash_answer(struct wire_in *w, struct ipc_hash_answer *m)
{
	m->job = wire_get_u32(w);
	m->verdict = (enum hash_verdict)wire_get_enum(w, HASH_UNKNOWN);
	wire_get_text(w, m->hash, sizeof(m->hash));
	return wire_in_end(w);
}
