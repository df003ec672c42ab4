/*
 * BDAT (RFC 3030): a chunk of the message, its size said before. Run by workers. Invariant: the octets of a chunk are never
 * read as commands: they are taken, or skipped when the chunk is refused, or the session ends.
 */
#include "command.h"

#include "err.h"
#include "io.h"
#include "session.h"
#include "str.h"

/* "SIZE" or "SIZE LAST". */
static int
parse(struct argument a, uint64_t *size, bool *last)
{
	size_t digits = 0, rest;

	while (digits < a.n && a.p[digits] != ' ' && a.p[digits] != '\t')
		digits++;
	rest = digits;
	while (rest < a.n && (a.p[rest] == ' ' || a.p[rest] == '\t'))
		rest++;
	*last = rest != a.n;
	if (*last && !str_is_equal_nocase(a.p + rest, a.n - rest, "LAST", 4))
		return ERR_SYNTAX;
	return digits > 20 ? ERR_TOOBIG : str_parse_u64(a.p, digits, INT64_MAX, size);
}

/* Where the next command begins can't be known any more. */
static enum reply_id
give_up(struct session *s, enum reply_id reply)
{
	s->ending = true;
	s->end = SESSION_DISCONNECTED;
	return reply;
}

enum reply_id
cmd_bdat_skip(struct session *s, struct argument a, enum reply_id refusal)
{
	uint64_t size;
	bool last;

	/* Who has not logged in is not read for long; to others the session goes on, as behind a message that is too big. */
	if (parse(a, &size, &last) != ERR_OK || (!s->login && size > s->conf->limits_message_size))
		return give_up(s, refusal);
	while (size != 0) {
		size_t take = conn_available(s->conn);
		int err;

		if (take == 0 && (err = conn_fill(s->conn, io_now_ms() + s->conf->limits_data_timeout, false)) != ERR_OK)
			return session_lost(s, err);
		if (take > size)
			take = (size_t)size;
		conn_consume(s->conn, take);
		size -= take;
	}
	return refusal;
}

enum reply_id
cmd_bdat(struct session *s, struct argument a)
{
	struct passage *p = &s->passage;
	enum reply_id reply;
	uint64_t size;
	bool last;
	int err;

	if (parse(a, &size, &last) != ERR_OK) {
		if (s->phase == PHASE_BDAT)
			passage_drop(s, p);
		return give_up(s, REPLY_BAD_ARGUMENT);
	}
	if (s->phase != PHASE_BDAT)
		passage_begin(s, p);
	s->phase = PHASE_BDAT;
	if ((err = passage_carry_octets(s, p, size)) != ERR_OK) {
		passage_drop(s, p);
		return session_lost(s, err);
	}
	if (last)
		body_take_end(&p->body);
	if (!last && !passage_is_refused(s, p)) {
		session_put_detail(s, "%llu", (unsigned long long)size);
		return REPLY_CHUNK_OK;
	}
	reply = passage_end(s, p);
	session_forget(s);
	return reply;
}
