#ifndef SPOOL_SESSION_H
#define SPOOL_SESSION_H

#include "envelope.h"
#include "ipc.h"
#include "loop.h"
#include "spool.h"

struct message;
struct spooler;

/* A worker's session as auth has granted it. */
struct session {
	struct session		*next;		/* in its bucket, or among the dead */
	struct spooler		*sp;
	struct loop_watch	 watch;		/* its socket */
	uint64_t		 id;
	char			 account[IPC_TEXT_MAX];
	char			 client[NETADDR_TEXT + 8];	/* its address as a literal, or its user */
	char			 credential[IPC_TEXT_MAX];	/* "": the main password */
	struct netaddr		 peer;
	enum listener_kind	 listener;
	enum mechanism		 mechanism;
	uint64_t		 began_us, login_us;
	bool			 is_traced;	/* its first lines are in the trace */
	bool			 tls, local;	/* local: on the local socket */
	enum ipc_state		 state;		/* GRANTED, OPEN, COMMITTING */
	bool			 is_paused;	/* not read while its octets go to the disk */
	bool			 is_dead;
	bool			 asks;		/* OUTCOME of asked_t waits for the end of its commit */
	uint32_t		 asked_t;
	bool			 asks_etrn;	/* auth is asked about etrn.domain */
	struct ipc_etrn		 etrn;
	struct envelope		 pending;
	struct message		*message;	/* under way, or NULL */
	bool			 has_last;	/* the last commit that was answered */
	bool			 last_stored;
	uint32_t		 last_t;
	char			 last_id[SPOOL_ID_TEXT];
};

/* Takes the socket of a new session, or of one whose worker asked for a new socket. Closes fd on an error. */
void	session_grant(struct spooler *sp, const struct ipc_grant *g, int fd);

/* NULL: no such session. */
struct session *session_find(struct spooler *sp, uint64_t id);

/* Ends it; it stays allocated until session_bury(). An open message is dropped, a committed one goes on. */
void	session_drop(struct session *s);

/* Frees the dead, after each round of the loop. */
void	session_bury(struct spooler *sp);

/* Stops and starts reading its socket. */
void	session_pause(struct session *s);
void	session_resume(struct session *s);

/* The verdict on its message, which is freed afterwards. */
void	session_answer_commit(struct session *s, const struct message *m, enum commit_verdict verdict);
void	session_answer_etrn(struct session *s, const struct ipc_etrn_answer *a);
void	session_answer_outcome(struct session *s, uint32_t t, bool stored, const char *id);

#endif
