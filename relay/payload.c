/*
 * The octets of a message: out of the spool's file, through the guard of line ends and dots, into the connection. Run by session
 * processes. Invariant: the file is only read, in bounded pieces; a file that ends early never leads to a final dot.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "outgoing.h"
#include "session.h"
#include "str.h"

#define CHUNK (64 * 1024)
#define BLOCK_MS 180000		/* RFC 5321, 4.5.3.2.5 */

static uint8_t chunk[CHUNK];

static int
read_chunk(const struct job *j, uint64_t at, size_t *n)
{
	uint64_t left = j->deliver.sender.size - at;
	size_t want = left < CHUNK ? (size_t)left : CHUNK;

	for (*n = 0; *n < want;) {
		ssize_t got = pread(j->file_fd, chunk + *n, want - *n, (off_t)(j->deliver.offset + at + *n));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return ERR_CORRUPT;
		*n += (size_t)got;
	}
	return ERR_OK;
}

static int
put(struct session *s, struct outgoing *o, const void *p, size_t n)
{
	int err = stream_reserve(&s->stream, OUTGOING_MAX(n), session_deadline(s, BLOCK_MS));

	if (err == ERR_OK)
		s->stream.out_len += outgoing_put(o, s->stream.out + s->stream.out_len, p, n);
	return err;
}

static int
put_return_path(struct session *s, struct outgoing *o)
{
	char line[ADDR_TEXT + 32];

	str_fmt(line, sizeof(line), "Return-Path: <%s>\r\n", s->job.deliver.sender.address.text);
	return put(s, o, line, strlen(line));
}

int
payload_send(struct session *s)
{
	const struct job *j = &s->job;
	struct outgoing o;
	uint64_t at = 0;
	size_t n;
	int err = ERR_OK;

	outgoing_init(&o);
	if (s->facts->kind == ROUTE_LMTP && s->facts->return_path)
		err = put_return_path(s, &o);
	if (err == ERR_OK && j->deliver.signatures_len != 0)
		err = put(s, &o, j->signatures, j->deliver.signatures_len);
	for (; err == ERR_OK && at < j->deliver.sender.size; at += n)
		if ((err = read_chunk(j, at, &n)) == ERR_OK)
			err = put(s, &o, chunk, n);
	if (err == ERR_OK)
		err = stream_reserve(&s->stream, OUTGOING_MAX(0), session_deadline(s, BLOCK_MS));
	if (err == ERR_OK)
		s->stream.out_len += outgoing_end(&o, s->stream.out + s->stream.out_len);
	return err;
}

/* The octets up to the empty line, with its end; state is kept between pieces: how much of LF CR LF was seen. */
static size_t
header_part(size_t n, unsigned *seen, bool *is_end)
{
	for (size_t i = 0; i < n; i++) {
		if (chunk[i] == '\n') {
			if (*seen != 0) {
				*is_end = true;
				return i;
			}
			*seen = 1;
		} else if (chunk[i] != '\r') {
			*seen = 0;
		}
	}
	return n;
}

int
payload_is_8bit(const struct job *j, bool header_only, bool *is_8bit)
{
	unsigned seen = 1;
	bool is_end = false;
	size_t n, part;
	int err;

	*is_8bit = false;
	for (uint64_t at = 0; at < j->deliver.sender.size && !is_end; at += n) {
		if ((err = read_chunk(j, at, &n)) != ERR_OK)
			return err;
		part = header_only ? header_part(n, &seen, &is_end) : n;
		for (size_t i = 0; i < part; i++)
			if (chunk[i] > 127) {
				*is_8bit = true;
				return ERR_OK;
			}
	}
	return ERR_OK;
}
