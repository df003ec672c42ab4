/*
 * Messages of DKIM, between spool and keys: one put and one get stand together; and the header fields that are signed. Pure.
 * Invariant: a get succeeds only if every field was there, in its bounds, and nothing is left.
 */
#include "message_dkim.h"

#include <string.h>

#include "err.h"
#include "fields.h"
#include "message_relay.h"
#include "str.h"

/*
 * RFC 6376, 5.4.1, and what came later (RFC 8058 wants List-Unsubscribe-Post). Never what servers on the way change or
 * add: Received, Return-Path, Authentication-Results.
 */
const struct ipc_dkim_field ipc_dkim_fields[] = {
	{ "From", true },
	{ "Sender", false },
	{ "Reply-To", true },
	{ "To", true },
	{ "Cc", true },
	{ "Subject", true },
	{ "Date", true },
	{ "Message-ID", true },
	{ "In-Reply-To", false },
	{ "References", false },
	{ "MIME-Version", false },
	{ "Content-Type", true },
	{ "Content-Transfer-Encoding", false },
	{ "Content-Disposition", false },
	{ "Content-Language", false },
	{ "Content-ID", false },
	{ "Resent-From", false },
	{ "Resent-Sender", false },
	{ "Resent-To", false },
	{ "Resent-Cc", false },
	{ "Resent-Date", false },
	{ "Resent-Message-ID", false },
	{ "List-Id", false },
	{ "List-Help", false },
	{ "List-Subscribe", false },
	{ "List-Unsubscribe", false },
	{ "List-Unsubscribe-Post", false },
	{ "List-Post", false },
	{ "List-Owner", false },
	{ "List-Archive", false },
	{ "Auto-Submitted", false },
	{ "Autocrypt", false },
};
const size_t ipc_dkim_nfields = sizeof(ipc_dkim_fields) / sizeof(ipc_dkim_fields[0]);

const struct ipc_dkim_field *
ipc_dkim_find_field(const void *name, size_t n)
{
	for (size_t i = 0; i < ipc_dkim_nfields; i++)
		if (str_is_equal_nocase(name, n, ipc_dkim_fields[i].name, strlen(ipc_dkim_fields[i].name)))
			return &ipc_dkim_fields[i];
	return NULL;
}

void
ipc_put_dkim_sign(struct wire_out *w, const struct ipc_dkim_sign *m)
{
	fields_put_kind(w, IPC_DKIM_SIGN);
	wire_put_u64(w, m->number);
	fields_put_text(w, m->domain);
	wire_put_raw(w, m->body_hash, sizeof(m->body_hash));
	wire_put_str(w, m->fields, m->fields_len);
}

int
ipc_get_dkim_sign(struct wire_in *w, struct ipc_dkim_sign *m)
{
	const uint8_t *hash;

	m->number = wire_get_u64(w);
	wire_get_text(w, m->domain, sizeof(m->domain));
	if ((hash = wire_get_raw(w, sizeof(m->body_hash))) != NULL)
		memcpy(m->body_hash, hash, sizeof(m->body_hash));
	wire_get_str(w, &m->fields, &m->fields_len, DKIM_FIELDS_MAX);
	return wire_in_end(w);
}

void
ipc_put_dkim_sign_answer(struct wire_out *w, const struct ipc_dkim_sign_answer *m)
{
	fields_put_kind(w, IPC_DKIM_SIGN_ANSWER);
	wire_put_u64(w, m->number);
	wire_put_u8(w, m->verdict);
	wire_put_str(w, m->fields, m->fields_len);
}

int
ipc_get_dkim_sign_answer(struct wire_in *w, struct ipc_dkim_sign_answer *m)
{
	m->number = wire_get_u64(w);
	m->verdict = (enum dkim_verdict)wire_get_enum(w, DKIM_FAILED);
	wire_get_str(w, &m->fields, &m->fields_len, RELAY_SIGNATURES_MAX);
	if (m->verdict == DKIM_SIGNED && m->fields_len == 0)
		w->failed = true;
	return wire_in_end(w);
}

void
ipc_put_dkim_keys(struct wire_out *w, const struct ipc_dkim_keys *m)
{
	fields_put_kind(w, IPC_DKIM_KEYS);
	fields_put_bool(w, m->is_last);
	wire_put_u8(w, m->n);
	for (size_t i = 0; i < m->n && i < DKIM_DOMAINS_MAX; i++)
		fields_put_text(w, m->domains[i]);
}

int
ipc_get_dkim_keys(struct wire_in *w, struct ipc_dkim_keys *m)
{
	m->is_last = fields_get_bool(w);
	m->n = wire_get_enum(w, DKIM_DOMAINS_MAX);
	for (size_t i = 0; i < m->n && !w->failed; i++)
		wire_get_text(w, m->domains[i], sizeof(m->domains[i]));
	return wire_in_end(w);
}
