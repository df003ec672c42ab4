#ifndef WORKER_CONN_H
#define WORKER_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reply.h"

struct tls;

#define CONN_IN_MAX (64 * 1024)
#define CONN_OUT_MAX (8 * 1024)
#define CONN_SHUTDOWN_GRACE 5000	/* milliseconds that a message under way has when the master ends */

/*
 * The client's connection: buffered, with or without TLS, every wait bounded by a deadline, and aware of the
 * master's end. One a process; its buffers are touched only as far as they are used.
 */
struct conn {
	int		 fd;		/* non-blocking */
	int		 master_fd;	/* its end means: finish what is under way */
	struct tls	*tls;		/* NULL in the clear */
	bool		 stopping;	/* the master has ended or wants us to */
	uint64_t	 stop_ms;	/* when it was noticed */
	bool		 resting;	/* memory was given back since the client last said something */
	size_t		 in_start, in_len;	/* octets in in[] that are not read yet */
	size_t		 out_len;
	uint8_t		 in[CONN_IN_MAX];
	char		 out[CONN_OUT_MAX];
};

void	conn_init(struct conn *c, int fd, int master_fd);

/*
 * Reads at least one more octet behind those in the buffer, sending what waits to be sent first. Waits until deadline_ms (of
 * io_now_ms()). ERR_TIMEOUT, ERR_CLOSED, ERR_SYSTEM, ERR_TOOBIG when the buffer is full, and ERR_BUSY when the
 * master ended while nothing came and `idle` is set (a command is awaited, no message is under way).
 */
int	conn_fill(struct conn *c, uint64_t deadline_ms, bool idle);

/* Sends everything that waits. ERR_TIMEOUT, ERR_CLOSED, ERR_SYSTEM. */
int	conn_flush(struct conn *c, uint64_t deadline_ms);

/* Puts octets where they wait to be sent; sends first when they don't fit. Errors of conn_flush(). */
int	conn_put(struct conn *c, const char *p, size_t n, uint64_t deadline_ms);

/*
 * The next line without its end, in the buffer (valid until the next fill): *line, *len. Octets that dribble in don't extend
 * the deadline. ERR_TOOBIG after a line over max octets was read to its end and dropped; errors of conn_fill().
 */
int	conn_read_line(struct conn *c, size_t max, uint64_t deadline_ms, uint8_t **line, size_t *len);

/* Octets not read yet. */
const uint8_t *conn_data(const struct conn *c);
size_t	conn_available(const struct conn *c);
void	conn_consume(struct conn *c, size_t n);

/*
 * Ends the connection so that the last reply arrives: closes our direction, then reads and drops what the client still
 * sends, for a second and a bounded number of octets; closing with octets unread would reset the connection.
 */
void	conn_linger(struct conn *c);

/* Throws away what was read but not used (before a TLS handshake: RFC 3207, section 4.2). */
void	conn_discard(struct conn *c);

#endif
