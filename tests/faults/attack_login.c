/*
 * Acts against auth before anybody has logged in: no sender, no recipient, no way to the spool may be had. Run by the
 * tests.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "rig.h"

static void
every_kind(void)
{
	struct session s;

	for (size_t i = 0; i < KINDS; i++) {
		for (unsigned nfds = 0; nfds < 3; nfds++) {
			if (kind_at(i) == IPC_LOGIN && nfds == 0)
				continue;
			session_begin(&s);
			put_any(kind_at(i));
			send_octets(s.auth, out.data, out.len, nfds);
			expect_ended(s.auth, kind_text(kind_at(i)));
			session_close(&s);
		}
	}
}

static void
put_login(const char *authzid, const void *user, size_t n, const void *password, size_t m)
{
	struct wire_out *w = begin();

	wire_put_u16(w, IPC_LOGIN);
	wire_put_u8(w, MECHANISM_PLAIN);
	wire_put_str(w, authzid, strlen(authzid));
	wire_put_str(w, user, n);
	wire_put_str(w, password, m);
}

/* Every kind again while a password is being checked; a second login, a right one, too. */
static void
while_checked(void)
{
	struct session s;

	for (size_t i = 0; i < KINDS; i++) {
		session_begin(&s);
		put_login("", LIT(BOB), LIT("wrong"));
		send_out(s.auth);
		put_any(kind_at(i));
		send_out(s.auth);
		expect_ended(s.auth, kind_text(kind_at(i)));
		session_close(&s);
	}
}

static void
flood(void)
{
	struct session s;

	session_begin(&s);
	put_login("", LIT(ALICE), LIT("wrong"));
	for (int i = 0; i < 300; i++)
		send_out(s.auth);
	expect_ended(s.auth, "300 logins");
	session_close(&s);
	/* Many sessions, a login each, all left alone. */
	for (int i = 0; i < 300; i++) {
		session_begin(&s);
		put_login("", LIT(ALICE), LIT("wrong"));
		send_out(s.auth);
		session_close(&s);
	}
}

static void
descriptors(void)
{
	static const unsigned numbers[] = { 1, 2, 3, 4, 16, 253 };
	struct session s;

	for (size_t i = 0; i < COUNT(numbers); i++) {
		session_begin(&s);
		put_any(IPC_LOGIN);
		check(send_octets(s.auth, out.data, out.len, numbers[i]), "%u descriptors are not sent", numbers[i]);
		expect_ended(s.auth, "a login with descriptors");
		session_close(&s);
		session_begin(&s);
		send_octets(s.auth, "", 0, numbers[i]);
		expect_ended(s.auth, "nothing but descriptors");
		session_close(&s);
	}
}

static void
sizes(void)
{
	static uint8_t huge[IPC_DATAGRAM_MAX * 2];
	struct session s;
	size_t len;

	put_any(IPC_LOGIN);
	len = out.len;
	memcpy(huge, out.data, len);
	for (size_t n = 0; n < len; n++) {
		session_begin(&s);
		send_octets(s.auth, huge, n, 0);
		expect_ended(s.auth, "a cut login");
		session_close(&s);
	}
	for (size_t n = len + 1; n <= sizeof(huge); n = n < 64 * 1024 ? n * 3 : sizeof(huge) + (n == sizeof(huge))) {
		session_begin(&s);
		check(send_octets(s.auth, huge, n, 0), "%zu octets are not sent", n);
		expect_ended(s.auth, "a long login");
		session_close(&s);
	}
}

/* Logins that must fail in good order, all at once. */
static void
wrong(void)
{
	static const struct {
		const char	*authzid;
		const char	*user;
		size_t		 user_len;
		const char	*password;	/* NULL: the right one, with more octets behind */
		size_t		 more;
	} logins[] = {
		{ "", LIT(""), "", 0 }, { "", LIT(ALICE), "", 0 }, { "", LIT(""), NULL, 0 },
		{ BOB, LIT(ALICE), NULL, 0 }, { "nobody", LIT(ALICE), NULL, 0 }, { " " ALICE, LIT(ALICE), NULL, 0 },
		{ "", LIT(ALICE "\0"), NULL, 0 }, { "", LIT(ALICE), NULL, 1 }, { "", LIT(ALICE "\0" BOB), NULL, 0 },
		{ "", LIT("alice@example.or"), NULL, 0 }, { "", LIT(" " ALICE), NULL, 0 },
		{ "", LIT(ALICE " "), NULL, 0 },
		{ "", LIT("%"), NULL, 0 }, { "", LIT("' OR 1=1 --"), NULL, 0 },
		{ "", LIT("alice_example.org"), NULL, 0 },
		{ "", LIT("x\ntime=0 level=alarm event=injected\r\n"), NULL, 0 },
		{ "", LIT("\xff\xfe\x1b[2J"), NULL, 0 },
	};
	static const char long_password[IPC_CREDENTIAL_MAX + 1] = "x";
	struct session s[COUNT(logins)];
	char password[80];

	for (size_t i = 0; i < COUNT(logins); i++) {
		memset(password, 0, sizeof(password));
		snprintf(
		    password, sizeof(password), "%s", logins[i].password != NULL ? logins[i].password : rig.password);
		session_begin(&s[i]);
		put_login(
		    logins[i].authzid, logins[i].user, logins[i].user_len, password, strlen(password) + logins[i].more);
		send_out(s[i].auth);
	}
	for (size_t i = 0; i < COUNT(logins); i++) {
		struct ipc_login_answer answer;
		struct ipc_message m;
		int err = hear(s[i].auth, IPC_WORKER_FROM_AUTH, &m, 20000);

		check(err == ERR_OK && ipc_get_login_answer(&m.body, &answer) == ERR_OK && answer.verdict != LOGIN_OK &&
		    m.nfds == 0 && answer.account == 0 && answer.name[0] == 0, "login %zu is not refused (%d)", i, err);
		session_close(&s[i]);
	}
	session_begin(&s[0]);
	put_login("", LIT(ALICE), long_password, sizeof(long_password));
	send_out(s[0].auth);
	expect_ended(s[0].auth, "a password of 12,289 octets");
	session_close(&s[0]);
}

/* What the master alone says, with a real socket or configuration attached. */
static void
as_master(void)
{
	static const char conf[] =
	    "hostname = evil.example\n[limits]\nrecipients = 10000\n[senders]\ncheck_header = off\n";
	static const enum ipc_kind says[] = { IPC_SESSION, IPC_LINK, IPC_RELOAD };
	struct session s;

	for (size_t i = 0; i < COUNT(says); i++) {
		int memory = memfd_create("conf", 0), pair[2] = { -1, -1 };
		struct ipc_message m;

		check(ipc_pair(pair) == ERR_OK && write(memory, conf, sizeof(conf) - 1) > 0, "no descriptors");
		session_begin(&s);
		put_any(says[i]);
		ipc_send(s.auth, &out, says[i] == IPC_RELOAD ? &memory : &pair[1], 1, false);
		io_close(&pair[1]);
		expect_ended(s.auth, kind_text(says[i]));
		/* The other end was closed and not taken up: nothing is granted or asked there. */
		check(says[i] == IPC_RELOAD || hear(pair[0], IPC_SPOOL_FROM_AUTH, &m, 5000) == ENDED, "%s was taken up",
		    kind_text(says[i]));
		io_close(&pair[0]);
		io_close(&memory);
		session_close(&s);
	}
}

static void
half_closed(void)
{
	static const int ways[] = { SHUT_RD, SHUT_WR, SHUT_RDWR };
	struct session s[COUNT(ways)];

	for (size_t i = 0; i < COUNT(ways); i++) {
		session_begin(&s[i]);
		put_any(IPC_LOGIN);
		send_out(s[i].auth);
		shutdown(s[i].auth, ways[i]);
		shutdown(s[i].keys, ways[i]);
	}
	for (size_t i = 0; i < COUNT(ways); i++)
		session_close(&s[i]);
}

/* As if there were nobody to be asked for a password. */
static void
as_local(void)
{
	struct ipc_login m = { .mechanism = MECHANISM_LOCAL, .user = (const uint8_t *)ALICE, .user_len = sizeof(ALICE) - 1 };
	struct session s;

	session_begin(&s);
	ipc_put_login(begin(), &m);
	send_out(s.auth);
	expect_ended(s.auth, "a local login on another listener");
	session_close(&s);
}

void
attack_before_login(void)
{
	act("login.every_kind", every_kind);
	act("login.while_checked", while_checked);
	act("login.flood", flood);
	act("login.descriptors", descriptors);
	act("login.sizes", sizes);
	act("login.wrong", wrong);
	act("login.as_master", as_master);
	act("login.half_closed", half_closed);
	act("login.as_local", as_local);
}
