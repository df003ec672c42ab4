/*
 * A well-formed message of every kind of the protocol of mail, saying what an attacker would like to be believed:
 * another's session, an approval, a grant; of other kinds an empty one. Run by the tests.
 */
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "rig.h"

static const uint8_t text[] = "From: " BOB "\r\n\r\nnot from bob\r\n";

static struct addr
address(const char *s)
{
	struct addr a;

	check(addr_parse(&a, s, strlen(s), true) == ERR_OK, "%s does not parse", s);
	return a;
}

static void
put_session_kind(enum ipc_kind kind)
{
	struct ipc_session m = { .session = rig.witness.number, .listener = LISTENER_SUBMISSION };
	struct ipc_login login = { .user = (const uint8_t *)ALICE, .user_len = strlen(ALICE),
	    .password = (const uint8_t *)rig.password, .password_len = strlen(rig.password) };

	check(netaddr_parse(&m.peer, "192.0.2.1:4000") == ERR_OK && netaddr_parse(&m.local, "127.0.0.1:587") == ERR_OK,
	    "addresses do not parse");
	switch (kind) {
	case IPC_SESSION:
		ipc_put_session(&out, &m);
		break;
	case IPC_SESSION_END:
		ipc_put_session_end(
		    &out, &(struct ipc_session_end){ .reason = SESSION_QUIT, .commands = 1, .login = true });
		break;
	case IPC_READY:
		ipc_put_ready(&out, &(struct ipc_ready){ .parts = ~0U, .detail = text, .detail_len = 32 });
		break;
	case IPC_FAILED:
		ipc_put_failed(&out, &(struct ipc_failed){ .code = 78, .reason = "stop, all of you" });
		break;
	case IPC_LOGIN:
		ipc_put_login(&out, &login);
		break;
	case IPC_LOGIN_ANSWER:
		ipc_put_login_answer(
		    &out, &(struct ipc_login_answer){ .verdict = LOGIN_OK, .account = 2, .name = BOB });
		break;
	case IPC_SENDER:
		ipc_put_sender(&out, &(struct ipc_sender){ .address = address(ALICE), .envid = "x" });
		break;
	case IPC_SENDER_ANSWER:
		ipc_put_sender_answer(&out, &(struct ipc_sender_answer){ .verdict = SENDER_OK, .t = 1 });
		break;
	case IPC_RECIPIENT:
		ipc_put_recipient(&out,
		    &(struct ipc_recipient){ .address = address(BOB), .notify = DSN_NOTIFY_DELAY, .orcpt = "a;x" });
		break;
	case IPC_RECIPIENT_ANSWER:
		ipc_put_recipient_answer(&out, &(struct ipc_recipient_answer){ .verdict = RECIPIENT_OK });
		break;
	default:
		ipc_put_spool_answer(&out, &(struct ipc_spool_answer){ .ok = true });
		break;
	}
}

/* What only auth may tell the spool, and the spool auth. */
static void
put_link_kind(enum ipc_kind kind)
{
	static struct ipc_envelope_sender sender;
	static struct ipc_envelope_recipient recipient;
	static struct ipc_from from;

	switch (kind) {
	case IPC_GRANT:
		ipc_put_grant(&out, &(struct ipc_grant){ .session = rig.witness.number, .account = 2, .name = BOB,
		    .listener = LISTENER_SUBMISSION });
		break;
	case IPC_ENVELOPE_SENDER:
		sender =
		    (struct ipc_envelope_sender){ .session = rig.next_number - 1, .t = 1, .message_size = 1 << 30 };
		sender.sender.address = address(BOB);
		ipc_put_envelope_sender(&out, &sender);
		break;
	case IPC_ENVELOPE_RECIPIENT:
		recipient = (struct ipc_envelope_recipient){ .session = rig.next_number - 1, .t = 1 };
		recipient.recipient.address = address("victim@example.net");
		ipc_put_envelope_recipient(&out, &recipient);
		break;
	case IPC_ENVELOPE_DROP:
		ipc_put_envelope_drop(
		    &out, &(struct ipc_envelope_drop){ .session = rig.witness.number, .t = rig.witness.t });
		break;
	case IPC_FROM:
		from = (struct ipc_from){ .session = rig.witness.number, .t = 1, .n = 1 };
		from.addresses[0] = address(BOB);
		ipc_put_from(&out, &from);
		break;
	case IPC_FROM_ANSWER:
		ipc_put_from_answer(
		    &out, &(struct ipc_from_answer){ .session = rig.next_number - 1, .t = 1, .verdict = HEADER_ALLOWED });
		break;
	case IPC_REFUSED:
		ipc_put_refused(&out, &(struct ipc_refused){ .session = rig.witness.number, .t = rig.witness.t });
		break;
	default:
		ipc_put_storage(&out, &(struct ipc_storage){ .ok = false });
		break;
	}
}

static void
put_spool_kind(enum ipc_kind kind)
{
	switch (kind) {
	case IPC_DATA:
		ipc_put_data(&out, text, sizeof(text) - 1);
		break;
	case IPC_COMMIT:
		ipc_put_commit(&out, &(struct ipc_commit){ .t = 1, .size = 1 });
		break;
	case IPC_COMMIT_ANSWER:
		ipc_put_commit_answer(&out, &(struct ipc_commit_answer){ .t = 1, .verdict = COMMIT_STORED, .id = "x" });
		break;
	case IPC_OUTCOME_ANSWER:
		ipc_put_outcome_answer(&out, &(struct ipc_outcome_answer){ .t = 1, .stored = true, .id = "x" });
		break;
	case IPC_SIGN:
		ipc_put_sign(
		    &out, &(struct ipc_sign){ .algorithm = SIGN_ECDSA_SHA256, .text = text, .text_len = sizeof(text) });
		break;
	case IPC_SIGN_ANSWER:
		ipc_put_sign_answer(
		    &out, &(struct ipc_sign_answer){ .signature = text, .signature_len = sizeof(text) });
		break;
	case IPC_HASH:
		ipc_put_hash(&out, &(struct ipc_hash){ .job = 1, .hash = "$y$x", .password = text, .password_len = 3 });
		break;
	default:
		ipc_put_hash_answer(&out, &(struct ipc_hash_answer){ .job = 1, .verdict = HASH_MATCHES });
		break;
	}
}

void
put_any(enum ipc_kind kind)
{
	begin();
	switch (kind) {
	case IPC_LINK:
		ipc_put_link(&out, LINK_SPOOL);
		break;
	case IPC_RELOAD: case IPC_RESET: case IPC_SPOOL:
		ipc_put_empty(&out, kind);
		break;
	case IPC_ABORT:
		ipc_put_abort(&out, ABORT_MALFORMED);
		break;
	case IPC_OPEN: case IPC_OUTCOME:
		ipc_put_transaction(&out, kind, 1);
		break;
	case IPC_SESSION: case IPC_SESSION_END: case IPC_READY: case IPC_FAILED: case IPC_LOGIN: case IPC_LOGIN_ANSWER:
	case IPC_SENDER: case IPC_SENDER_ANSWER: case IPC_RECIPIENT: case IPC_RECIPIENT_ANSWER: case IPC_SPOOL_ANSWER:
		put_session_kind(kind);
		break;
	case IPC_GRANT: case IPC_ENVELOPE_SENDER: case IPC_ENVELOPE_RECIPIENT: case IPC_ENVELOPE_DROP: case IPC_FROM:
	case IPC_FROM_ANSWER: case IPC_STORAGE: case IPC_REFUSED:
		put_link_kind(kind);
		break;
	case IPC_DATA: case IPC_COMMIT: case IPC_COMMIT_ANSWER: case IPC_OUTCOME_ANSWER: case IPC_SIGN:
	case IPC_SIGN_ANSWER:
	case IPC_HASH: case IPC_HASH_ANSWER:
		put_spool_kind(kind);
		break;
	default:
		ipc_put_empty(&out, kind);
	}
}

enum ipc_kind
kind_at(size_t i)
{
	return (enum ipc_kind)(i == KINDS - 1 ? 0xffff : i);
}

const char *
kind_text(enum ipc_kind kind)
{
	static char to[48];

	snprintf(to, sizeof(to), "%s (%#x)", ipc_kind_name(kind), (unsigned)kind);
	return to;
}
