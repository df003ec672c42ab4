/*
 * The client's connection: blocking reads and writes with a deadline over a non-blocking socket. Run by workers.
 * Invariant: no wait is without a bound, and the master's end is noticed in every wait.
 */
#include "conn.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "line.h"
#include "mem.h"
#include "tls.h"

#define REST_MS 1000	/* a client that says nothing for so long may do so for much longer */
#define LINGER_MS 1000
#define LINGER_OCTETS (1024 * 1024)

void
conn_init(struct conn *c, int fd, int master_fd)
{
	c->fd = fd;
	c->master_fd = master_fd;
	c->tls = NULL;
	c->stopping = c->resting = false;
	c->stop_ms = 0;
	c->in_start = c->in_len = c->out_len = 0;
}

/* Octets, or ERR_BUSY, ERR_CLOSED, ERR_SYSTEM. */
static ssize_t
receive(struct conn *c, void *p, size_t n)
{
	ssize_t done;

	if (c->tls != NULL)
		return tls_read(c->tls, p, n);
	do {
		done = read(c->fd, p, n);
	} while (done < 0 && errno == EINTR);
	if (done > 0)
		return done;
	if (done == 0 || errno == ECONNRESET || errno == EPIPE || errno == ETIMEDOUT)
		return ERR_CLOSED;
	return errno == EAGAIN ? ERR_BUSY : ERR_SYSTEM;
}

static ssize_t
transmit(struct conn *c, const void *p, size_t n)
{
	ssize_t done;

	if (c->tls != NULL)
		return tls_write(c->tls, p, n);
	do {
		done = write(c->fd, p, n);
	} while (done < 0 && errno == EINTR);
	if (done >= 0)
		return done;
	if (errno == EPIPE || errno == ECONNRESET || errno == ETIMEDOUT)
		return ERR_CLOSED;
	return errno == EAGAIN ? ERR_BUSY : ERR_SYSTEM;
}

/* Once the master has ended, nothing waits longer than the grace time. */
static uint64_t
bounded(const struct conn *c, uint64_t deadline_ms)
{
	uint64_t stop = c->stop_ms + CONN_SHUTDOWN_GRACE;

	return c->stopping && stop < deadline_ms ? stop : deadline_ms;
}

static int
wait_for(struct conn *c, short events, uint64_t deadline_ms, bool idle)
{
	for (;;) {
		struct pollfd fds[2] = {
			{ .fd = c->fd, .events = events },
			{ .fd = c->stopping ? -1 : c->master_fd, .events = POLLIN },
		};
		uint64_t now = io_now_ms(), until = bounded(c, deadline_ms), most = c->resting ? INT_MAX : REST_MS;
		int n;

		if (c->stopping && idle)
			return ERR_BUSY;
		if (now >= until)
			return ERR_TIMEOUT;
		n = poll(fds, 2, (int)(until - now > most ? most : until - now));
		if (n < 0 && errno != EINTR)
			return ERR_SYSTEM;
		if (n == 0 && !c->resting) {
			/* What a handshake or a message needed goes back to the system; sessions in a hurry never pay for it. */
			malloc_trim(0);
			c->resting = true;
		}
		if (n > 0 && fds[1].revents != 0) {
			c->stopping = true;
			c->stop_ms = io_now_ms();
		}
		if (n > 0 && fds[0].revents != 0)
			return ERR_OK;
	}
}

static short
wanted_events(const struct conn *c, short plain)
{
	return c->tls != NULL ? tls_events(c->tls) : plain;
}

int
conn_flush(struct conn *c, uint64_t deadline_ms)
{
	size_t sent = 0;
	int err = ERR_OK;

	while (sent < c->out_len) {
		ssize_t n = transmit(c, c->out + sent, c->out_len - sent);

		if (n > 0)
			sent += (size_t)n;
		else if (n != ERR_BUSY)
			err = n == 0 ? ERR_CLOSED : (int)n;
		else
			err = wait_for(c, wanted_events(c, POLLOUT), deadline_ms, false);
		if (err != ERR_OK)
			break;
	}
	c->out_len = 0;
	return err;
}

int
conn_put(struct conn *c, const char *p, size_t n, uint64_t deadline_ms)
{
	int err;

	if (n > sizeof(c->out))
		return ERR_TOOBIG;
	if (n > sizeof(c->out) - c->out_len && (err = conn_flush(c, deadline_ms)) != ERR_OK)
		return err;
	memcpy(c->out + c->out_len, p, n);
	c->out_len += n;
	return ERR_OK;
}

int
conn_fill(struct conn *c, uint64_t deadline_ms, bool idle)
{
	size_t end;
	int err;

	if (c->out_len != 0 && (err = conn_flush(c, deadline_ms)) != ERR_OK)
		return err;
	if (c->in_len == 0)
		c->in_start = 0;
	if (c->in_start != 0 && c->in_start + c->in_len == sizeof(c->in)) {
		memmove(c->in, c->in + c->in_start, c->in_len);
		c->in_start = 0;
	}
	end = c->in_start + c->in_len;
	if (end == sizeof(c->in))
		return ERR_TOOBIG;
	for (;;) {
		ssize_t n;

		if (c->stopping && idle)
			return ERR_BUSY;
		n = receive(c, c->in + end, sizeof(c->in) - end);
		if (n > 0) {
			c->in_len += (size_t)n;
			c->resting = false;
			return ERR_OK;
		}
		if (n != ERR_BUSY)
			return (int)n;
		if ((err = wait_for(c, wanted_events(c, POLLIN), deadline_ms, idle)) != ERR_OK)
			return err;
	}
}

const uint8_t *
conn_data(const struct conn *c)
{
	return c->in + c->in_start;
}

size_t
conn_available(const struct conn *c)
{
	return c->in_len;
}

void
conn_consume(struct conn *c, size_t n)
{
	c->in_start += n;
	c->in_len -= n;
}

void
conn_discard(struct conn *c)
{
	mem_wipe(c->in + c->in_start, c->in_len);
	c->in_start = c->in_len = 0;
}

int
conn_read_line(struct conn *c, size_t max, uint64_t deadline_ms, uint8_t **line, size_t *len)
{
	bool dropping = false;
	int err;

	for (;;) {
		size_t used;

		if (line_find(conn_data(c), c->in_len, len, &used)) {
			*line = c->in + c->in_start;
			conn_consume(c, used);
			return dropping || *len > max ? ERR_TOOBIG : ERR_OK;
		}
		if (c->in_len > max + 1) {
			dropping = true;
			conn_consume(c, c->in_len);
		}
		if (io_now_ms() >= deadline_ms)
			return ERR_TIMEOUT;
		if ((err = conn_fill(c, deadline_ms, true)) != ERR_OK)
			return err;
	}
}

void
conn_linger(struct conn *c)
{
	uint64_t deadline = io_now_ms() + LINGER_MS;

	shutdown(c->fd, SHUT_WR);
	for (size_t dropped = 0; dropped < LINGER_OCTETS;) {
		ssize_t n = read(c->fd, c->in, sizeof(c->in));

		if (n > 0)
			dropped += (size_t)n;
		else if (n == 0 || errno != EAGAIN || wait_for(c, POLLIN, deadline, true) != ERR_OK)
			return;
	}
}
