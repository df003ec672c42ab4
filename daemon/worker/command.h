#ifndef WORKER_COMMAND_H
#define WORKER_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "reply.h"

struct session;

/* The argument of a command: octets of the line behind the verb and one blank, trailing blanks cut. */
struct argument {
	uint8_t	*p;
	size_t	 n;
};

/* What a verb needs before its handler runs. */
enum verb_trait {
	VERB_NO_ARGUMENT = 1 << 0,	/* an argument is an error */
	VERB_ARGUMENT = 1 << 1,		/* none is an error */
	VERB_TLS = 1 << 2,		/* where the listener wants TLS, only under it */
	VERB_LOGIN = 1 << 3,
	VERB_SECRET = 1 << 4,		/* the line is wiped: here when it is refused, else by its handler */
	VERB_CHUNK = 1 << 5,		/* octets follow that are no command, also when it is refused */
};

struct verb {
	const char	*name;
	enum reply_id	(*handle)(struct session *s, struct argument a);	/* NULL: 502 */
	unsigned	 phases;	/* 1 << enum phase: where it is legal */
	unsigned	 traits;
	enum reply_id	 too_early;	/* the reply outside those phases */
	const char	*help;		/* for HELP: lines, the syntax first; NULL for what is not offered */
};

/* The table, for HELP and tests; n rows. */
const struct verb *command_verbs(size_t *n);

/* The one gate: finds the verb of a line and runs it; returns the final reply. */
enum reply_id command_run(struct session *s, uint8_t *line, size_t len);

/* Handlers, one file each: they send nothing but what session_say() and cmd_data's 354 are for, and return the final reply. */
enum reply_id cmd_auth(struct session *s, struct argument a);
enum reply_id cmd_bdat(struct session *s, struct argument a);
enum reply_id cmd_data(struct session *s, struct argument a);
enum reply_id cmd_ehlo(struct session *s, struct argument a);
enum reply_id cmd_etrn(struct session *s, struct argument a);
enum reply_id cmd_helo(struct session *s, struct argument a);
enum reply_id cmd_help(struct session *s, struct argument a);
enum reply_id cmd_mail(struct session *s, struct argument a);
enum reply_id cmd_noop(struct session *s, struct argument a);
enum reply_id cmd_quit(struct session *s, struct argument a);
enum reply_id cmd_rcpt(struct session *s, struct argument a);
enum reply_id cmd_rset(struct session *s, struct argument a);
enum reply_id cmd_starttls(struct session *s, struct argument a);
enum reply_id cmd_vrfy(struct session *s, struct argument a);

/* A refused BDAT: reads past its octets, then the refusal. */
enum reply_id cmd_bdat_skip(struct session *s, struct argument a, enum reply_id refusal);

#endif
