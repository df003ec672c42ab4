#ifndef SPOOL_ASSEMBLY_H
#define SPOOL_ASSEMBLY_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "header.h"
#include "ipc.h"
#include "text.h"

/* What a message file is made of while the octets pass. */
struct assembly {
	uint64_t		 limit;		/* octets of the message */
	uint64_t		 taken;		/* so far, also after a fault */
	bool			 check_header;	/* addresses in From that can't be read, or are too many, are a fault */
	bool			 asks_from;	/* auth is to judge the addresses of From, whether or not it is refused for them */
	bool			 is_from_known;	/* those that it is asked about are all; the one that is put in is the sender's */
	bool			 repair_lf;	/* bare LF becomes CRLF before anything else sees it */
	bool			 repair_cr;	/* the last octets ended with a CR */
	enum commit_verdict	 fault;		/* the first one; COMMIT_STORED is none */
	struct text_screen	 screen;
	struct header		 header;
	struct header_repair	 repair;	/* its strings belong to the caller */
	char			 message_id[256];	/* without its brackets, for the trace; "" when it is longer */
	struct ipc_from		*from;		/* to be asked, when the header was complete; session and t are the caller's */
	struct buf		 repaired;	/* the octets that came last, with repair_lf */
	struct buf		 out;		/* the file's next octets */
};

/*
 * Begins a file: the placeholder of the first line, the start of the envelope, its lines, its end. `account` and `lines` are
 * checked already. A fault on an error.
 */
void	assembly_begin(struct assembly *a, const struct header_repair *repair, const char *account, const char *credential,
	    uint64_t session, uint32_t t, const struct buf *lines);

/* The next octets of the message. After a fault they are only counted. */
void	assembly_take(struct assembly *a, const uint8_t *p, size_t n);

/* The message has ended. */
void	assembly_end(struct assembly *a);

/* Notes a fault if it is the first, and frees what is of no use any more but `out`. */
void	assembly_fail(struct assembly *a, enum commit_verdict fault);

void	assembly_free(struct assembly *a);

#endif
