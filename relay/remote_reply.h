#ifndef RELAY_REMOTE_REPLY_H
#define RELAY_REMOTE_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message_relay.h"

#define REMOTE_LINE_MAX 2000		/* octets of a line that are read at all: RFC 5321, 4.5.3.1.5 has 512 */
#define REMOTE_LINE_KEPT 512		/* octets of it that are looked at */
#define REMOTE_LINES_MAX 200		/* lines of one reply */
#define REMOTE_REPLY_OCTETS (64 * 1024)	/* octets of one reply */

/* A reply of a remote server, as far as it was fed. */
struct remote_reply {
	uint16_t	code;				/* 200 to 599; 0: no line yet */
	char		enhanced[RELAY_ENHANCED_MAX];	/* of its first line that has one of the code's class; else "" */
	char		text[RELAY_REPLY_MAX];		/* what stands behind the codes, printable, lines joined by " / " */
	unsigned	lines;
	/* inside */
	size_t		octets, line_octets, line_len, text_len;
	bool		is_text_full;
	char		line[REMOTE_LINE_KEPT];
	/* For each line behind its code, as it came (len octets, no end of line); or NULL. */
	void		(*heard)(void *owner, const char *text, size_t len);
	void		*owner;
};

/* Forgets the last reply; heard and owner stay. */
void	remote_reply_init(struct remote_reply *r);

/*
 * Takes octets until the reply is complete; *used are those of this reply. ERR_SHORT: more are needed. ERR_SYNTAX: this is no
 * reply; text is what was said instead. ERR_TOOBIG: longer than any server has a reason to. Pure.
 */
int	remote_reply_feed(struct remote_reply *r, const uint8_t *p, size_t n, size_t *used);

/* A code of RFC 3463 for a reply that has none, by its code and the stage at which it came. Pure. */
const char *remote_reply_enhanced(uint16_t code, enum delivery_stage stage);

#endif
