/*
 * SASL (RFC 4954), seen from the client: SCRAM-SHA-256, SCRAM-SHA-1 (RFC 5802, RFC 7677), PLAIN (RFC 4616), LOGIN. Run by session
 * processes. Invariant: without TLS a password leaves only towards this very machine, and only when the route says `tls = none`; not
 * even a proof made of it goes to a server that should have offered TLS and did not.
 */
#include <stdio.h>
#include <string.h>
#include <openssl/rand.h>

#include "base64.h"
#include "err.h"
#include "mem.h"
#include "scram.h"
#include "session.h"
#include "str.h"

#define LOGIN_MS 120000
#define NONCE_OCTETS 18
#define TEXT_MAX 1400	/* a message of SASL, in base64 */

static unsigned
usable(const struct session *s)
{
	unsigned all = s->capability.mechanisms;

	if (s->stream.tls != NULL)
		return all;
	if (s->facts->tls != ROUTE_TLS_NONE)
		return 0;
	return s->facts->is_near ? all : all & (LOGIN_MECHANISM_SCRAM_SHA_1 | LOGIN_MECHANISM_SCRAM_SHA_256);
}

/* Sends octets in base64 behind a word (or alone, word ""), and reads the answer. */
static int
say(struct session *s, const char *word, const void *p, size_t n)
{
	char text[TEXT_MAX];
	int err;

	if (BASE64_ENCODED(n) >= sizeof(text))
		return ERR_TOOBIG;
	base64_encode(text, p, n);
	err = session_ask(s, LOGIN_MS, "%s%s\r\n", word, text);
	mem_wipe(text, sizeof(text));
	return err;
}

/* The challenge of a 334. ERR_SYNTAX. */
static int
hear(const struct session *s, char to[SCRAM_TEXT], size_t *n)
{
	size_t len = strlen(s->reply.text);

	if (s->reply.code != 334 || len / 4 * 3 >= SCRAM_TEXT || base64_decode((uint8_t *)to, n, s->reply.text, len) != ERR_OK)
		return ERR_SYNTAX;
	return ERR_OK;
}

static int
run_plain(struct session *s)
{
	char text[sizeof(s->facts->user) + sizeof(s->facts->secret) + 4];
	size_t user = strlen(s->facts->user), secret = strlen(s->facts->secret);
	int err;

	text[0] = 0;
	memcpy(text + 1, s->facts->user, user + 1);
	memcpy(text + user + 2, s->facts->secret, secret);
	err = say(s, "AUTH PLAIN ", text, user + secret + 2);
	mem_wipe(text, sizeof(text));
	return err;
}

static int
run_login(struct session *s)
{
	int err;

	if ((err = session_ask(s, LOGIN_MS, "AUTH LOGIN\r\n")) != ERR_OK || s->reply.code != 334 ||
	    (err = say(s, "", s->facts->user, strlen(s->facts->user))) != ERR_OK || s->reply.code != 334)
		return err;
	return say(s, "", s->facts->secret, strlen(s->facts->secret));
}

static int
make_nonce(char *to, size_t size)
{
	uint8_t octets[NONCE_OCTETS];

	if (size < BASE64_ENCODED(NONCE_OCTETS) + 1 || RAND_bytes(octets, sizeof(octets)) != 1)
		return ERR_SYSTEM;
	base64_encode(to, octets, sizeof(octets));
	return ERR_OK;
}

/* ERR_DENIED: the server could not prove itself, or asked for what is not safe. */
static int
run_scram(struct session *s, bool is_sha256)
{
	char text[SCRAM_TEXT], heard[SCRAM_TEXT], nonce[64];
	struct scram scram;
	size_t n;
	int err;

	if ((err = make_nonce(nonce, sizeof(nonce))) != ERR_OK ||
	    (err = scram_first(&scram, is_sha256, s->facts->user, nonce, text)) != ERR_OK ||
	    (err = say(s, is_sha256 ? "AUTH SCRAM-SHA-256 " : "AUTH SCRAM-SHA-1 ", text, strlen(text))) != ERR_OK ||
	    s->reply.code != 334)
		return err;
	if ((err = hear(s, heard, &n)) == ERR_OK &&
	    (err = scram_final(&scram, heard, n, s->facts->secret, text)) == ERR_OK &&
	    (err = say(s, "", text, strlen(text))) == ERR_OK && s->reply.code == 334) {
		/* Its proof, and an empty line back. A server that skips it has not shown that it knows the password. */
		if ((err = hear(s, heard, &n)) == ERR_OK && (err = scram_verify(&scram, heard, n)) == ERR_OK)
			err = session_ask(s, LOGIN_MS, "\r\n");
	} else if (err == ERR_OK && s->reply.code / 100 == 2) {
		err = ERR_DENIED;
	}
	mem_wipe(&scram, sizeof(scram));
	return err;
}

bool
login_run(struct session *s, struct ipc_outcome_of *o)
{
	unsigned can = usable(s);
	int err;

	if (can == 0) {
		outcome_set(o, DELIVERY_DEFERRED, DELIVERY_LOGIN, "4.7.0", s->capability.mechanisms == 0 ?
		    "%s offers no way to log in that is known here" : "%s offers a login only without TLS: the password was not sent",
		    s->facts->host);
		return false;
	}
	if ((can & LOGIN_MECHANISM_SCRAM_SHA_256) != 0)
		err = run_scram(s, true);
	else if ((can & LOGIN_MECHANISM_SCRAM_SHA_1) != 0)
		err = run_scram(s, false);
	else if ((can & LOGIN_MECHANISM_PLAIN) != 0)
		err = run_plain(s);
	else
		err = run_login(s);
	if (err == ERR_OK && s->reply.code == 235)
		return true;
	if (err == ERR_DENIED) {
		outcome_set(o, DELIVERY_DEFERRED, DELIVERY_LOGIN, "4.7.0", "%s did not prove that it knows the password, or wanted a "
		    "proof that is not safe", s->facts->host);
		s->is_over = true;
	} else if (err != ERR_OK) {
		outcome_from_error(s, o, DELIVERY_LOGIN, err);
	} else {
		/* A wrong password is the admin's to mend: the mail waits. */
		outcome_from_reply(s, o, DELIVERY_LOGIN);
		o->verdict = DELIVERY_DEFERRED;
	}
	return false;
}
