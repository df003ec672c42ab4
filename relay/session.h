#ifndef RELAY_SESSION_H
#define RELAY_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capability.h"
#include "message_relay.h"
#include "remote_reply.h"
#include "stream.h"

struct tls_client;

#define SESSION_SECRET_MAX 512	/* octets of a password, with NUL */

/* What a session process knows of its route and server; put together by the parent before the fork. */
struct session_facts {
	enum route_kind		 kind;
	enum route_tls		 tls;
	bool			 is_clear;		/* opportunistic: a handshake with this server has failed */
	bool			 is_near;		/* loopback, or a local socket */
	bool			 return_path;
	char			 hostname[256];		/* ours, for EHLO */
	char			 host[256];		/* the server's name, address literal or path */
	bool			 is_address;		/* host is an address literal */
	struct netaddr		 address;		/* family 0: a local socket */
	char			 user[256], secret[SESSION_SECRET_MAX];
	uint64_t		 timeout_ms;		/* the longest wait for anything */
	const struct tls_client	*client;
};

struct job_recipient {
	uint16_t		index;
	bool			is_done;	/* its outcome is settled */
	bool			is_accepted;	/* in the transaction under way */
	bool			is_put_back;	/* too many at once for the server: it may have another transaction */
	struct ipc_recipient	recipient;
	struct ipc_outcome_of	outcome;
};

/* The delivery that the process has. */
struct job {
	struct ipc_deliver	deliver;
	int			file_fd, result_fd;
	size_t			n;		/* recipients that have come */
	bool			is_utf8;	/* needs SMTPUTF8 */
	struct job_recipient	recipients[RELAY_RECIPIENTS_MAX];
	uint8_t			signatures[RELAY_SIGNATURES_MAX];
};

struct session {
	const struct session_facts *facts;
	struct stream		stream;
	struct capability	capability;
	char			tls_text[64];
	unsigned		deliveries;	/* that were finished before */
	bool			needs_reset;	/* a transaction was begun and not ended */
	bool			is_over;	/* the connection is of no more use */
	bool			is_lost;	/* and not even QUIT can be said */
	bool			is_dead;	/* the server turned away the first delivery that it was offered */
	struct remote_reply	reply;		/* the last one */
	struct job		job;
};

/* Runs the process to its end. The sandbox is closed. */
void	session_run(const struct session_facts *facts, int fd, int control_fd) __attribute__((noreturn));

/*
 * The half of the dialogue: commands and replies. Each answers ERR_OK with s->reply, or an error when there is no reply that could be
 * believed; then the session is over.
 */
uint64_t session_deadline(const struct session *s, uint64_t ms);
int	session_read_reply(struct session *s, uint64_t ms);
int	session_ask(struct session *s, uint64_t ms, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Greeting, EHLO or LHLO, TLS and login as the route has it. False: *o says why not, and *is_dead whether the server is of no use. */
bool	hello_open(struct session *s, struct ipc_outcome_of *o);
/* Says QUIT, if that makes sense, and closes. */
void	hello_quit(struct session *s);
/* False: *o says why. */
bool	login_run(struct session *s, struct ipc_outcome_of *o);

/* Carries the delivery of s->job: every recipient has an outcome then. */
void	dialogue_run(struct session *s);
/* The message, its final dot not included. ERR_CORRUPT: the file could not be read; errors of the stream. */
int	payload_send(struct session *s);
/* Whether octets over 127 stand in the message, or in its header only. ERR_CORRUPT. */
int	payload_is_8bit(const struct job *j, bool header_only, bool *is_8bit);

/* Outcomes from the last reply, or from an error that took its place; the words are our own then. */
void	outcome_from_reply(struct session *s, struct ipc_outcome_of *o, enum delivery_stage stage);
void	outcome_from_error(struct session *s, struct ipc_outcome_of *o, enum delivery_stage stage, int err);
void	outcome_set(struct ipc_outcome_of *o, enum delivery_verdict verdict, enum delivery_stage stage, const char *enhanced,
	    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* FINISHED as this session says it. */
void	report_finished(const struct session *s, struct ipc_finished *m, uint64_t number, const struct ipc_outcome_of *o);
/* Tells the spool the outcomes, and waits until they are stored. False: nobody could be told. */
bool	report_job(struct session *s);
/* Whether the spool still listens. */
bool	report_is_heard(const void *session);
/* What the parent says while a delivery is under way: a new socket for the results. */
int	report_hear_control(void *session);

#endif
