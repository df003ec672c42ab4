#ifndef SENDMAIL_OPTIONS_H
#define SENDMAIL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum sendmail_mode {
	MODE_SEND,		/* -bm: a message from standard input */
	MODE_SMTP,		/* -bs: an SMTP dialogue on standard input and output */
	MODE_QUEUE,		/* -bp, mailq */
	MODE_FLUSH,		/* -q */
	MODE_ALIASES,		/* -bi, newaliases: nothing to do */
};

/* What the command line asks for. Strings point into it. */
struct options {
	enum sendmail_mode	 mode;
	bool			 from_header;	/* -t */
	bool			 ignore_dots;	/* -i */
	bool			 verbose;	/* -v */
	bool			 is_8bit;	/* -B8BITMIME */
	const char		*sender;	/* -f, -r; NULL: not given */
	const char		*full_name;	/* -F; NULL: not given */
	const char		*notify;	/* -N, in the words of NOTIFY; NULL: not given */
	const char		*ret;		/* -R: "FULL", "HDRS"; NULL: not given */
	const char		*envid;		/* -V; NULL: not given */
	char *const		*recipients;	/* ended by NULL */
	char			 notify_text[32];
};

/* Reads the command line. ERR_SYNTAX: why (size octets) says what is wrong. */
int	options_read(struct options *o, int argc, char *const *argv, char *why, size_t size);

#endif
