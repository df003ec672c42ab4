/*
 * Acts against spool by a user's taken-over session: only what auth approved is stored, once, in the order of the
 * protocol, and as a message whose octets are only message. Run by the tests.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "rig.h"

static const char text[] = "From: " ALICE "\r\nSubject: act\r\n\r\nhello\r\n";
#define TEXT_LEN (sizeof(text) - 1)

static void
open_approved(struct session *s)
{
	session_open(s, ALICE);
	check(approve(s, ALICE, "rcpt@example.net"), "alice is refused");
}

/* The same with a message begun. */
static void
open_message(struct session *s)
{
	open_approved(s);
	tell_open(s, s->t);
	tell_data(s, text, TEXT_LEN);
}

static void
unapproved(void)
{
	struct session s, other;
	uint32_t t;

	session_open(&s, ALICE);
	for (t = 0; t < 3; t++)
		check(give(&s, t, text, TEXT_LEN) == COMMIT_ERROR, "transaction %u was never approved", t);
	check(give(&s, 0xffffffff, text, TEXT_LEN) == COMMIT_ERROR, "the last transaction was never approved");
	/* Without recipients. */
	check(ask_sender(&s, ALICE) == SENDER_OK && give(&s, s.t, text, TEXT_LEN) == COMMIT_NO_RECIPIENTS,
	    "nobody gets it");
	/* Dropped. */
	check(approve(&s, ALICE, "rcpt@example.net"), "alice is refused");
	tell_empty(s.auth, IPC_RESET);
	check(ask_sender(&s, BOB) == SENDER_NOT_ALLOWED && give(&s, s.t, text, TEXT_LEN) == COMMIT_ERROR,
	    "it was dropped");
	/* An old one, while a newer one is approved; the newer one is gone then, too. */
	check(approve(&s, ALICE, "rcpt@example.net"), "alice is refused");
	t = s.t;
	check(approve(&s, ALICE, "rcpt@example.net") && s.t != t, "alice is refused");
	check(give(&s, t, text, TEXT_LEN) == COMMIT_ERROR, "it is an old one");
	/* One that was stored. */
	check(approve(&s, ALICE, "rcpt@example.net") && give(&s, s.t, text, TEXT_LEN) == COMMIT_STORED,
	    "alice is refused");
	rig.stored++;
	check(give(&s, s.t, text, TEXT_LEN) == COMMIT_ERROR, "it was stored before");
	/* Another session's: bob has approved this number, alice has not. */
	session_open(&other, BOB);
	do {
		check(approve(&other, BOB, "rcpt@example.net"), "bob is refused");
	} while (other.t <= s.t);
	check(give(&s, other.t, text, TEXT_LEN) == COMMIT_ERROR, "it is another session's");
	check(give(&other, other.t, LIT("From: " BOB "\r\n\r\nx\r\n")) == COMMIT_STORED, "bob is hindered");
	rig.stored++;
	session_close(&other);
	session_close(&s);
}

/* Recipients that are named after OPEN are not in the file; test_attack.py looks. */
static void
late_recipient(void)
{
	struct session s;

	open_message(&s);
	/* Whose answer comes after OPEN has been read. */
	ask_outcome(&rig.witness, 0);
	ask_recipient(&s, "too-late@example.net");
	tell_commit(&s, s.t, TEXT_LEN);
	check(hear_commit(&s) == COMMIT_STORED, "alice's message is refused");
	rig.stored++;
	session_close(&s);
}

static void
out_of_order(void)
{
	static const enum ipc_kind first[] = { IPC_DATA, IPC_COMMIT, IPC_ABORT };
	static const enum ipc_kind second[] = { IPC_OPEN, IPC_OUTCOME };
	struct session s;

	for (size_t i = 0; i < COUNT(first); i++) {
		open_approved(&s);
		put_any(first[i]);
		send_out(s.spool);
		expect_ended(s.spool, kind_text(first[i]));
		session_close(&s);
	}
	for (size_t i = 0; i < COUNT(second); i++) {
		open_message(&s);
		ipc_put_transaction(begin(), second[i], s.t);
		send_out(s.spool);
		expect_ended(s.spool, kind_text(second[i]));
		session_close(&s);
	}
	open_message(&s);
	tell_empty(s.spool, IPC_ABORT);
	tell_commit(&s, s.t, TEXT_LEN);
	expect_ended(s.spool, "COMMIT after ABORT");
	session_close(&s);
	/* Dropped by auth while it is open: it is the spool's then, and stored or not, once. */
	open_message(&s);
	tell_empty(s.auth, IPC_RESET);
	tell_empty(s.spool, IPC_ABORT);
	check(give(&s, s.t, text, TEXT_LEN) == COMMIT_ERROR, "OPEN after ABORT");
	session_close(&s);
}

static void
wrong_commit(void)
{
	static const struct {
		uint32_t	t;
		uint64_t	size;
	} off[] = { { 1, 0 }, { (uint32_t)-1, 0 }, { 0, 1 }, { 0, (uint64_t)-1 }, { 0, 1ULL << 32 }, { 0, 1ULL << 63 },
		{ 7, 7 } };
	struct session s;

	for (size_t i = 0; i < COUNT(off); i++) {
		open_message(&s);
		tell_commit(&s, s.t + off[i].t, TEXT_LEN + off[i].size);
		expect_ended(s.spool, "COMMIT of another number or size");
		session_close(&s);
	}
}

/* One more message is there, while auth still knows its session: it is asked about the From. */
static void
expect_stored(const char *what)
{
	for (int i = 0; i < 5000 && count_files("new") == rig.stored; i++)
		usleep(1000);
	rig.stored++;
	check(count_files("new") == rig.stored, "%s: it is not there", what);
}

static void
two_commits(void)
{
	for (int i = 0; i < 5; i++) {
		struct session s;
		int verdict;

		open_message(&s);
		tell_commit(&s, s.t, TEXT_LEN);
		tell_commit(&s, s.t, TEXT_LEN);
		/* The first one holds, whether its answer comes or not. */
		verdict = hear_commit(&s);
		check(verdict == COMMIT_STORED || verdict == ENDED, "two commits get %d", verdict);
		if (verdict == COMMIT_STORED)
			expect_ended(s.spool, "a second COMMIT");
		expect_stored("two commits");
		session_close(&s);
	}
}

static void
outcomes(void)
{
	struct session s;

	session_open(&s, ALICE);
	for (uint32_t t = 0; t < 4; t++)
		check(ask_outcome(&s, t) == 0, "transaction %u is said to be stored", t);
	check(ask_outcome(&s, rig.witness.t) == 0, "bob's transaction is told to alice");
	check(approve(&s, ALICE, "rcpt@example.net") && ask_outcome(&s, s.t) == 0,
	    "an approved one is said to be stored");
	check(give(&s, s.t, text, TEXT_LEN) == COMMIT_STORED && ask_outcome(&s, s.t) == 1, "alice's own is not known");
	rig.stored++;
	check(ask_outcome(&s, s.t + 1) == 0, "the next one is said to be stored");
	session_close(&s);
}

static void
every_kind(void)
{
	struct session s;

	for (size_t i = 0; i < KINDS; i++) {
		for (unsigned nfds = 0; nfds < 2; nfds++) {
			if ((kind_at(i) != IPC_OPEN && kind_at(i) != IPC_OUTCOME) || nfds != 0) {
				open_approved(&s);
				put_any(kind_at(i));
				send_octets(s.spool, out.data, out.len, nfds);
				expect_ended(s.spool, kind_text(kind_at(i)));
				session_close(&s);
			}
			if ((kind_at(i) != IPC_DATA && kind_at(i) != IPC_ABORT) || nfds != 0) {
				open_message(&s);
				put_any(kind_at(i));
				send_octets(s.spool, out.data, out.len, nfds);
				expect_ended(s.spool, kind_text(kind_at(i)));
				session_close(&s);
			}
		}
	}
}

static void
sizes(void)
{
	static const enum ipc_kind told[] = { IPC_OPEN, IPC_OUTCOME, IPC_COMMIT, IPC_ABORT };
	static uint8_t frame[2 * IPC_DATAGRAM_MAX];
	static const unsigned nfds[] = { 1, 3, 4, 253 };
	struct session s;

	for (size_t i = 0; i < COUNT(told); i++) {
		for (size_t n = 0, len = 1; n <= len + 1; n++) {
			bool is_open = told[i] == IPC_COMMIT || told[i] == IPC_ABORT;

			if (is_open)
				open_message(&s);
			else
				open_approved(&s);
			put_any(told[i]);
			len = out.len;
			memcpy(frame, out.data, len);
			if (n != len) {
				send_octets(s.spool, frame, n, 0);
				expect_ended(s.spool, "a cut or long frame");
			}
			session_close(&s);
		}
	}
	for (size_t n = 2; n <= sizeof(frame); n += n == 2 ? IPC_DATA_MAX + 1 : 16000) {
		open_message(&s);
		begin();
		wire_put_u16(&out, IPC_DATA);
		memset(out.data + 2, 'x', sizeof(frame) - 2);
		send_octets(s.spool, out.data, n, 0);
		expect_ended(s.spool, "DATA of no or too many octets");
		session_close(&s);
	}
	for (size_t i = 0; i < COUNT(nfds); i++) {
		open_message(&s);
		put_any(IPC_DATA);
		send_octets(s.spool, out.data, out.len, nfds[i]);
		expect_ended(s.spool, "DATA with descriptors");
		session_close(&s);
	}
}

/* What the worker never checked. */
static void
bad_messages(void)
{
	static const struct {
		const char	*octets;
		size_t		 len;
		int		 verdict;
	} messages[] = {
		{ LIT("From: " ALICE "\r\n\r\nbare\nline\r\n"), COMMIT_BAD_OCTETS },
		{ LIT("From: " ALICE "\r\n\r\nbare\rreturn\r\n"), COMMIT_BAD_OCTETS },
		{ LIT("From: " ALICE "\r\n\r\nend\r"), COMMIT_BAD_OCTETS },
		{ LIT("From: " ALICE "\nPostern-Recipient: <x@y>\r\n\r\nx\r\n"), COMMIT_BAD_OCTETS },
		{ LIT("From: " ALICE "\r\n\r\nnul \0 nul\r\n"), COMMIT_BAD_OCTETS },
		{ LIT("\0"), COMMIT_BAD_OCTETS },
		{ LIT("From: " ALICE "\r\nFrom: " ALICE "\r\n\r\nx\r\n"), COMMIT_TWO_FROM },
		{ LIT("From: " ALICE "\r\nfrom : " BOB "\r\n\r\nx\r\n"), COMMIT_TWO_FROM },
		{ LIT("From: " ALICE "\r\nX: y\r\nFROM:\r\n " BOB "\r\n\r\nx\r\n"), COMMIT_TWO_FROM },
		{ LIT("From: " BOB "\r\n\r\nx\r\n"), COMMIT_SENDER_NOT_ALLOWED },
		{ LIT("From : " BOB "\r\n\r\nx\r\n"), COMMIT_SENDER_NOT_ALLOWED },
		{ LIT("fRoM:\r\n\t" BOB "\r\n\r\nx\r\n"), COMMIT_SENDER_NOT_ALLOWED },
		{ LIT("From: " BOB), COMMIT_SENDER_NOT_ALLOWED },
		{ LIT("From: Alice <" BOB ">\r\n\r\nx\r\n"), COMMIT_SENDER_NOT_ALLOWED },
		{ LIT("From: \"" ALICE "\" <" BOB ">\r\n\r\nx\r\n"), COMMIT_SENDER_NOT_ALLOWED },
		{ LIT("From: " BOB " (" ALICE ")\r\n\r\nx\r\n"), COMMIT_SENDER_NOT_ALLOWED },
		{ LIT("From: " ALICE ", " BOB "\r\n\r\nx\r\n"), COMMIT_SENDER_NOT_ALLOWED },
		{ LIT("From: all: " ALICE ", " BOB ";\r\n\r\nx\r\n"), COMMIT_SENDER_NOT_ALLOWED },
		{ LIT("From: bob @ example . org\r\n\r\nx\r\n"), COMMIT_SENDER_NOT_ALLOWED },
		{ LIT("From: <@example.net:" BOB ">\r\n\r\nx\r\n"), COMMIT_SENDER_NOT_ALLOWED },
		{ LIT("From: " ALICE " <>\r\n\r\nx\r\n"), COMMIT_BAD_FROM },
		{ LIT("From: <" ALICE "> <" BOB ">\r\n\r\nx\r\n"), COMMIT_BAD_FROM },
		{ LIT("From: <" ALICE "> " BOB "\r\n\r\nx\r\n"), COMMIT_BAD_FROM },
		{ LIT("From: " BOB " " ALICE "\r\n\r\nx\r\n"), COMMIT_BAD_FROM },
		{ LIT("From: =?utf-8?q?bob=40example.org?=\r\n\r\nx\r\n"), COMMIT_BAD_FROM },
		{ LIT("From: (" ALICE "\r\n\r\nx\r\n"), COMMIT_BAD_FROM },
		{ LIT("From:\r\n\r\nx\r\n"), COMMIT_BAD_FROM },
		{ LIT("From: undisclosed:;\r\n\r\nx\r\n"), COMMIT_BAD_FROM },
	};
	struct session s;

	session_open(&s, ALICE);
	for (size_t i = 0; i < COUNT(messages); i++) {
		int verdict;

		check(approve(&s, ALICE, "rcpt@example.net"), "alice is refused");
		verdict = give(&s, s.t, messages[i].octets, messages[i].len);
		check(verdict == messages[i].verdict, "message %zu gets %d", i, verdict);
		rig.stored += verdict == COMMIT_STORED;
		check(ask_outcome(&s, s.t) == 0, "message %zu is said to be stored", i);
	}
	session_close(&s);
}

static void
give_filled(const char *start, char c, size_t n, int wanted)
{
	size_t len = strlen(start);
	char *octets = malloc(len + n);
	struct session s;
	int verdict;

	check(octets != NULL, "no memory");
	memcpy(octets, start, len);
	memset(octets + len, c, n);
	open_approved(&s);
	verdict = give(&s, s.t, octets, len + n);
	check(verdict == wanted, "%zu of '%c' behind '%.12s' get %d", n, c, start, verdict);
	session_close(&s);
	free(octets);
}

/* Over the limits, and what might take long to read. */
static void
big_messages(void)
{
	give_filled("From: " ALICE "\r\n\r\n", 'x', MESSAGE_MAX, COMMIT_TOO_BIG);
	give_filled("", 'x', MESSAGE_MAX + 1, COMMIT_TOO_BIG);
	give_filled("", 'x', 20 * MESSAGE_MAX, COMMIT_TOO_BIG);
	give_filled("From: ", '(', MESSAGE_MAX - 100, COMMIT_BAD_FROM);
	give_filled("From: ", '"', MESSAGE_MAX - 100, COMMIT_BAD_FROM);
	give_filled("From: ", '<', MESSAGE_MAX - 100, COMMIT_BAD_FROM);
	give_filled("From: ", ',', MESSAGE_MAX - 100, COMMIT_BAD_FROM);
	give_filled("From: ", ' ', MESSAGE_MAX - 100, COMMIT_BAD_FROM);
	give_filled("From: ", '@', MESSAGE_MAX - 100, COMMIT_BAD_FROM);
	give_filled("From: ", ':', MESSAGE_MAX - 100, COMMIT_BAD_FROM);
	give_filled("From: ", '\\', MESSAGE_MAX - 100, COMMIT_BAD_FROM);
	give_filled("From: a@b", ',', MESSAGE_MAX - 100, COMMIT_SENDER_NOT_ALLOWED);
	give_filled("From: <" BOB ">", ')', MESSAGE_MAX - 100, COMMIT_BAD_FROM);
}

static void
many_from(void)
{
	static char octets[8192] = "From: " ALICE;
	struct session s;

	for (int i = 0; i < 40; i++)
		strncat(octets, ",\r\n " ALICE, sizeof(octets) - strlen(octets) - 1);
	strncat(octets, ",\r\n " BOB "\r\n\r\nx\r\n", sizeof(octets) - strlen(octets) - 1);
	open_approved(&s);
	check(give(&s, s.t, octets, strlen(octets)) == COMMIT_SENDER_NOT_ALLOWED, "42 addresses, one of bob's");
	session_close(&s);
}

/* Lines of the envelope are message in a message; test_attack.py reads it back. */
static void
envelope_lines(void)
{
	static const char lines[] =
	    "Postern-Spool: v=1; size=00000000000000000001; sha256=00\r\nPostern-Account: " BOB "\r\n"
	    "Postern-Sender: <" BOB ">\r\nPostern-Recipient: <evil@example.net>\r\nPostern-End: envelope\r\n"
	    "From: " ALICE
	    "\r\nSubject: envelope-lines\r\n\r\nPostern-Recipient: <evil@example.net>\r\nPostern-End: envelope\r\n";
	struct session s;

	session_open(&s, ALICE);
	check(approve(&s, ALICE, "envelope-lines@example.net") && give(&s, s.t, LIT(lines)) == COMMIT_STORED,
	    "it is refused");
	rig.stored++;
	session_close(&s);
}

static void
never_reading(void)
{
	struct session s;
	unsigned sent = 0;

	session_open(&s, ALICE);
	ipc_put_transaction(begin(), IPC_OUTCOME, 1);
	while (sent < 20000 && ipc_send(s.spool, &out, NULL, 0, true) == ERR_OK)
		sent++;
	expect_ended_after_answers(s.spool, "OUTCOME without reading answers");
	session_close(&s);
}

/* Messages that nobody ends, beside each other; then their workers go. */
static void
unfinished(void)
{
	static char octets[IPC_DATA_MAX];
	struct session s[40];
	int verdict;

	memset(octets, 'x', sizeof(octets));
	for (size_t i = 0; i < COUNT(s); i++) {
		open_message(&s[i]);
		for (int n = 0; n < (int)(i % 3); n++)
			tell_data(&s[i], octets, sizeof(octets));
	}
	verdict = approve(&rig.witness, BOB, "rcpt@example.net") ?
	    give(&rig.witness, rig.witness.t, LIT("From: " BOB "\r\n\r\nx\r\n")) : ENDED;
	check(verdict == COMMIT_STORED, "the witness gets %d beside them", verdict);
	rig.stored++;
	for (size_t i = 0; i < COUNT(s); i++)
		session_close(&s[i]);
}

/* COMMIT and away: it was given over whole, so it is stored, once. */
static void
commit_and_away(void)
{
	struct session s;

	for (int i = 0; i < 10; i++) {
		open_message(&s);
		tell_commit(&s, s.t, TEXT_LEN);
		io_close(&s.spool);
		expect_stored("given over whole");
		session_close(&s);
	}
}

void
attack_spool(void)
{
	act("spool.unapproved", unapproved);
	act("spool.late_recipient", late_recipient);
	act("spool.out_of_order", out_of_order);
	act("spool.wrong_commit", wrong_commit);
	act("spool.two_commits", two_commits);
	act("spool.outcomes", outcomes);
	act("spool.every_kind", every_kind);
	act("spool.sizes", sizes);
	act("spool.bad_messages", bad_messages);
	act("spool.big_messages", big_messages);
	act("spool.many_from", many_from);
	act("spool.envelope_lines", envelope_lines);
	act("spool.never_reading", never_reading);
	act("spool.unfinished", unfinished);
	act("spool.commit_and_away", commit_and_away);
}
