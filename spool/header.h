#ifndef SPOOL_HEADER_H
#define SPOOL_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

struct addr;

#define HEADER_MAX (256 * 1024)		/* octets of a message's header */

/*
 * A message's header, fed with chunks cut anywhere (clean octets: common/text.h). It ends with the blank line, before the first
 * line that is no field, or with the message.
 */
struct header {
	struct buf	raw;		/* the fields with their CRLFs, then the unfinished line */
	size_t		line;		/* where in raw the unfinished line starts */
	uint8_t		state;		/* of that line */
	bool		is_complete;
	/* known when it is complete */
	size_t		fields_len;	/* octets of the fields in raw; what stands behind them is body */
	unsigned	nfrom, nreceived;	/* From and Received fields */
	bool		has_date, has_message_id;
	size_t		from, from_len;	/* the value of the first From in raw */
	size_t		message_id, message_id_len;	/* and of the first Message-ID */
};

/* What is written into a header that lacks it, and into every one. */
struct header_repair {
	const char	*id;		/* queue id */
	const char	*host;
	const char	*sender;	/* "" is the null reverse-path */
	const char	*client;	/* "[192.0.2.1]", "user 1000" to be shown, or NULL */
	bool		 tls, local, smtputf8;
	uint64_t	 arrival_us;	/* microseconds since 1970 */
};

void	header_init(struct header *h);
void	header_free(struct header *h);

/*
 * Takes octets until the header is complete; *used says how many: those behind it are body. ERR_TOOBIG: over HEADER_MAX;
 * ERR_NOMEM.
 */
int	header_feed(struct header *h, const uint8_t *p, size_t n, size_t *used);

/* The message has ended: completes the header. ERR_TOOBIG, ERR_NOMEM. */
int	header_end(struct header *h);

/* The addresses of its From field (nfrom is not 0). ERR_SYNTAX, ERR_TOOBIG: more than max. */
int	header_get_from(const struct header *h, struct addr *addresses, size_t max, size_t *count);

/*
 * Appends the repaired header of a complete one: Received, the fields without Bcc and Return-Path, what was missing, a blank line, and the start
 * of the body's first line that was taken before it was known not to be a field. ERR_NOMEM, ERR_TOOBIG.
 */
int	header_put(const struct header *h, struct buf *out, const struct header_repair *r);

#endif
