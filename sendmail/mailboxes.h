#ifndef SENDMAIL_MAILBOXES_H
#define SENDMAIL_MAILBOXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAILBOX_TEXT 512

/* One address of a list. */
struct mailbox {
	size_t	start, end;		/* where it stands in the list */
	char	text[MAILBOX_TEXT];	/* without blanks and comments */
	bool	is_bare;		/* it has no domain */
};

/*
 * The next address of a list (RFC 5322, 3.4 with 4.4: display names, quoted strings, comments, groups, routes) at or
 * behind *at, which then stands behind it. ERR_NOTFOUND: no more. ERR_SYNTAX.
 */
int	mailboxes_next(const uint8_t *p, size_t n, size_t *at, struct mailbox *m);

/* Words of a command line or a message, which may be another's than the caller's, for a terminal: controls become '?'. Returns to. */
char	*mailboxes_show(char *to, size_t size, const char *text);

#endif
