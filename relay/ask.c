/*
 * Commands and their replies, the half of every dialogue. Run by session processes. Invariant: a reply is believed only when it is one,
 * and came before its deadline; what was sent is wiped, since it may have been a password.
 */
#include <stdarg.h>
#include <stdio.h>

#include "err.h"
#include "io.h"
#include "mem.h"
#include "session.h"

#define LONG_WAIT_MS 300000

/* The answer to the final dot may take twice as long as all others (RFC 5321, 4.5.3.2.6): to give up on it means a second copy. */
uint64_t
session_deadline(const struct session *s, uint64_t ms)
{
	uint64_t most = ms > LONG_WAIT_MS ? 2 * s->facts->timeout_ms : s->facts->timeout_ms;

	return io_now_ms() + (ms < most ? ms : most);
}

int
session_read_reply(struct session *s, uint64_t ms)
{
	uint64_t deadline = session_deadline(s, ms);
	size_t used;
	int err;

	remote_reply_init(&s->reply);
	for (;;) {
		err = remote_reply_feed(&s->reply, stream_data(&s->stream), stream_available(&s->stream), &used);
		stream_consume(&s->stream, used);
		if (err != ERR_SHORT || (err = stream_fill(&s->stream, deadline)) != ERR_OK)
			return err;
	}
}

int
session_ask(struct session *s, uint64_t ms, const char *fmt, ...)
{
	uint64_t deadline = session_deadline(s, ms);
	char text[2048];
	va_list ap;
	int n, err;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		return ERR_TOOBIG;
	if ((err = stream_put(&s->stream, text, (size_t)n, deadline)) == ERR_OK &&
	    (err = stream_flush(&s->stream, deadline)) == ERR_OK)
		err = session_read_reply(s, ms);
	mem_wipe(text, (size_t)n);
	return err;
}
