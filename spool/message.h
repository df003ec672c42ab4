#ifndef SPOOL_MESSAGE_H
#define SPOOL_MESSAGE_H

#include "assembly.h"
#include "pool.h"
#include "transaction.h"

struct envelope;
struct session;
struct spooler;

enum from_state {
	FROM_UNASKED,		/* not known yet, or nothing to ask */
	FROM_UNSENT,		/* waits for room in the link */
	FROM_ASKED,
	FROM_ALLOWED,
	FROM_LOST,		/* the link ended before the answer, or there is none */
};

/* A message under way, from OPEN until it is stored or forgotten. It may outlive its session. */
struct message {
	struct message		*previous, *next;
	struct spooler		*sp;
	struct session		*session;	/* NULL: it has ended */
	uint64_t		 session_id;
	uint32_t		 t;
	char			 account[IPC_TEXT_MAX];
	char			 credential[IPC_TEXT_MAX];	/* "": the main password */
	struct buf		 addresses;	/* of its recipients, each with a NUL */
	char			 host[256];
	char			 sender[ADDR_TEXT];
	char			 id[SPOOL_ID_TEXT];
	uint32_t		 nrecipients;
	uint64_t		 envelope_size;	/* octets of the file before the message */
	bool			 has_envelope;	/* auth had told it */
	bool			 is_committed;	/* COMMIT has come: it goes on whatever becomes of the session */
	bool			 is_abandoned;	/* nobody waits for it */
	enum abort_reason	 why;		/* by its worker's word */
	enum from_state		 from;
	uint64_t		 opened_ms, committed_ms;
	struct assembly		 assembly;
	struct transaction	 transaction;
	struct job		 job;
};

/* Begins a message of a session, taking the envelope; NULL: no memory. */
struct message *message_open(struct session *s, struct envelope *e, uint32_t t);

/* The next octets; may pause the session. */
void	message_take(struct message *m, const uint8_t *p, size_t n);

/* COMMIT has come: the answer follows through session_answer_commit(). */
void	message_commit(struct message *m);

/* The session has nothing to do with it any more: an open one is dropped, a committed one goes on. */
void	message_leave(struct message *m, enum abort_reason reason);

/* A finished job. */
void	message_finish_job(struct message *m);

/* auth's answer about the header From; or the link was lost. */
void	message_judge(struct message *m, enum header_verdict verdict);
void	message_lose_link(struct message *m);

/* Every second: looks for answers that do not come. */
void	message_tick(struct message *m, uint64_t now_ms);

/* The message of a transaction, or NULL. */
struct message *message_find(struct spooler *sp, uint64_t session, uint32_t t);

#endif
