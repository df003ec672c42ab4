#ifndef AUTH_SESSION_H
#define AUTH_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth.h"
#include "ipc.h"

struct login;

/* A recipient as it is kept: address and orcpt stand one behind the other in text, each ended by NUL. */
struct recipient {
	struct recipient	*next;
	uint16_t		 local_len, len;
	uint8_t			 notify;
	char			 text[];
};

/* A sender that was approved, with its recipients. */
struct transaction {
	struct ipc_sender	 sender;
	struct recipient	*first, **last;
	uint64_t		 nrecipients;
	uint64_t		 counted_ms;	/* when it was counted for the limits of an hour */
	bool			 is_message;	/* its message was judged and not refused: it stays counted */
	bool			 is_counted;	/* for the limits of an hour, still */
};

/* One client's session, known by its number; its worker asks over watch.fd. */
struct session {
	struct session		*next;		/* in its bucket */
	struct auth		*auth;
	struct auth_conf	*conf;		/* that it began with */
	uint64_t		 number;
	struct netaddr		 peer;
	enum listener_kind	 listener;
	struct loop_watch	 watch;
	enum ipc_state		 state;
	struct deadline		 deadline;	/* of the login under way */
	struct login		*login;		/* or NULL */
	enum login_verdict	 late;		/* what a login that has failed is answered in its time */
	/* after login */
	uint64_t		 account, credential, changed_us;	/* account 0: none */
	struct registry_limits	 limits;	/* in force at the last command */
	uint64_t		 credential_messages_per_hour;	/* beside the account's in limits */
	bool			 scoped[SCOPE_KINDS];	/* how its credential is narrowed, at the last command */
	char			*name;		/* the account's */
	char			*credential_name;	/* "": the main password */
	enum mechanism		 mechanism;
	uint64_t		 began_us, login_us;	/* microseconds since 1970 */
	uint32_t		 wait_seconds;	/* of a login that was throttled last */
	bool			 device;	/* logged in with an old device's credential */
	uint32_t		 generation;	/* of the link that it was granted on */
	uint32_t		 ngrants;	/* sockets that it has got to the spool there */
	uint32_t		 t;		/* number of the last transaction */
	struct transaction	*transaction;	/* in IPC_STATE_TRANSACTION */
};

/* session.c. Takes fd. ERR_NOMEM, ERR_EXISTS, ERR_SYSTEM. */
int	session_begin(struct auth *a, const struct ipc_session *m, int fd);
/* Ends it here: its worker sees the end of the socket. */
void	session_end(struct session *s);
struct session *session_find(struct auth *a, uint64_t number);
/* Answers its worker, with fd unless that is -1. On an error the session must end. */
int	session_answer(struct session *s, const struct wire_out *w, int fd);

/*
 * login.c. A request's half: ERR_OK, or why the session must end.
 */
int	login_request(struct session *s, struct wire_in *body);
/* Forgets a login under way. */
void	login_cancel(struct session *s);

/* The limits in force: the account's own, where it has them, and never more than the credential's. */
void	session_set_limits(struct session *s, const struct registry_limits *own, const struct registry_limits *credential);
/*
 * Whether the login still holds, for a client at the session's address: ERR_OK with limits and scopes in the session as they are now,
 * ERR_DENIED, or why the registry can't tell. An account that was renamed meanwhile is told to master and spool.
 */
int	session_check_login(struct session *s);

/* verdict.c: what a user asks, by the rules of HOUSE: ERR_OK, or why the session must end. */
int	verdict_sender(struct session *s, struct wire_in *body);
int	verdict_recipient(struct session *s, struct wire_in *body);
int	verdict_reset(struct session *s, struct wire_in *body);
int	verdict_spool(struct session *s, struct wire_in *body);
/* Whether the login holds, and the account may use all of these in a From field. */
enum header_verdict verdict_from(struct auth *a, const struct ipc_from *m);

/* status.c */
int	status_request(struct session *s, struct wire_in *body);

/* transaction.c */
int	transaction_begin(struct session *s, const struct ipc_sender *sender);
void	transaction_end(struct session *s);
/* The spool says that no message came of a session's transaction t: it counts no more. */
void	transaction_refuse(struct auth *a, uint64_t session, uint32_t t);
/* The recipient that an address is of already, or NULL. */
struct recipient **transaction_find(struct transaction *t, const struct addr *address);
int	transaction_add(struct transaction *t, const struct ipc_recipient *m);
/* Adds what m asks for to a recipient that transaction_find() found. ERR_OK; ERR_EXISTS: nothing is new; ERR_NOMEM. */
int	transaction_merge(struct transaction *t, struct recipient **at, const struct ipc_recipient *m);
/* Takes the last one back. */
void	transaction_undo(struct transaction *t);
void	transaction_get(const struct recipient *r, struct ipc_recipient *m);

/* link.c: what the spool is told. ERR_CLOSED when there is no link, ERR_BUSY when it takes nothing now. */
void	link_init(struct auth *a);
int	link_open(struct auth *a, int fd);
bool	link_is_up(const struct auth *a);
/* Hears what the spool has said up to now, unless that is very much. */
void	link_drain(struct auth *a);
/* Whether the spool there is now knows the session: it has been granted on this link. */
bool	link_is_known(const struct session *s);
/* A new pair: one end to the spool with the session's grant, the other through fd. */
int	link_grant(struct session *s, int *fd);
int	link_put_sender(struct session *s);
int	link_put_recipient(struct session *s, const struct ipc_recipient *m);
/* Sender and recipients from the beginning; after an error the spool may have a part of them. */
int	link_put_envelope(struct session *s);
/* Best effort: a spool that has it still holds an approved envelope that nobody opens. */
void	link_drop(struct session *s);
/* The account's new name; a spool that has no room for it now hears it with the next message. */
int	link_put_name(struct session *s);

#endif
