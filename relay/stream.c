/*
 * The connection to the remote server. Run by session processes. Invariant: no wait is without a bound, none is deaf to the
 * parent, and nothing that is read goes anywhere but into a bounded buffer.
 */
#include "stream.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "mem.h"
#include "tls.h"

#define STOP_GRACE 10000	/* milliseconds that a final dot's answer is waited for when the parent stops */
#define STOP_MORE 1000		/* and again, as long as there is somebody to be told of it */

void
stream_init(struct stream *s, int fd, int control_fd)
{
	s->fd = fd;
	s->control_fd = control_fd;
	s->tls = NULL;
	s->wish = STREAM_GO_ON;
	s->is_final = false;
	s->stop_ms = 0;
	s->hear_control = NULL;
	s->is_heard = NULL;
	s->owner = NULL;
	s->in_start = s->in_len = s->out_len = 0;
}

/* Octets, or ERR_BUSY, ERR_CLOSED, ERR_SYSTEM. */
static ssize_t
receive(struct stream *s, void *p, size_t n)
{
	ssize_t done;

	if (s->tls != NULL)
		return tls_read(s->tls, p, n);
	do {
		done = read(s->fd, p, n);
	} while (done < 0 && errno == EINTR);
	if (done > 0)
		return done;
	if (done == 0 || errno == ECONNRESET || errno == EPIPE || errno == ETIMEDOUT)
		return ERR_CLOSED;
	return errno == EAGAIN ? ERR_BUSY : ERR_SYSTEM;
}

static ssize_t
transmit(struct stream *s, const void *p, size_t n)
{
	ssize_t done;

	if (s->tls != NULL)
		return tls_write(s->tls, p, n);
	do {
		done = write(s->fd, p, n);
	} while (done < 0 && errno == EINTR);
	if (done >= 0)
		return done;
	if (errno == EPIPE || errno == ECONNRESET || errno == ETIMEDOUT)
		return ERR_CLOSED;
	return errno == EAGAIN ? ERR_BUSY : ERR_SYSTEM;
}

/* A parent that closed its half wants a stop; one that is gone has closed both. Messages come first. */
static void
judge_control(struct stream *s, short revents)
{
	if ((revents & POLLIN) != 0 && s->hear_control != NULL && s->hear_control(s->owner) == ERR_OK)
		return;
	if ((revents & (POLLIN | POLLRDHUP | POLLHUP | POLLERR)) == 0)
		return;
	s->wish = (revents & (POLLHUP | POLLERR)) != 0 ? STREAM_ORPHAN : STREAM_STOP;
	s->stop_ms = io_now_ms() + STOP_GRACE;
}

static int
control_of(const struct stream *s)
{
	return s->wish == STREAM_GO_ON ? s->control_fd : -1;
}

void
stream_look(struct stream *s)
{
	struct pollfd p = { .fd = control_of(s), .events = POLLIN | POLLRDHUP };

	while (p.fd >= 0 && poll(&p, 1, 0) == 1) {
		judge_control(s, p.revents);
		p.fd = control_of(s);
	}
}

static bool
must_stop(const struct stream *s)
{
	return s->wish == STREAM_STOP && !s->is_final;
}

static int
wait_for(struct stream *s, short events, uint64_t deadline_ms)
{
	for (;;) {
		struct pollfd fds[2] = {
			{ .fd = s->fd, .events = events },
			{ .fd = control_of(s), .events = POLLIN | POLLRDHUP },
		};
		uint64_t now = io_now_ms(), until = deadline_ms;
		int n;

		if (must_stop(s))
			return ERR_BUSY;
		/* A relay that was replaced leaves a spool that listens: to give up on the answer would mean a second copy. */
		if (s->wish == STREAM_STOP && now >= s->stop_ms && s->is_heard != NULL && s->is_heard(s->owner))
			s->stop_ms = now + STOP_MORE;
		if (s->wish == STREAM_STOP && s->stop_ms < until)
			until = s->stop_ms;
		if (now >= until)
			return ERR_TIMEOUT;
		n = poll(fds, 2, until - now > INT_MAX ? INT_MAX : (int)(until - now));
		if (n < 0 && errno != EINTR)
			return ERR_SYSTEM;
		if (n <= 0)
			continue;
		if (fds[1].revents != 0)
			judge_control(s, fds[1].revents);
		if (fds[0].revents != 0)
			return must_stop(s) ? ERR_BUSY : ERR_OK;
	}
}

int
stream_fill(struct stream *s, uint64_t deadline_ms)
{
	size_t end;
	int err;

	if (s->in_len == 0)
		s->in_start = 0;
	if (s->in_start != 0 && s->in_start + s->in_len == sizeof(s->in)) {
		memmove(s->in, s->in + s->in_start, s->in_len);
		s->in_start = 0;
	}
	end = s->in_start + s->in_len;
	if (end == sizeof(s->in))
		return ERR_TOOBIG;
	/* An answer is hardly ever there at once: to wait first saves a call. */
	if (deadline_ms != 0 && (s->tls == NULL || !tls_is_pending(s->tls)) && (err = wait_for(s, POLLIN, deadline_ms)) != ERR_OK)
		return err;
	for (;;) {
		ssize_t n = receive(s, s->in + end, sizeof(s->in) - end);

		if (n > 0) {
			s->in_len += (size_t)n;
			return ERR_OK;
		}
		if (n != ERR_BUSY)
			return (int)n;
		if ((err = wait_for(s, s->tls != NULL ? tls_events(s->tls) : POLLIN, deadline_ms)) != ERR_OK)
			return err;
	}
}

const uint8_t *
stream_data(const struct stream *s)
{
	return s->in + s->in_start;
}

size_t
stream_available(const struct stream *s)
{
	return s->in_len;
}

void
stream_consume(struct stream *s, size_t n)
{
	s->in_start += n;
	s->in_len -= n;
}

void
stream_discard(struct stream *s)
{
	s->in_start = s->in_len = 0;
}

int
stream_flush(struct stream *s, uint64_t deadline_ms)
{
	size_t sent = 0;
	int err = ERR_OK;

	while (sent < s->out_len && err == ERR_OK) {
		ssize_t n = transmit(s, s->out + sent, s->out_len - sent);

		if (n > 0)
			sent += (size_t)n;
		else if (n != ERR_BUSY)
			err = n == 0 ? ERR_CLOSED : (int)n;
		else
			err = wait_for(s, s->tls != NULL ? tls_events(s->tls) : POLLOUT, deadline_ms);
	}
	s->out_len = 0;
	return err;
}

int
stream_reserve(struct stream *s, size_t n, uint64_t deadline_ms)
{
	if (n > sizeof(s->out))
		return ERR_TOOBIG;
	return n > sizeof(s->out) - s->out_len ? stream_flush(s, deadline_ms) : ERR_OK;
}

int
stream_put(struct stream *s, const void *p, size_t n, uint64_t deadline_ms)
{
	int err = stream_reserve(s, n, deadline_ms);

	if (err == ERR_OK) {
		memcpy(s->out + s->out_len, p, n);
		s->out_len += n;
	}
	return err;
}

int
stream_put_fmt(struct stream *s, uint64_t deadline_ms, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	int n, err;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err = n < 0 || (size_t)n >= sizeof(text) ? ERR_TOOBIG : stream_put(s, text, (size_t)n, deadline_ms);
	mem_wipe(text, sizeof(text));
	return err;
}

bool
stream_is_stale(struct stream *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN | POLLRDHUP };

	return s->in_len != 0 || (s->tls != NULL && tls_is_pending(s->tls)) || poll(&p, 1, 0) != 0;
}

void
stream_close(struct stream *s)
{
	if (s->tls != NULL)
		tls_close(s->tls);
	s->tls = NULL;
	io_close(&s->fd);
}
