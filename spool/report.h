#ifndef SPOOL_REPORT_H
#define SPOOL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spool.h"
#include "state.h"

struct buf;

/* Octets of the message, from message_offset on, that a report may need; beyond them it quotes nothing. */
#define REPORT_QUOTE_MAX (64 * 1024)

enum report_kind {
	REPORT_FAILURE,		/* will not be delivered */
	REPORT_DELAY,		/* is still being tried */
	REPORT_SUCCESS,		/* was delivered, or handed to a server that does not tell */
};

/* A report on the delivery of one message to some of its recipients (RFC 3461, 3464, 6522). Pure: the caller keeps all memory. */
struct report {
	enum report_kind	kind;
	const char		*id;		/* the queue id that the report itself will have */
	const char		*hostname;
	uint64_t		now_us;		/* microseconds since 1970 */
	const char		*to;		/* whom it goes to: the sender, or a postmaster */
	bool			is_copy;	/* for a postmaster: never with the message's body */
	const struct spool_envelope *envelope;	/* of the message that it is about */
	const struct state	*state;		/* with as many recipients as the envelope */
	const size_t		*indexes;	/* of the recipients that it is about */
	size_t			n;		/* at least one */
	uint64_t		until_us;	/* REPORT_DELAY: when it will be given up */
	const uint8_t		*message;	/* its first octets: all, or REPORT_QUOTE_MAX */
	size_t			message_len;
};

/* What the report's own envelope must ask for. */
struct report_needs {
	bool	body_8bit, smtputf8;
};

/*
 * Appends the whole message of a report, header and body, with CRLF line ends. Its sender is the null reverse-path, its one
 * recipient r->to, NOTIFY=NEVER. ERR_TOOBIG, ERR_NOMEM, from b.
 */
int	report_compose(const struct report *r, struct buf *b, struct report_needs *needs);

/* How many of a message's octets are to be given: all of a small one if the sender wants it back whole, else up to its header's. */
size_t	report_quote_size(const struct spool_envelope *e);

#endif
