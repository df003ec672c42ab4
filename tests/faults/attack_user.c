/*
 * Acts against auth by a user's taken-over session: it may send as alice and as nobody else, what auth approved and
 * nothing more, as long as alice may log in. Run by the tests.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "rig.h"

static const char text[] = "From: " ALICE "\r\nSubject: act\r\n\r\nhello\r\n";

/* Whatever number the spool is told, it knows of no envelope. */
static void
expect_no_envelope(struct session *s, const char *what)
{
	static const uint32_t numbers[] = { 0, 1, 2, 3, 0xffffffff };

	for (size_t i = 0; i < COUNT(numbers); i++) {
		int verdict = give(s, numbers[i], LIT(text));

		check(verdict == COMMIT_ERROR || verdict == ENDED, "%s: transaction %u gets %d", what, numbers[i],
		    verdict);
	}
}

static void
every_kind(void)
{
	struct session s;

	for (size_t i = 0; i < KINDS; i++) {
		if (kind_at(i) == IPC_SENDER || kind_at(i) == IPC_RESET || kind_at(i) == IPC_SPOOL ||
		    kind_at(i) == IPC_STATUS)
			continue;
		session_open(&s, ALICE);
		put_any(kind_at(i));
		send_out(s.auth);
		expect_ended(s.auth, kind_text(kind_at(i)));
		expect_no_envelope(&s, kind_text(kind_at(i)));
		session_close(&s);
	}
}

/* An approved envelope ends with its session at auth, though the socket to the spool is still there. */
static void
bad_frame_ends_envelope(void)
{
	struct session s;

	session_open(&s, ALICE);
	check(approve(&s, ALICE, "rcpt@example.net"), "alice is refused");
	put_any(IPC_GRANT);
	send_out(s.auth);
	expect_ended(s.auth, "GRANT");
	expect_no_envelope(&s, "after a bad frame");
	session_close(&s);
}

static void
others_sender(void)
{
	static const char *const senders[] = { BOB, "BOB@EXAMPLE.ORG", "\"bob\"@example.org", "alice@example.com",
		"alice@sub.example.org", "alice@[127.0.0.1]", "postmaster@example.org", "a@b",
		"\"alice@example.org\"@example.net" };
	struct session s;

	session_open(&s, ALICE);
	for (size_t i = 0; i < COUNT(senders); i++) {
		int verdict = ask_sender(&s, senders[i]);

		check(verdict == SENDER_NOT_ALLOWED, "%s gets %d", senders[i], verdict);
		put_any(IPC_RESET);
		send_out(s.auth);
	}
	expect_no_envelope(&s, "after refused senders");
	/* A refused one ends the approved one before it. */
	check(approve(&s, ALICE, "rcpt@example.net") && ask_sender(&s, BOB) == SENDER_NOT_ALLOWED, "wrong verdicts");
	expect_no_envelope(&s, "after a refused sender");
	check(ask_recipient(&s, "rcpt@example.net") == ENDED, "a recipient without a sender is answered");
	session_close(&s);
}

static char long_local[300], long_text[30000];

static const struct {
	const char	*octets;
	size_t		 len;
} no_addresses[] = {
	{ LIT(ALICE "\r\nPostern-Recipient: <evil@example.net>") }, { LIT(ALICE "\n") }, { LIT(ALICE "\r") },
	{ LIT(ALICE "\0") }, { LIT(ALICE ">\r\nX: <") }, { LIT("alice\0@example.org") }, { LIT(" " ALICE) },
	{ LIT(ALICE " ") },
	{ LIT("alice @example.org") }, { LIT("alice@ example.org") }, { LIT("<" ALICE ">") }, { LIT(ALICE ">") },
	{ LIT("alice@example.org> ENVID=x") }, { LIT("\"a\r\nPostern-Recipient: <x@y>\r\n\"@example.org") },
	{ LIT("\"a\\\r\\\nb\"@example.org") }, { LIT("\"a\\\nb\"@example.org") }, { LIT("\"a\tb\"@example.org") },
	{ LIT("\"\\") },
	{ LIT("\"alice\"") }, { LIT("@") }, { LIT("alice@") }, { LIT("@example.org") }, { LIT("alice") },
	{ LIT("a@b@c") },
	{ LIT("alice..x@example.org") }, { LIT(".alice@example.org") }, { LIT("alice@example..org") },
	{ LIT("alice@-x") },
	{ LIT("alice@[1.2.3.4") }, { LIT("alice@[IPv6:::1]\r\n") }, { LIT("alice@[x\r\ny]") },
	{ LIT("\xff\xfe@example.org") },
	{ LIT("alice@\xc0\xaf.org") }, { LIT("\xed\xa0\x80@example.org") }, { LIT("alice\x7f@example.org") },
	{ LIT("al\xc3\xafice@example.org") },	/* well-formed, but without SMTPUTF8 */
	{ long_local, 80 }, { long_local, 256 }, { long_local, 257 }, { long_local, 299 }, { long_text, 390 },
	{ long_text, 30000 },
};

static void
make_long_ones(void)
{
	memset(long_local, 'a', sizeof(long_local));
	memcpy(long_local + 65, "@example.org", 12);
	memset(long_text, 'x', sizeof(long_text));
	memcpy(long_text, "alice@", 6);
}

static void
malformed_sender(void)
{
	struct session s;

	make_long_ones();
	for (size_t i = 0; i < COUNT(no_addresses); i++) {
		session_open(&s, ALICE);
		check(ask_sender_as(&s, no_addresses[i].octets, no_addresses[i].len, false, "", 0) == ENDED,
		    "sender %zu is answered", i);
		check(give(&s, 1, LIT(text)) == COMMIT_ERROR, "sender %zu has an envelope", i);
		session_close(&s);
	}
}

static void
malformed_recipient(void)
{
	struct session s;

	make_long_ones();
	for (size_t i = 0; i <= COUNT(no_addresses); i++) {
		bool is_null = i == COUNT(no_addresses);
		int verdict;

		session_open(&s, ALICE);
		check(approve(&s, ALICE, "rcpt@example.net"), "alice is refused");
		verdict = ask_recipient_as(&s, is_null ? "" : no_addresses[i].octets, is_null ? 0 : no_addresses[i].len,
		    0, "", 0);
		check(verdict == ENDED, "recipient %zu is answered", i);
		check(give(&s, 1, LIT(text)) == COMMIT_ERROR, "recipient %zu leaves the envelope", i);
		session_close(&s);
	}
}

static const struct {
	const char	*octets;
	size_t		 len;
} no_values[] = {
	{ LIT("x\r\nPostern-Recipient: <evil@example.net>") }, { LIT("x\n") }, { LIT("x\r") }, { LIT("x\0y") },
	{ LIT("x y") },
	{ LIT("x NOTIFY=NEVER") }, { LIT("\x7f") }, { LIT("\t") }, { LIT("\xff") }, { LIT("\x1b[2J") },
	{ long_text, 600 },
	{ LIT("x\r\nPostern-End: envelope\r\n\r\nFrom: bob@example.org") },
};

static void
malformed_values(void)
{
	struct session s;

	make_long_ones();
	for (size_t i = 0; i < COUNT(no_values); i++) {
		int verdict;

		session_open(&s, ALICE);
		verdict = ask_sender_as(&s, LIT(ALICE), false, no_values[i].octets, no_values[i].len);
		if (verdict == SENDER_OK && ask_recipient(&s, "rcpt@example.net") == RECIPIENT_OK)
			verdict = give(&s, s.t, LIT(text)) == COMMIT_ERROR ? ENDED : COMMIT_STORED;
		check(verdict == ENDED, "ENVID %zu gets %d", i, verdict);
		session_close(&s);
		session_open(&s, ALICE);
		check(ask_sender(&s, ALICE) == SENDER_OK, "alice is refused");
		verdict = ask_recipient_as(&s, LIT("rcpt@example.net"), 0, no_values[i].octets, no_values[i].len);
		if (verdict == RECIPIENT_OK)
			verdict = give(&s, s.t, LIT(text)) == COMMIT_ERROR ? ENDED : COMMIT_STORED;
		check(verdict == ENDED, "ORCPT %zu gets %d", i, verdict);
		session_close(&s);
		session_open(&s, ALICE);
		check(ask_sender(&s, ALICE) == SENDER_OK && ask_recipient_as(&s, LIT("rcpt@example.net"),
		    (uint8_t)(16 + 20 * i), "", 0) == ENDED, "NOTIFY %zu is answered", 16 + 20 * i);
		session_close(&s);
	}
}

static void
too_many_recipients(void)
{
	struct session s;
	char address[32];

	session_open(&s, ALICE);
	check(ask_sender(&s, ALICE) == SENDER_OK, "alice is refused");
	for (int i = 0; i < 200; i++) {
		int verdict;

		snprintf(address, sizeof(address), "many-%d@example.net", i);
		verdict = ask_recipient(&s, address);
		check(verdict == (i < RECIPIENTS_MAX ? RECIPIENT_OK : RECIPIENT_TOO_MANY), "recipient %d gets %d", i,
		    verdict);
	}
	/* test_attack.py looks how many the file names. */
	check(give(&s, s.t, LIT(text)) == COMMIT_STORED, "alice's message is refused");
	rig.stored++;
	session_close(&s);
}

/* One approval is one message: asking for a new socket must not bring the envelope back. */
static void
replay(void)
{
	struct session s;
	int verdict;

	session_open(&s, ALICE);
	check(approve(&s, ALICE, "rcpt@example.net") && give(&s, s.t, LIT(text)) == COMMIT_STORED,
	    "alice's message is refused");
	rig.stored++;
	for (int i = 0; i < 3; i++) {
		if (ask_spool(&s) != 1)
			break;
		verdict = give(&s, s.t, LIT(text));
		check(verdict == COMMIT_ERROR, "an approval used again gets %d", verdict);
		check(ask_outcome(&s, s.t) == 0, "it is said to be stored");
	}
	session_close(&s);
}

/* Takes an approval back once the spool has opened it, so that the message would not count for the limit of an hour. */
static void
taken_back(void)
{
	struct session s;

	for (int i = 0; i < 2; i++) {
		uint32_t t;
		int verdict;

		session_open(&s, ALICE);
		check(approve(&s, ALICE, "rcpt@example.net"), "alice is refused");
		t = s.t;
		tell_open(&s, t);
		usleep(20000);	/* the spool has it */
		if (i == 0)
			tell_empty(s.auth, IPC_RESET);
		else
			check(ask_sender(&s, ALICE) == SENDER_OK, "alice is refused in the middle");
		usleep(20000);
		tell_data(&s, LIT(text));
		tell_commit(&s, t, sizeof(text) - 1);
		verdict = hear_commit(&s);
		check(verdict == COMMIT_ERROR, "what was taken back by %s gets %d", i == 0 ? "RESET" : "SENDER", verdict);
		session_close(&s);
	}
}

/*
 * Asks about a good From, takes a new socket, and hopes that the late answer passes for one about a bad From in the
 * same transaction.
 */
static void
late_from_answer(void)
{
	static const char bad[] = "From: " BOB "\r\nSubject: act\r\n\r\nnot from bob\r\n";
	struct session s;

	for (int i = 0; i < 200; i++) {
		int verdict = ENDED;

		session_open(&s, ALICE);
		check(approve(&s, ALICE, "rcpt@example.net"), "alice is refused");
		tell_open(&s, s.t);
		tell_data(&s, LIT(text));
		if (ask_spool(&s) == 1)
			verdict = give(&s, s.t, LIT(bad));
		check(verdict != COMMIT_STORED, "a message from bob is stored");
		session_close(&s);
	}
}

/* Sockets asked for and never taken: a pair each in the kernel's hands, of which there are so many for a user. */
static void
spool_flood(void)
{
	struct session s[8], after;
	unsigned answers = 0;

	for (size_t i = 0; i < COUNT(s); i++) {
		session_open(&s[i], ALICE);
		ipc_put_empty(begin(), IPC_SPOOL);
		for (int n = 0; n < 3000; n++)
			ipc_send(s[i].auth, &out, NULL, 0, true);
	}
	for (size_t i = 0; i < COUNT(s); i++) {
		session_open(&after, ALICE);
		session_close(&after);
	}
	for (size_t i = 0; i < COUNT(s); i++) {
		answers += expect_ended_after_answers(s[i].auth, "3000 questions for a socket");
		session_close(&s[i]);
	}
	check(answers <= 32 * COUNT(s), "%u sockets for %zu sessions", answers, COUNT(s));
}

static void
never_reading(void)
{
	struct session s;
	unsigned sent = 0;

	session_open(&s, ALICE);
	ipc_put_sender(begin(), &(struct ipc_sender){ .envid = "x" });
	while (sent < 20000 && ipc_send(s.auth, &out, NULL, 0, true) == ERR_OK)
		sent++;
	expect_ended_after_answers(s.auth, "questions without reading answers");
	session_close(&s);
}

/* As many approvals as can be asked for at once, all to be told to the spool, while others want to send. */
static void
sender_flood(void)
{
	struct session s[8];
	unsigned again = 0;

	for (size_t i = 0; i < COUNT(s); i++)
		session_open(&s[i], ALICE);
	for (int round = 0; round < 20; round++) {
		put_any(IPC_SENDER);
		for (size_t i = 0; i < COUNT(s); i++)
			for (int n = 0; n < 100; n++)
				send_out(s[i].auth);
		for (int n = 0; n < 5; n++) {
			uint64_t began = io_now_ms();

			/* "Try again" may be said for a moment, while auth's socket to the spool is full. */
			while (!approve(&rig.witness, BOB, "rcpt@example.net") && io_now_ms() - began < 2000)
				again += usleep(1000) == 0;
			check(io_now_ms() - began < 2000, "bob is not served while alice floods");
		}
		for (size_t i = 0; i < COUNT(s); i++) {
			struct ipc_message m;

			while (hear(s[i].auth, IPC_WORKER_FROM_AUTH, &m, 0) == ERR_OK)
				continue;
		}
	}
	fprintf(stderr, "attack: bob was told to try again %u times\n", again);
	for (size_t i = 0; i < COUNT(s); i++)
		session_close(&s[i]);
}

/* Going away after each word, without reading. */
static void
closing_midway(void)
{
	for (int i = 0; i < 60; i++) {
		struct session s;

		session_open(&s, ALICE);
		if (i % 6 >= 1)
			put_any(IPC_SENDER), send_out(s.auth);
		if (i % 6 >= 2)
			put_any(IPC_RECIPIENT), send_out(s.auth);
		if (i % 6 >= 3)
			put_any(IPC_OPEN), send_out(s.spool);
		if (i % 6 >= 4)
			put_any(IPC_DATA), send_out(s.spool);
		if (i % 6 >= 5)
			put_any(IPC_SPOOL), send_out(s.auth);
		if (i % 2 == 0)
			io_close(&s.auth);
		session_close(&s);
	}
}

/* A login that is void stays without effect, also by the ways around SENDER. */
static void
expect_void(struct session *s, const char *why)
{
	int verdict = ask_sender(s, CAROL);

	check(verdict == SENDER_LOGIN_VOID, "%s: SENDER gets %d", why, verdict);
	expect_no_envelope(s, why);
	check(ask_spool(s) == 1, "%s: no socket", why);
	expect_no_envelope(s, why);
}

static void
disabled(void)
{
	struct session s, approved;

	session_open(&s, CAROL);
	session_open(&approved, CAROL);
	check(approve(&approved, CAROL, "rcpt@example.net"), "carol is refused");
	rig_admin("account", "disable", CAROL, NULL);
	check(ask_recipient(&approved, "more@example.net") == RECIPIENT_LOGIN_VOID, "a recipient is approved");
	check(ask_spool(&approved) == 1, "no socket");
	check(give(&approved, approved.t, "x\r\n", 3) == COMMIT_ERROR, "the envelope comes back with a new socket");
	expect_void(&s, "disabled");
	session_close(&approved);
	session_begin(&approved);
	check(session_login(&approved, CAROL, rig.password) == LOGIN_INVALID, "a disabled account logs in");
	session_close(&approved);
	rig_admin("account", "enable", CAROL, NULL);
	check(ask_sender(&s, CAROL) == SENDER_OK, "an enabled account is refused");
	session_close(&s);
}

static void
removed(void)
{
	struct session s, approved;
	char password[80];

	session_open(&s, CAROL);
	session_open(&approved, CAROL);
	check(approve(&approved, CAROL, "rcpt@example.net"), "carol is refused");
	rig_admin("account", "remove", CAROL, NULL);
	expect_void(&s, "removed");
	check(give(&approved, approved.t, LIT("From: " CAROL "\r\n\r\nx\r\n")) == COMMIT_LOGIN_VOID,
	    "From: carol");
	/* The next account, also one of the same name, is another one. */
	snprintf(password, sizeof(password), "%s\n", rig.password);
	rig_admin("account", "add", "dave@example.org", password);
	check(ask_sender(&s, "dave@example.org") != SENDER_OK, "carol's session sends as dave");
	rig_admin("account", "add", CAROL, password);
	expect_void(&s, "removed and added");
	session_close(&s);
	session_close(&approved);
}

void
attack_user(void)
{
	act("user.every_kind", every_kind);
	act("user.bad_frame_ends_envelope", bad_frame_ends_envelope);
	act("user.others_sender", others_sender);
	act("user.malformed_sender", malformed_sender);
	act("user.malformed_recipient", malformed_recipient);
	act("user.malformed_values", malformed_values);
	act("user.too_many_recipients", too_many_recipients);
	act("user.replay", replay);
	act("user.taken_back", taken_back);
	act("user.late_from_answer", late_from_answer);
	act("user.spool_flood", spool_flood);
	act("user.never_reading", never_reading);
	act("user.sender_flood", sender_flood);
	act("user.closing_midway", closing_midway);
	act("user.disabled", disabled);
	act("user.removed", removed);
}
