#ifndef IPC_MESSAGE_RELAY_H
#define IPC_MESSAGE_RELAY_H

#include "ipc.h"

/*
 * The messages of delivery. postern-spool gives postern-relay one delivery at a time: one message, one destination (a route and,
 * for mx:, a domain), and those of its recipients that go there. With it go the message's file, open for reading, and one end of
 * a socket pair, over which the session process that carries it tells the results to the spool itself: relay stands aside.
 */
#define RELAY_RECIPIENTS_MAX 100	/* of one delivery (RFC 5321, 4.5.3.1.8) */
#define RELAY_SIGNATURES_MAX 8192	/* octets of DKIM-Signature fields */
#define RELAY_REPLY_MAX 512		/* octets of what a remote server said, with NUL; printable, its lines joined by " / " */
#define RELAY_ENHANCED_MAX 12		/* "5.123.456" with NUL */

struct ipc_deliver {
	uint64_t		number;		/* of the delivery; the spool's, never used twice by one spool process */
	char			id[32];		/* the queue id */
	char			route[CONF_ROUTE_NAME];
	char			domain[256];	/* mx: the recipients' domain, as in their addresses; else "" */
	struct ipc_sender	sender;		/* address, parameters, size: the octets of the message */
	uint64_t		offset;		/* where the message starts in the file */
	uint16_t		nrecipients;	/* 1 to RELAY_RECIPIENTS_MAX */
	const uint8_t		*signatures;	/* whole header fields with CRLFs, to stand before the message; or none */
	size_t			signatures_len;
};
void	ipc_put_deliver(struct wire_out *w, const struct ipc_deliver *m);
int	ipc_get_deliver(struct wire_in *w, struct ipc_deliver *m);

struct ipc_deliver_recipient {
	uint64_t		number;		/* of the delivery */
	uint16_t		index;		/* of the recipient in the message's envelope */
	struct ipc_recipient	recipient;
};
void	ipc_put_deliver_recipient(struct wire_out *w, const struct ipc_deliver_recipient *m);
int	ipc_get_deliver_recipient(struct wire_in *w, struct ipc_deliver_recipient *m);

enum delivery_verdict {
	DELIVERY_DELIVERED,	/* the next hop has taken it */
	DELIVERY_DEFERRED,	/* to be tried again */
	DELIVERY_FAILED,	/* for good: to be returned to the sender */
	DELIVERY_RETURNED,	/* FINISHED only: it was not begun, and counts as no attempt (relay ends, or is full) */
};

/* How far it came. */
enum delivery_stage {
	DELIVERY_ROUTE, DELIVERY_RESOLVE, DELIVERY_CONNECT, DELIVERY_GREETING, DELIVERY_HELLO, DELIVERY_TLS, DELIVERY_LOGIN,
	DELIVERY_MAIL, DELIVERY_RCPT, DELIVERY_DATA, DELIVERY_END,
};
#define DELIVERY_STAGE_MAX DELIVERY_END
/* "connect", ... */
const char *ipc_delivery_stage(enum delivery_stage stage);

/* What became of recipients. */
struct ipc_outcome_of {
	enum delivery_verdict	verdict;
	enum delivery_stage	stage;
	uint16_t		code;				/* the remote's, 200 to 599; 0: it said nothing */
	char			enhanced[RELAY_ENHANCED_MAX];	/* RFC 3463; the remote's, else our own for the cause */
	char			reply[RELAY_REPLY_MAX];		/* the remote's words, or our own sentence when code is 0 */
};

struct ipc_result {
	uint16_t		index;
	struct ipc_outcome_of	outcome;
};
void	ipc_put_result(struct wire_out *w, const struct ipc_result *m);
int	ipc_get_result(struct wire_in *w, struct ipc_result *m);

/* A session process that could not get ready for its first delivery tells relay why by the same message, its number 0. */
struct ipc_finished {
	uint64_t		number;
	struct ipc_outcome_of	outcome;	/* of every recipient that had no RESULT */
	bool			is_dead;	/* no session with the destination could be had: others need not try now */
	char			host[256];	/* the server's name and address, "" when there was none */
	char			address[NETADDR_TEXT];
	char			tls[64];	/* "TLSv1.3 TLS_AES_256_GCM_SHA384 verified"; "" for none, "none, ..." when it failed */
	bool			relayed_dsn;	/* the server offered DSN: it answers NOTIFY=SUCCESS itself (RFC 3461, 5.2.2) */
};
void	ipc_put_finished(struct wire_out *w, const struct ipc_finished *m);
int	ipc_get_finished(struct wire_in *w, struct ipc_finished *m);

/* IPC_FINISHED_ANSWER, IPC_IDLE, IPC_RESULT_SOCKET: the delivery's number; IPC_IDLE says whether another may come. */
struct ipc_delivery {
	uint64_t	number;
	bool		is_open;	/* IPC_IDLE: the session goes on; else true */
};
void	ipc_put_delivery(struct wire_out *w, enum ipc_kind kind, const struct ipc_delivery *m);
int	ipc_get_delivery(struct wire_in *w, struct ipc_delivery *m);

struct ipc_underway {
	uint64_t	number;		/* the session process will name it in FINISHED */
	char		id[32];		/* the queue id */
	uint16_t	n;
	uint16_t	indexes[RELAY_RECIPIENTS_MAX];
};
void	ipc_put_underway(struct wire_out *w, const struct ipc_underway *m);
int	ipc_get_underway(struct wire_in *w, struct ipc_underway *m);

#endif
