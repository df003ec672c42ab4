/*
 * Acts against keys: one signature a session, of a server's handshake, and of nothing else. Run by the tests.
 */
#include <string.h>

#include "err.h"
#include "rig.h"

#define PATIENCE_MS 10000

static uint8_t handshake[64 + 34 + 32];		/* a TLS 1.3 server's CertificateVerify (RFC 8446, 4.4.3) */

static void
make_handshake(const char *context)
{
	memset(handshake, ' ', 64);
	memset(handshake + 64, 0, sizeof(handshake) - 64);
	memcpy(handshake + 64, context, strlen(context));
	memset(handshake + sizeof(handshake) - 32, 0x5a, 32);
}

static void
ask(const struct session *s, unsigned key, unsigned algorithm, const void *text, size_t n)
{
	struct wire_out *w = begin();

	wire_put_u16(w, IPC_SIGN);
	wire_put_u8(w, (uint8_t)key);
	wire_put_u8(w, (uint8_t)algorithm);
	wire_put_str(w, text, n);
	send_out(s->keys);
}

/* Octets of the signature, or ENDED, SILENT. */
static int
signature(const struct session *s)
{
	struct ipc_sign_answer answer;
	struct ipc_message m;
	int err = hear(s->keys, IPC_WORKER_FROM_KEYS, &m, PATIENCE_MS);

	if (err != ERR_OK)
		return err;
	return (err = ipc_get_sign_answer(&m.body, &answer)) == ERR_OK ? (int)answer.signature_len : err;
}

static void
expect_refusal(unsigned key, unsigned algorithm, const void *text, size_t n, const char *what)
{
	struct session s;
	int len;

	session_begin(&s);
	ask(&s, key, algorithm, text, n);
	len = signature(&s);
	check(
	    len == 0 || len == ENDED, "%s, key %u, algorithm %u: a signature of %d octets", what, key, algorithm, len);
	if (len == 0)
		expect_ended(s.keys, what);
	session_close(&s);
}

static void
texts(void)
{
	static uint8_t any[2000], exchange[32 + 32 + 4 + 65];

	for (unsigned algorithm = 0; algorithm <= SIGN_ECDSA_SHA512 + 2; algorithm++) {
		memset(any, 'x', sizeof(any));
		expect_refusal(0, algorithm, any, 0, "no text");
		expect_refusal(0, algorithm, any, 32, "a digest");
		expect_refusal(0, algorithm, any, sizeof(handshake), "any text");
		expect_refusal(0, algorithm, any, IPC_SIGN_TEXT_MAX, "a long text");
		expect_refusal(0, algorithm, any, IPC_SIGN_TEXT_MAX + 1, "too long a text");
		make_handshake("TLS 1.3, client CertificateVerify");
		expect_refusal(0, algorithm, handshake, sizeof(handshake), "a client's CertificateVerify");
		make_handshake("TLS 1.3, server CertificateVerify");
		expect_refusal(0, algorithm, handshake, sizeof(handshake) - 1, "a cut CertificateVerify");
		expect_refusal(0, algorithm, handshake + 1, sizeof(handshake) - 1, "a shifted CertificateVerify");
		handshake[63] = '\t';
		expect_refusal(0, algorithm, handshake, sizeof(handshake), "another pad");
		/* ServerKeyExchange with an explicit curve, of an unknown group, with a point of another length. */
		memset(exchange, 0x11, sizeof(exchange));
		memcpy(exchange + 64, "\x01\x00\x17\x41\x04", 5);
		expect_refusal(0, algorithm, exchange, sizeof(exchange), "an explicit curve");
		memcpy(exchange + 64, "\x03\x00\x16\x41\x04", 5);
		expect_refusal(0, algorithm, exchange, sizeof(exchange), "an unknown group");
		memcpy(exchange + 64, "\x03\x00\x17\x40\x04", 5);
		expect_refusal(0, algorithm, exchange, sizeof(exchange) - 1, "a short point");
		memcpy(exchange + 64, "\x03\x00\x17\x41\x02", 5);
		expect_refusal(0, algorithm, exchange, sizeof(exchange), "a compressed point");
	}
}

static void
second_signature(void)
{
	struct session s;
	unsigned algorithm = 0;
	int len = 0;

	make_handshake("TLS 1.3, server CertificateVerify");
	/* Whichever algorithm the instance's key has. */
	for (; algorithm <= SIGN_ECDSA_SHA512 && len <= 0; algorithm++) {
		session_begin(&s);
		ask(&s, 0, algorithm, handshake, sizeof(handshake));
		if ((len = signature(&s)) <= 0)
			session_close(&s);
	}
	check(len > 0, "no handshake is signed");
	algorithm--;
	ask(&s, 0, algorithm, handshake, sizeof(handshake));
	expect_ended(s.keys, "a second signature");
	session_close(&s);
	/* Both at once. */
	session_begin(&s);
	ask(&s, 0, algorithm, handshake, sizeof(handshake));
	ask(&s, 0, algorithm, handshake, sizeof(handshake));
	len = signature(&s);
	check(len > 0 || len == ENDED, "no signature");
	if (len > 0)
		expect_ended(s.keys, "a second signature at once");
	session_close(&s);
	/* There is one key; with each other algorithm and key it stays unused. */
	for (unsigned other = 0; other < 256; other += other < 12 ? 1 : 61)
		if (other != algorithm)
			expect_refusal(0, other, handshake, sizeof(handshake), "another algorithm");
	for (unsigned key = 1; key < 256; key += key < 4 ? 1 : 84)
		expect_refusal(key, algorithm, handshake, sizeof(handshake), "another key");
}

static void
every_kind(void)
{
	struct session s;

	for (size_t i = 0; i < KINDS; i++) {
		for (unsigned nfds = 0; nfds < 4; nfds++) {
			int len;

			session_begin(&s);
			put_any(kind_at(i));
			send_octets(s.keys, out.data, out.len, nfds);
			len = kind_at(i) == IPC_SIGN && nfds == 0 ? signature(&s) : 0;
			check(len == 0, "a signature of %d octets", len);
			expect_ended(s.keys, kind_text(kind_at(i)));
			session_close(&s);
		}
	}
}

static void
sizes(void)
{
	static uint8_t frame[2 * IPC_DATAGRAM_MAX];
	struct session s;
	size_t len = 2 + 1 + 1 + 2 + sizeof(handshake);

	make_handshake("TLS 1.3, server CertificateVerify");
	for (size_t n = 0; n < sizeof(frame); n = n < len ? n + 1 : n * 2) {
		session_begin(&s);
		begin();
		wire_put_u16(&out, IPC_SIGN);
		wire_put_u8(&out, 0);
		wire_put_u8(&out, SIGN_ECDSA_SHA256);
		wire_put_str(&out, handshake, sizeof(handshake));
		memcpy(frame, out.data, out.len);
		if (n != len) {
			check(send_octets(s.keys, frame, n, 0), "%zu octets are not sent", n);
			expect_ended(s.keys, "a cut or long SIGN");
		}
		session_close(&s);
	}
	session_begin(&s);
	send_octets(s.keys, frame, len, 253);
	expect_ended(s.keys, "a SIGN with descriptors");
	session_close(&s);
	/* Asked and gone. */
	for (int i = 0; i < 100; i++) {
		session_begin(&s);
		send_octets(s.keys, frame, len, 0);
		session_close(&s);
	}
}

void
attack_keys(void)
{
	act("keys.texts", texts);
	act("keys.second_signature", second_signature);
	act("keys.every_kind", every_kind);
	act("keys.sizes", sizes);
}
