#ifndef RELAY_STREAM_H
#define RELAY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls;

#define STREAM_IN_MAX (16 * 1024)
#define STREAM_OUT_MAX (160 * 1024)	/* a chunk of a message, all its octets doubled, and commands */

/* What the parent, by its end of the control socket, wants. */
enum stream_wish {
	STREAM_GO_ON,
	STREAM_STOP,	/* it has closed its half: no more deliveries, what is not past its final dot is given back */
	STREAM_ORPHAN,	/* it is gone: finish what is under way */
};

/*
 * The connection to the remote server: buffered, with or without TLS, every wait bounded by a deadline (of io_now_ms()) and awake
 * to the control socket. One a process.
 */
struct stream {
	int		 fd;			/* non-blocking */
	int		 control_fd;		/* the parent's; not waited for once it has ended */
	struct tls	*tls;			/* NULL in the clear */
	enum stream_wish wish;
	bool		 is_final;		/* the final dot is being sent: a stop may no longer interrupt */
	uint64_t	 stop_ms;		/* STREAM_STOP: how long the answer to a final dot is waited for */
	/* Something to read on the control socket while the remote is waited for; other than ERR_OK: nonsense came. */
	int		(*hear_control)(void *owner);
	/* Whether what becomes of a final dot can still be told to anybody; NULL: no. */
	bool		(*is_heard)(const void *owner);
	void		*owner;
	size_t		 in_start, in_len, out_len;
	uint8_t		 in[STREAM_IN_MAX];
	uint8_t		 out[STREAM_OUT_MAX];
};

void	stream_init(struct stream *s, int fd, int control_fd);

/* Looks at the control socket without waiting, and hears what came. */
void	stream_look(struct stream *s);

/*
 * Reads at least one more octet. ERR_TIMEOUT, ERR_CLOSED, ERR_SYSTEM, ERR_BUSY: the parent wants a stop (never while is_final).
 * Sends nothing by itself. With the deadline 0 it takes what is there without waiting, and says ERR_TIMEOUT when nothing is.
 */
int	stream_fill(struct stream *s, uint64_t deadline_ms);
const uint8_t *stream_data(const struct stream *s);
size_t	stream_available(const struct stream *s);
void	stream_consume(struct stream *s, size_t n);
/* Throws away what was read but not used. */
void	stream_discard(struct stream *s);

/* Puts octets where they wait to be sent; sends first when they don't fit. Errors of stream_flush(). */
int	stream_put(struct stream *s, const void *p, size_t n, uint64_t deadline_ms);
int	stream_put_fmt(struct stream *s, uint64_t deadline_ms, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Room for n octets at the end of what waits (n at most STREAM_OUT_MAX); then out_len is the caller's to advance. */
int	stream_reserve(struct stream *s, size_t n, uint64_t deadline_ms);
/* Sends all that waits. ERR_TIMEOUT, ERR_CLOSED, ERR_SYSTEM, ERR_BUSY as above. */
int	stream_flush(struct stream *s, uint64_t deadline_ms);

/* Whether the remote has closed, or said something unasked, while nothing was expected. */
bool	stream_is_stale(struct stream *s);
void	stream_close(struct stream *s);

#endif
