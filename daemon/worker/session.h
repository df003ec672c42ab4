#ifndef WORKER_SESSION_H
#define WORKER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "conn.h"
#include "ipc.h"
#include "passage.h"
#include "reply.h"

struct tls_shared;

/* How far a session has come; TLS and login are facts beside it. */
enum phase {
	PHASE_START,		/* no EHLO or HELO yet */
	PHASE_READY,		/* no transaction */
	PHASE_MAIL,		/* a sender was approved */
	PHASE_RCPT,		/* and a recipient */
	PHASE_BDAT,		/* and a part of the message (RFC 3030) */
};

/* One SMTP session, in a process of its own. */
struct session {
	const struct conf	*conf;
	struct tls_shared	*tls;		/* NULL: this listener has no TLS */
	struct ipc_session	 facts;		/* as the master says them */
	struct conn		*conn;
	int			 auth_fd, keys_fd, spool_fd;	/* -1 when not there */
	enum phase		 phase;
	bool			 login;
	bool			 device;	/* an old device's login: bare LF may pass */
	char			 local_sender[IPC_PATTERN_MAX];	/* on the local socket, after login: for EHLO; or "" */
	uint32_t		 t;		/* the transaction's number, from auth */
	bool			 smtputf8;	/* of the transaction */
	uint64_t		 message_size;	/* the transaction's limit */
	struct passage		 passage;	/* its message */
	char			 detail[4096];	/* argument of the next reply */
	uint32_t		 commands, errors, messages;
	enum session_end	 end;
	bool			 ending;
};

/* Serves the session from the greeting to its end. */
void	session_run(struct session *s);

/* Appends to the argument of the next reply; what does not fit is cut. */
void	session_put_detail(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sends a reply that is not the final one of a command (334, 354) and everything before it. ERR_OK or the connection's end (then s->end is set). */
int	session_say(struct session *s, enum reply_id id);

/* Reads an answer line in the course of a command (AUTH). As session_say(); ERR_TOOBIG for a line over its limit. */
int	session_hear(struct session *s, uint8_t **line, size_t *len);

/* Notes why the session ends, for an error of the connection; returns the reply that still can be said. */
enum reply_id session_lost(struct session *s, int err);

/* The handshake, and the end of the way to keys. False when it failed: then the session ends. */
bool	session_start_tls(struct session *s);

bool	session_has_tls(const struct session *s);
/* Whether AUTH, and with it MAIL, must wait for STARTTLS. */
bool	session_needs_tls(const struct session *s);
/* Forgets the transaction, here and in auth and spool. */
void	session_reset(struct session *s);
/* Forgets it here only: the spool has had its message. */
void	session_forget(struct session *s);

#endif
