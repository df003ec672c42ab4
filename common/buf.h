#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stddef.h>
#include <stdint.h>

/*
 * A growable buffer with a bound. Zero-initialise with buf_init(); data is owned by the buffer
 * and is not NUL-terminated unless buf_put_nul() was the last call.
 */
struct buf {
	uint8_t	*data;
	size_t	 len;	/* octets in use */
	size_t	 size;	/* octets allocated */
	size_t	 max;	/* octets it may grow to */
};

void	buf_init(struct buf *b, size_t max);

/* Append. ERR_TOOBIG when it would pass max, ERR_NOMEM; on error the buffer is unchanged. */
int	buf_put(struct buf *b, const void *p, size_t n);
int	buf_put_str(struct buf *b, const char *s);
int	buf_put_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts a NUL behind the content without counting it in len. ERR_TOOBIG, ERR_NOMEM. */
int	buf_put_nul(struct buf *b);

/* Makes room for n more octets at data + len. ERR_TOOBIG, ERR_NOMEM. */
int	buf_reserve(struct buf *b, size_t n);

/* Removes the first n octets (n <= len). */
void	buf_drop(struct buf *b, size_t n);

/* Empties, keeping the memory; frees; wipes and frees. */
void	buf_reset(struct buf *b);
void	buf_free(struct buf *b);
void	buf_wipe(struct buf *b);

#endif
