/*
 * One message of every kind of ipc.h, with its put and its get, for the unit test of the messages and for the fuzz entry. No
 * test itself.
 */
#include "message_rows.h"

#include <string.h>

#include "err.h"
#include "message_control.h"
#include "message_dkim.h"
#include "message_queue.h"
#include "message_resolve.h"

static struct ipc_session sent_session = {
	.session = 0x1122334455667788, .peer = { .family = 4, .octets = { 192, 0, 2, 1 }, .port = 40000 },
	.local = { .family = 6, .octets = { 0x20, 1, 0xd, 0xb8, [15] = 1 }, .port = 587 },
	.listener = LISTENER_SUBMISSIONS, .verdict = PEER_CLOSED,
};
static struct ipc_session_end sent_session_end = {
	.reason = SESSION_TIMEOUT, .commands = 7, .errors = 0x01020304, .messages = 3, .tls = true, .login = false,
};
static struct ipc_ready sent_ready = { .parts = 0x7f, .detail = (const uint8_t *)"\0digest\xff", .detail_len = 8 };
static struct ipc_failed sent_failed = { .code = 78, .reason = "the file is missing: make it" };
static struct ipc_login sent_login = {
	.mechanism = MECHANISM_LOGIN, .authzid = NULL, .authzid_len = 0, .user = (const uint8_t *)"alice\0@", .user_len = 7,
	.password = (const uint8_t *)"p\xff\0w", .password_len = 4,
};
static struct ipc_login_answer sent_login_answer = { .verdict = LOGIN_OK, .account = 1ULL << 40, .name = "alice@example.org", .wait_seconds = 600,
	.device = true, .sender = "*@example.org" };
static struct ipc_sender sent_sender = {
	.size = 8388608, .body = BODY_8BITMIME, .smtputf8 = true, .ret = DSN_RET_HDRS, .envid = "QQ+2B314159",
};
static struct ipc_sender_answer sent_sender_answer = { .verdict = SENDER_OK, .t = 0x80000001, .wait_seconds = 3600, .message_size = 1ULL << 40 };
static struct ipc_recipient sent_recipient = {
	.notify = DSN_NOTIFY_SUCCESS | DSN_NOTIFY_DELAY, .orcpt = "rfc822;bob@example.net",
};
static struct ipc_recipient_answer sent_recipient_answer = { .verdict = RECIPIENT_TOO_MANY, .t = 0x01020304 };
static struct ipc_refused sent_refused = { .session = 0x0102030405060708, .t = 0x090a0b0c };
static struct ipc_spool_answer sent_spool_answer = { .ok = true };
static struct ipc_status_answer sent_status_answer = {
	.ok = true, .login_void = true, .name = "alice@example.org", .sessions = 2, .sessions_max = 10, .recipients = 100, .message_size = 8388608,
	.messages = 7, .messages_max = 200, .queued_messages = 3, .queued_octets = 1ULL << 40,
};
static struct ipc_grant sent_grant = {
	.session = UINT64_MAX, .account = 5, .name = "alice@example.org",
	.peer = { .family = 4, .octets = { 127, 0, 0, 1 }, .port = 1 }, .listener = LISTENER_PLAIN,
	.credential = "laptop", .mechanism = MECHANISM_LOGIN, .began_us = 1795000000000000, .login_us = 1795000000200000,
};
static struct ipc_grant_name sent_grant_name = { .session = 9, .name = "new@example.org" };
static struct ipc_envelope_sender sent_envelope_sender = { .session = 9, .t = 4, .message_size = 1 << 23, .check_header = true, .repair_lf = true };
static struct ipc_envelope_recipient sent_envelope_recipient = { .session = 9, .t = 4 };
static struct ipc_envelope_drop sent_envelope_drop = { .session = 9, .t = 0xffffffff };
static struct ipc_from sent_from = { .session = 9, .t = 4, .n = 2 };
static struct ipc_from_answer sent_from_answer = { .session = 9, .t = 4, .verdict = HEADER_UNAVAILABLE };
static struct ipc_storage sent_storage = { .ok = true };
static struct ipc_usage sent_usage = { .account = "alice@example.org", .messages = 3, .octets = 1ULL << 40 };
static struct ipc_queue_change sent_queue_change = { .change = QUEUE_HOLD, .text = "odd", .n = 2,
	.files = { "1.Q0S1T1.mail", "2.Q0S1T2.mail" } };
static struct ipc_delivery_order sent_delivery_order = { .order = DELIVERY_PAUSE, .reason = "moving" };
static struct ipc_delivery_state sent_delivery_state = { .is_paused = true, .reason = "moving", .paused_ms = 5000, .scheduled = 12,
	.underway = 3 };
static struct ipc_queue_answer sent_queue_answer = { .n = 2, .verdicts = { QUEUE_BUSY, QUEUE_UNFIT } };
static struct ipc_commit sent_commit = { .t = 4, .size = 0x1000000000 };
static struct ipc_commit_answer sent_commit_answer = { .t = 4, .verdict = COMMIT_STORED, .id = "0123456789abcdef" };
static struct ipc_outcome_answer sent_outcome_answer = { .t = 4, .stored = true, .id = "0123456789abcdef" };
static struct ipc_etrn sent_etrn = { .domain = "example.org", .subdomains = true };
static struct ipc_etrn_answer sent_etrn_answer = { .verdict = ETRN_COUNTED, .messages = 0x01020304 };
static struct ipc_sign sent_sign = {
	.key = 1, .algorithm = SIGN_ECDSA_SHA256, .text = (const uint8_t *)"text\0to sign", .text_len = 12,
};
static struct ipc_sign_answer sent_sign_answer = { .signature = (const uint8_t *)"\x30\x45\x02", .signature_len = 3 };
static struct ipc_dkim_sign sent_dkim_sign = {
	.number = 1ULL << 40, .domain = "example.org", .body_hash = "0123456789abcdef0123456789abcde", .fields = (const uint8_t *)"From: a@example.org\r\n",
	.fields_len = 21,
};
static struct ipc_dkim_sign_answer sent_dkim_sign_answer = {
	.number = 1ULL << 40, .verdict = DKIM_SIGNED, .fields = (const uint8_t *)"DKIM-Signature: v=1\r\n", .fields_len = 21,
};
static struct ipc_dkim_keys sent_dkim_keys = { .is_last = true, .n = 2, .domains = { "example.org", "example.net" } };
static struct ipc_hash sent_hash = {
	.job = 77, .hash = "$y$j9T$abc$def", .password = (const uint8_t *)"secret", .password_len = 6,
};
static struct ipc_session_account sent_session_account = { .session = 9, .name = "alice@example.org" };
static struct ipc_counters sent_counters = { .first = 3, .n = 2, .values = { 1, UINT64_MAX } };
static struct ipc_control_session sent_control_session = {
	.session = 9, .peer = { .family = 4, .octets = { 192, 0, 2, 1 }, .port = 40000 }, .listener = LISTENER_SUBMISSIONS,
	.tls = SESSION_TLS_YES, .ending = true, .age_ms = 1 << 20, .account = "alice@example.org",
};
static struct ipc_control_kill sent_control_kill = { .session = 0, .account = "alice@example.org" };
static struct ipc_control_pause sent_control_pause = { .reason = "new disks" };
static struct ipc_control_done sent_control_done = { .code = 78, .count = 3, .reason = "postern.conf:7: no such key" };
static struct ipc_control_status sent_control_status = {
	.pid = 77, .uptime_ms = 1ULL << 40, .loaded_ms = 5, .sessions = 2, .refusing = 1, .idle = 8, .max = 1000, .spare = 8,
	.accepting = true, .paused = true, .draining = false, .reason = "disks", .nservices = 2,
	.services = { { .name = "auth", .pid = 78, .ready = true, .restarts = 1 }, { .name = "spool" } },
};
static struct ipc_resolve sent_resolve = { .number = 9, .type = RESOLVE_ADDRESSES, .name = "mx_1.example.org" };
static struct ipc_resolve_answer sent_resolve_answer = {
	.number = 9, .type = RESOLVE_MX, .status = RESOLVE_OK, .is_secure = true, .why = "", .n = 2,
	.hosts = { { 10, "mx.example.org" }, { 0xffff, "" } },
};
static struct ipc_hash_answer sent_hash_answer = { .job = 77, .verdict = HASH_MATCHES, .hash = "$y$j9T$salt$hash" };
static struct ipc_ban sent_ban = {
	.network = { .address = { .family = 4, .octets = { 192, 0, 2 } }, .bits = 24 }, .allow = true, .seconds = 600,
};

/* Got into a structure full of rubbish and put again, a field that a get forgets shows. */
#define MESSAGE(name)									\
static void										\
put_##name(struct wire_out *out)							\
{											\
	ipc_put_##name(out, &sent_##name);						\
}											\
static int										\
again_##name(struct wire_in *in, struct wire_out *out)					\
{											\
	struct ipc_##name m;								\
	int err;									\
											\
	memset(&m, 0x5a, sizeof(m));							\
	if ((err = ipc_get_##name(in, &m)) == ERR_OK)					\
		ipc_put_##name(out, &m);						\
	return err;									\
}

MESSAGE(session)
MESSAGE(session_end)
MESSAGE(ready)
MESSAGE(failed)
MESSAGE(login)
MESSAGE(login_answer)
MESSAGE(sender)
MESSAGE(sender_answer)
MESSAGE(recipient)
MESSAGE(recipient_answer)
MESSAGE(spool_answer)
MESSAGE(status_answer)
MESSAGE(grant)
MESSAGE(grant_name)
MESSAGE(envelope_sender)
MESSAGE(envelope_recipient)
MESSAGE(envelope_drop)
MESSAGE(from)
MESSAGE(from_answer)
MESSAGE(storage)
MESSAGE(usage)
MESSAGE(refused)
MESSAGE(queue_change)
MESSAGE(delivery_order)
MESSAGE(delivery_state)
MESSAGE(queue_answer)
MESSAGE(commit)
MESSAGE(commit_answer)
MESSAGE(outcome_answer)
MESSAGE(etrn)
MESSAGE(etrn_answer)
MESSAGE(sign)
MESSAGE(sign_answer)
MESSAGE(dkim_sign)
MESSAGE(dkim_sign_answer)
MESSAGE(dkim_keys)
MESSAGE(hash)
MESSAGE(hash_answer)
MESSAGE(ban)
MESSAGE(session_account)
MESSAGE(control_session)
MESSAGE(control_kill)
MESSAGE(control_pause)
MESSAGE(control_status)
MESSAGE(resolve)
MESSAGE(resolve_answer)

static void
put_counters(struct wire_out *out)
{
	ipc_put_counters(out, IPC_COUNTERS, &sent_counters);
}

static int
again_counters(struct wire_in *in, struct wire_out *out)
{
	struct ipc_counters m;
	int err;

	memset(&m, 0x5a, sizeof(m));
	if ((err = ipc_get_counters(in, &m)) == ERR_OK)
		ipc_put_counters(out, IPC_COUNTERS, &m);
	return err;
}

static void
put_control_done(struct wire_out *out)
{
	ipc_put_control_done(out, IPC_CONTROL_RELOAD_ANSWER, &sent_control_done);
}

static int
again_control_done(struct wire_in *in, struct wire_out *out)
{
	struct ipc_control_done m;
	int err;

	memset(&m, 0x5a, sizeof(m));
	if ((err = ipc_get_control_done(in, &m)) == ERR_OK)
		ipc_put_control_done(out, IPC_CONTROL_RELOAD_ANSWER, &m);
	return err;
}

static void
put_reset(struct wire_out *out)
{
	ipc_put_empty(out, IPC_RESET);
}

static int
again_reset(struct wire_in *in, struct wire_out *out)
{
	int err = ipc_get_empty(in);

	if (err == ERR_OK)
		ipc_put_empty(out, IPC_RESET);
	return err;
}

static void
put_open(struct wire_out *out)
{
	ipc_put_transaction(out, IPC_OPEN, 0x01020304);
}

static int
again_open(struct wire_in *in, struct wire_out *out)
{
	uint32_t t = 0;
	int err = ipc_get_transaction(in, &t);

	if (err == ERR_OK)
		ipc_put_transaction(out, IPC_OPEN, t);
	return err;
}

static void
put_abort(struct wire_out *out)
{
	ipc_put_abort(out, ABORT_ATTACHMENT);
}

static int
again_abort(struct wire_in *in, struct wire_out *out)
{
	enum abort_reason reason;
	int err = ipc_get_abort(in, &reason);

	if (err == ERR_OK)
		ipc_put_abort(out, reason);
	return err;
}

static void
put_link(struct wire_out *out)
{
	ipc_put_link(out, LINK_RELAY);
}

static int
again_link(struct wire_in *in, struct wire_out *out)
{
	enum link_peer peer;
	int err = ipc_get_link(in, &peer);

	if (err == ERR_OK)
		ipc_put_link(out, peer);
	return err;
}

#define SENDER (2 + 17 + 8 + 1 + 1 + 1 + 2 + 11)
#define RECIPIENT (2 + 15 + 1 + 2 + 22)
#define NETADDR 19

const struct message_row message_rows[] = {
	{ "session", IPC_SESSION, put_session, again_session, 8 + 2 * NETADDR + 2,
	    { { 8 + 2 * NETADDR, LISTENER_LOCAL }, { 8 + 2 * NETADDR + 1, PEER_PAUSED } } },
	{ "session_end", IPC_SESSION_END, put_session_end, again_session_end, 1 + 12 + 2,
	    { { 0, SESSION_NOT_SMTP }, { 13, 1 }, { 14, 1 } } },
	{ "ready", IPC_READY, put_ready, again_ready, 4 + 2 + 8, { { 0, 0 } } },
	{ "failed", IPC_FAILED, put_failed, again_failed, 1 + 2 + 28, { { 0, 0 } } },
	{ "login", IPC_LOGIN, put_login, again_login, 1 + 2 + 2 + 7 + 2 + 4, { { 0, MECHANISM_LOCAL } } },
	{ "login_answer", IPC_LOGIN_ANSWER, put_login_answer, again_login_answer, 1 + 8 + 2 + 17 + 4 + 1 + 2 + 13,
	    { { 0, LOGIN_THROTTLED }, { 32, 1 } } },
	{ "sender", IPC_SENDER, put_sender, again_sender, SENDER,
	    { { 27, BODY_8BITMIME }, { 28, 1 }, { 29, DSN_RET_HDRS } } },
	{ "sender_answer", IPC_SENDER_ANSWER, put_sender_answer, again_sender_answer, 1 + 4 + 4 + 8, { { 0, SENDER_THROTTLED } } },
	{ "recipient", IPC_RECIPIENT, put_recipient, again_recipient, RECIPIENT, { { 17, 15 } } },
	{ "recipient_answer", IPC_RECIPIENT_ANSWER, put_recipient_answer, again_recipient_answer, 1 + 4, { { 0, RECIPIENT_UNAVAILABLE } } },
	{ "spool_answer", IPC_SPOOL_ANSWER, put_spool_answer, again_spool_answer, 1, { { 0, 1 } } },
	{ "status_answer", IPC_STATUS_ANSWER, put_status_answer, again_status_answer, 1 + 1 + 2 + 17 + 8 * 8, { { 0, 1 }, { 1, 1 } } },
	{ "grant_name", IPC_GRANT_NAME, put_grant_name, again_grant_name, 8 + 2 + 15, { { 0, 0 } } },
	{ "grant", IPC_GRANT, put_grant, again_grant, 8 + 8 + 2 + 17 + NETADDR + 1 + 2 + 6 + 1 + 8 + 8,
	    { { 54, LISTENER_LOCAL }, { 63, MECHANISM_LOCAL } } },
	{ "envelope_sender", IPC_ENVELOPE_SENDER, put_envelope_sender, again_envelope_sender, 8 + 4 + SENDER + 8 + 2,
	    { { 39, BODY_8BITMIME }, { 40, 1 }, { 41, DSN_RET_HDRS }, { 12 + SENDER + 8, 1 }, { 12 + SENDER + 9, 1 } } },
	{ "envelope_recipient", IPC_ENVELOPE_RECIPIENT, put_envelope_recipient, again_envelope_recipient, 8 + 4 + RECIPIENT,
	    { { 29, 15 } } },
	{ "envelope_drop", IPC_ENVELOPE_DROP, put_envelope_drop, again_envelope_drop, 8 + 4, { { 0, 0 } } },
	{ "from", IPC_FROM, put_from, again_from, 8 + 4 + 1 + 2 + 17 + 2 + 15, { { 12, IPC_FROM_ADDRESSES_MAX } } },
	{ "from_answer", IPC_FROM_ANSWER, put_from_answer, again_from_answer, 8 + 4 + 1, { { 12, HEADER_UNAVAILABLE } } },
	{ "storage", IPC_STORAGE, put_storage, again_storage, 1, { { 0, 1 } } },
	{ "refused", IPC_REFUSED, put_refused, again_refused, 8 + 4, { { 0, 0 } } },
	{ "usage", IPC_USAGE, put_usage, again_usage, 2 + 17 + 8 + 8, { { 0, 0 } } },
	{ "queue_change", IPC_QUEUE, put_queue_change, again_queue_change, 1 + 2 + 3 + 2 + 2 * (2 + 13), { { 0, QUEUE_REROUTE } } },
	{ "delivery_order", IPC_DELIVERY, put_delivery_order, again_delivery_order, 1 + 2 + 6, { { 0, DELIVERY_RESUME } } },
	{ "delivery_state", IPC_DELIVERY_ANSWER, put_delivery_state, again_delivery_state, 1 + 2 + 6 + 3 * 8, { { 0, 1 } } },
	{ "queue_answer", IPC_QUEUE_ANSWER, put_queue_answer, again_queue_answer, 2 + 2, { { 2, QUEUE_FAILED }, { 3, QUEUE_FAILED } } },
	{ "abort", IPC_ABORT, put_abort, again_abort, 1, { { 0, ABORT_TROUBLE } } },
	{ "commit", IPC_COMMIT, put_commit, again_commit, 4 + 8, { { 0, 0 } } },
	{ "commit_answer", IPC_COMMIT_ANSWER, put_commit_answer, again_commit_answer, 4 + 1 + 2 + 16, { { 4, COMMIT_ERROR } } },
	{ "outcome_answer", IPC_OUTCOME_ANSWER, put_outcome_answer, again_outcome_answer, 4 + 1 + 2 + 16, { { 4, 1 } } },
	{ "etrn", IPC_ETRN, put_etrn, again_etrn, 2 + 11 + 1, { { 13, 1 } } },
	{ "etrn_answer", IPC_ETRN_ANSWER, put_etrn_answer, again_etrn_answer, 1 + 4, { { 0, ETRN_LOGIN_VOID } } },
	{ "sign", IPC_SIGN, put_sign, again_sign, 1 + 1 + 2 + 12, { { 1, SIGN_ECDSA_SHA512 } } },
	{ "sign_answer", IPC_SIGN_ANSWER, put_sign_answer, again_sign_answer, 2 + 3, { { 0, 0 } } },
	{ "dkim_sign", IPC_DKIM_SIGN, put_dkim_sign, again_dkim_sign, 8 + 2 + 11 + 32 + 2 + 21, { { 0, 0 } } },
	{ "dkim_sign_answer", IPC_DKIM_SIGN_ANSWER, put_dkim_sign_answer, again_dkim_sign_answer, 8 + 1 + 2 + 21, { { 8, DKIM_FAILED } } },
	{ "dkim_keys", IPC_DKIM_KEYS, put_dkim_keys, again_dkim_keys, 1 + 1 + 2 + 11 + 2 + 11, { { 0, 1 } } },
	{ "hash", IPC_HASH, put_hash, again_hash, 4 + 2 + 14 + 2 + 6, { { 0, 0 } } },
	{ "hash_answer", IPC_HASH_ANSWER, put_hash_answer, again_hash_answer, 4 + 1 + 2 + 16, { { 4, HASH_UNKNOWN } } },
	{ "ban", IPC_BAN, put_ban, again_ban, NETADDR + 1 + 1 + 4, { { NETADDR + 1, 1 } } },
	{ "session_account", IPC_SESSION_ACCOUNT, put_session_account, again_session_account, 8 + 2 + 17, { { 0, 0 } } },
	{ "counters", IPC_COUNTERS, put_counters, again_counters, 2 + 2 + 2 * 8, { { 0, 0 } } },
	{ "control_session", IPC_CONTROL_SESSIONS_ANSWER, put_control_session, again_control_session,
	    8 + NETADDR + 1 + 1 + 1 + 8 + 2 + 17,
	    { { 27, LISTENER_LOCAL }, { 28, SESSION_TLS_UNKNOWN }, { 29, 1 } } },
	{ "control_kill", IPC_CONTROL_KILL, put_control_kill, again_control_kill, 8 + 2 + 17, { { 0, 0 } } },
	{ "control_pause", IPC_CONTROL_PAUSE, put_control_pause, again_control_pause, 2 + 9, { { 0, 0 } } },
	{ "control_done", IPC_CONTROL_RELOAD_ANSWER, put_control_done, again_control_done, 1 + 4 + 2 + 27, { { 0, 0 } } },
	{ "control_status", IPC_CONTROL_STATUS_ANSWER, put_control_status, again_control_status,
	    4 + 8 + 8 + 4 + 4 + 4 + 8 + 8 + 3 + 2 + 5 + 1 + (2 + 4 + 4 + 1 + 8) + (2 + 5 + 4 + 1 + 8),
	    { { 48, 1 }, { 49, 1 }, { 50, 1 } } },
	{ "resolve", IPC_RESOLVE, put_resolve, again_resolve, 8 + 1 + 2 + 16, { { 8, RESOLVE_ADDRESSES } } },
	{ "resolve_answer", IPC_RESOLVE_ANSWER, put_resolve_answer, again_resolve_answer, 8 + 1 + 1 + 1 + 2 + 1 + 2 + 2 + 14 + 2 + 2,
	    { { 10, 1 } } },
	{ "link", IPC_LINK, put_link, again_link, 1, { { 0, LINK_PEER_MAX } } },
	{ "reset", IPC_RESET, put_reset, again_reset, 0, { { 0, 0 } } },
	{ "open", IPC_OPEN, put_open, again_open, 4, { { 0, 0 } } },
};

const size_t message_rows_count = sizeof(message_rows) / sizeof(message_rows[0]);

int
message_rows_init(void)
{
	static const char alice[] = "alice@example.org", bob[] = "bob@example.net";

	if (addr_parse(&sent_sender.address, alice, sizeof(alice) - 1, true) != ERR_OK ||
	    addr_parse(&sent_recipient.address, bob, sizeof(bob) - 1, true) != ERR_OK)
		return -1;
	sent_envelope_sender.sender = sent_sender;
	sent_envelope_recipient.recipient = sent_recipient;
	sent_from.addresses[0] = sent_sender.address;
	sent_from.addresses[1] = sent_recipient.address;
	return 0;
}
