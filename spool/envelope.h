#ifndef SPOOL_ENVELOPE_H
#define SPOOL_ENVELOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "ipc.h"

#define ENVELOPE_RECIPIENTS_MAX 10000	/* as limits.recipients can be set at most */

/* The envelope that auth is telling for one session, kept as the lines of the message file. Zero-initialise. */
struct envelope {
	bool		is_pending;	/* there is one */
	bool		is_broken;	/* over a bound, or with octets that can't stand in the file */
	bool		check_header, repair_lf, smtputf8;
	uint32_t	t;
	uint32_t	nrecipients;
	uint64_t	message_size;	/* its limit */
	char		sender[ADDR_TEXT];
	struct buf	lines;		/* Postern-Sender, -Options, -Recipient */
	struct buf	addresses;	/* the recipients', each with a NUL; for the trace */
};

/* Begins a new one, dropping an older one. */
void	envelope_begin(struct envelope *e, const struct ipc_envelope_sender *m);
void	envelope_add(struct envelope *e, const struct ipc_recipient *r);
void	envelope_drop(struct envelope *e);

#endif
