/*
 * The beginning and the end of a session: greeting, EHLO, STARTTLS, login; QUIT. Run by session processes. Invariant: a route that
 * wants TLS never carries anything in the clear, and what was heard before TLS is forgotten behind it (RFC 3207, 4.2).
 */
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "io.h"
#include "session.h"
#include "str.h"
#include "tls.h"

/* RFC 5321, 4.5.3.2. */
#define GREETING_MS 300000
#define HELLO_MS 300000
#define TLS_MS 300000
#define QUIT_MS 2000

struct hearing {
	struct capability	*capability;
	bool			 is_first;
};

static void
hear(void *owner, const char *text, size_t len)
{
	struct hearing *h = owner;

	if (!h->is_first)
		capability_hear(h->capability, text, len);
	h->is_first = false;
}

/* EHLO, else HELO; LHLO has no other (RFC 2033, 4.1). */
static bool
say_hello(struct session *s, struct ipc_outcome_of *o)
{
	struct hearing h = { .capability = &s->capability, .is_first = true };
	uint64_t deadline = session_deadline(s, HELLO_MS);
	int err;

	s->capability = (struct capability){ .size = false };
	if ((err = stream_put_fmt(&s->stream, deadline, "%s %s\r\n", s->facts->kind == ROUTE_LMTP ? "LHLO" : "EHLO",
	    s->facts->hostname)) == ERR_OK && (err = stream_flush(&s->stream, deadline)) == ERR_OK) {
		s->reply.heard = hear;
		s->reply.owner = &h;
		err = session_read_reply(s, HELLO_MS);
		s->reply.heard = NULL;
	}
	if (err == ERR_OK && s->reply.code / 100 == 5 && s->facts->kind != ROUTE_LMTP) {
		s->capability = (struct capability){ .size = false };
		err = session_ask(s, HELLO_MS, "HELO %s\r\n", s->facts->hostname);
	}
	if (err != ERR_OK) {
		outcome_from_error(s, o, DELIVERY_HELLO, err);
		return false;
	}
	if (s->reply.code / 100 == 2)
		return true;
	outcome_from_reply(s, o, DELIVERY_HELLO);
	return false;
}

static bool
shake_hands(struct session *s, struct ipc_outcome_of *o)
{
	char address[NETADDR_TEXT], why[256];
	const struct tls_wish wish = {
		.policy = s->facts->tls, .is_address = s->facts->is_address,
		.host = s->facts->address.family == 0 ? "" : s->facts->is_address ? netaddr_put_host(address, &s->facts->address) :
		    s->facts->host,
	};
	int err;

	err = tls_handshake(&s->stream.tls, s->facts->client, s->stream.fd, &wish, session_deadline(s, TLS_MS), why, sizeof(why));
	if (err == ERR_OK) {
		tls_put_text(s->tls_text, sizeof(s->tls_text), s->stream.tls);
		return true;
	}
	s->is_over = s->is_lost = true;
	outcome_set(o, DELIVERY_DEFERRED, DELIVERY_TLS, err == ERR_DENIED ? "4.7.5" : "4.7.0", "%s: %s", s->facts->host, why);
	return false;
}

/* True: with TLS now, or in the clear where the route lets it. */
static bool
start_tls(struct session *s, struct ipc_outcome_of *o)
{
	bool must = s->facts->tls >= ROUTE_TLS_REQUIRED;
	int err;

	if (!s->capability.starttls || s->facts->is_clear) {
		if (must)
			outcome_set(o, DELIVERY_DEFERRED, DELIVERY_TLS, "4.7.10", "%s does not offer STARTTLS, and the route wants TLS",
			    s->facts->host);
		else if (s->facts->is_clear)
			str_fmt(s->tls_text, sizeof(s->tls_text), "none, after its handshake failed");
		return !must;
	}
	if ((err = session_ask(s, HELLO_MS, "STARTTLS\r\n")) != ERR_OK) {
		outcome_from_error(s, o, DELIVERY_TLS, err);
		return false;
	}
	if (s->reply.code != 220) {
		outcome_from_reply(s, o, DELIVERY_TLS);
		if (must || s->is_over) {
			/* It is the server's trouble, not the recipients'. */
			o->verdict = DELIVERY_DEFERRED;
			return false;
		}
		str_fmt(s->tls_text, sizeof(s->tls_text), "none, STARTTLS was answered %u", s->reply.code);
		return true;
	}
	/* What stands behind the reply came in the clear, from anybody. */
	stream_discard(&s->stream);
	return shake_hands(s, o) && say_hello(s, o);
}

bool
hello_open(struct session *s, struct ipc_outcome_of *o)
{
	int err;

	if (s->facts->kind == ROUTE_SMTPS && !shake_hands(s, o))
		return false;
	if ((err = session_read_reply(s, GREETING_MS)) != ERR_OK) {
		outcome_from_error(s, o, DELIVERY_GREETING, err);
		return false;
	}
	if (s->reply.code != 220) {
		outcome_from_reply(s, o, DELIVERY_GREETING);
		if (o->verdict == DELIVERY_DELIVERED)
			o->verdict = DELIVERY_DEFERRED;
		return false;
	}
	if (!say_hello(s, o))
		return false;
	if (s->facts->tls != ROUTE_TLS_NONE && s->stream.tls == NULL && !start_tls(s, o))
		return false;
	return s->facts->user[0] == 0 || login_run(s, o);
}

void
hello_quit(struct session *s)
{
	uint64_t deadline = io_now_ms() + QUIT_MS;

	if (!s->is_lost && stream_put(&s->stream, "QUIT\r\n", 6, deadline) == ERR_OK &&
	    stream_flush(&s->stream, deadline) == ERR_OK) {
		/* Its answer is not looked at; but to close before it has come would end in a reset. */
		s->stream.wish = STREAM_ORPHAN;
		stream_discard(&s->stream);
		(void)stream_fill(&s->stream, deadline);
	}
	stream_close(&s->stream);
}
