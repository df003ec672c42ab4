#ifndef IPC_IPC_H
#define IPC_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "conf.h"
#include "netaddr.h"
#include "wire.h"

/*
 * THE contract between programs. Every message is one datagram on a SOCK_SEQPACKET socket pair: a u16 kind,
 * then its fields (common/wire.h). Requests are even, their answer is the next odd number; an even number
 * without an answer below is one-way. A receiver names the channel that the datagram came on; ipc_recv()
 * refuses every kind that is not in that channel's rows of the permit table in ipc.c. What a session may
 * send next is the row's states mask, compared with a state that the receiving service keeps.
 */
enum ipc_kind {
	/* master -> worker, auth, keys: a session begins. Descriptors: worker: client, auth, keys (keys only with TLS);
	 * auth, keys: the session's socket. */
	IPC_SESSION = 0x10,
	/* worker -> master: the session has ended; numbers only, nothing that a client chose. */
	IPC_SESSION_END = 0x12,

	/* service -> master: sandboxed and serving, or not. */
	IPC_READY = 0x20,
	IPC_FAILED = 0x22,
	/* master -> auth, spool, relay, keys: a socket to another service (1 descriptor); replaces an older one to the same. */
	IPC_LINK = 0x24,
	/* master -> auth, spool: a checked configuration for new sessions (1 descriptor: a memory file). */
	IPC_RELOAD = 0x26,
	/* auth -> master, one-way: whose session it is (message_control.h). */
	IPC_SESSION_ACCOUNT = 0x28,
	/* auth, spool -> master, one-way: what was counted since the last one (message_control.h). */
	IPC_COUNTERS = 0x2a,
	/* auth -> master, one-way: a network whose connections are to be refused, or never. */
	IPC_BAN = 0x2c,

	/* worker -> auth */
	IPC_LOGIN = 0x30, IPC_LOGIN_ANSWER = 0x31,	/* the answer brings the spool's socket (1 descriptor) if OK */
	IPC_SENDER = 0x32, IPC_SENDER_ANSWER = 0x33,	/* begins a transaction, dropping an older one */
	IPC_RECIPIENT = 0x34, IPC_RECIPIENT_ANSWER = 0x35,
	IPC_RESET = 0x36,				/* one-way: drops the transaction */
	IPC_SPOOL = 0x38, IPC_SPOOL_ANSWER = 0x39,	/* a new socket to a spool that was started again (1 descriptor if OK) */
	IPC_STATUS = 0x3a, IPC_STATUS_ANSWER = 0x3b,	/* HELP STATUS: the caller's own limits and counts */

	/* auth -> spool (IPC_GRANT: 1 descriptor, the session's socket) */
	IPC_GRANT = 0x40,
	IPC_ENVELOPE_SENDER = 0x42,
	IPC_ENVELOPE_RECIPIENT = 0x44,
	IPC_ENVELOPE_DROP = 0x46,
	IPC_GRANT_NAME = 0x4e,				/* the session's account was renamed */
	/* spool -> auth */
	IPC_FROM = 0x48, IPC_FROM_ANSWER = 0x49,	/* header From, perhaps none: does the login hold, may it use all of these? */
	IPC_STORAGE = 0x4a,				/* one-way: whether there is room for mail */
	IPC_USAGE = 0x4c,				/* one-way: what waits of an account; of all after a new link */
	IPC_REFUSED = 0x5c,				/* one-way: no message came of that transaction (message_data.h) */

	/* worker -> spool */
	IPC_OPEN = 0x50,				/* one-way: freezes envelope t and begins its message */
	IPC_DATA = 0x52,				/* one-way: the next octets, CRLF line ends, dots already undone */
	IPC_COMMIT = 0x54, IPC_COMMIT_ANSWER = 0x55,
	IPC_ABORT = 0x56,				/* one-way; why is for the trace only */
	IPC_OUTCOME = 0x58, IPC_OUTCOME_ANSWER = 0x59,	/* after a spool died: what became of transaction t? */
	IPC_ETRN = 0x5a, IPC_ETRN_ANSWER = 0x5b,	/* start what waits for a domain, if the account may (spool asks auth) */

	/* worker -> keys */
	IPC_SIGN = 0x60, IPC_SIGN_ANSWER = 0x61,
	/* spool -> keys (message_dkim.h) */
	IPC_DKIM_SIGN = 0x62, IPC_DKIM_SIGN_ANSWER = 0x63,	/* header fields and the body's hash; the signature fields */
	/* keys -> spool */
	IPC_DKIM_KEYS = 0x64,				/* one-way, after LINK: the domains that are signed for, perhaps in several */

	/* auth -> its hashing children */
	IPC_HASH = 0x70, IPC_HASH_ANSWER = 0x71,

	/* smtpadm -> master, over the control socket (message_control.h) */
	IPC_CONTROL_SESSIONS = 0x80, IPC_CONTROL_SESSIONS_ANSWER = 0x81,	/* a datagram a session, then an empty one */
	IPC_CONTROL_KILL = 0x82, IPC_CONTROL_KILL_ANSWER = 0x83,
	IPC_CONTROL_STATUS = 0x84, IPC_CONTROL_STATUS_ANSWER = 0x85,
	IPC_CONTROL_METRICS = 0x86, IPC_CONTROL_METRICS_ANSWER = 0x87,
	IPC_CONTROL_RELOAD = 0x88, IPC_CONTROL_RELOAD_ANSWER = 0x89,	/* answered when all is in force, or nothing is */
	IPC_CONTROL_PAUSE = 0x8a, IPC_CONTROL_PAUSE_ANSWER = 0x8b,
	IPC_CONTROL_RESUME = 0x8c, IPC_CONTROL_RESUME_ANSWER = 0x8d,
	IPC_CONTROL_DRAIN = 0x8e, IPC_CONTROL_DRAIN_ANSWER = 0x8f,

	/* smtpadm -> spool, over its control socket (message_queue.h) */
	IPC_QUEUE = 0x90, IPC_QUEUE_ANSWER = 0x91,
	IPC_DELIVERY = 0x92, IPC_DELIVERY_ANSWER = 0x93,	/* pause, resume, or how it is */

	/* spool -> relay -> its session process (message_relay.h) */
	IPC_DELIVER = 0xa0,			/* one-way, 2 descriptors: the message's file, the socket for the results */
	IPC_DELIVER_RECIPIENT = 0xa2,		/* one-way: as many as DELIVER said, right behind it */
	/* session process (or relay, when there is none) -> spool, over the socket of that delivery */
	IPC_RESULT = 0xa4,			/* one-way: what became of one recipient */
	IPC_FINISHED = 0xa6, IPC_FINISHED_ANSWER = 0xa7,	/* of all; answered when it is on stable storage */
	/* relay -> spool */
	IPC_UNDERWAY = 0xa8,			/* one-way, 1 descriptor: to a new spool, a delivery of the old one's and its socket */
	IPC_RELAY_READY = 0xaa,			/* one-way: all UNDERWAY were told, deliveries may come */
	/* relay -> its session process */
	IPC_RESULT_SOCKET = 0xac,		/* one-way, 1 descriptor: a new socket for a delivery's results */
	/* session process -> relay */
	IPC_IDLE = 0xae,			/* one-way: the delivery is finished; the next may come, or no more */
	/* relay -> its resolver (message_resolve.h) */
	IPC_RESOLVE = 0xb0, IPC_RESOLVE_ANSWER = 0xb1,
};

/* Where a datagram arrives: receiver FROM sender. */
enum ipc_channel {
	IPC_WORKER_FROM_MASTER, IPC_MASTER_FROM_WORKER,
	IPC_MASTER_FROM_SERVICE,
	IPC_AUTH_FROM_MASTER, IPC_KEYS_FROM_MASTER, IPC_SPOOL_FROM_MASTER,
	IPC_AUTH_FROM_WORKER, IPC_WORKER_FROM_AUTH,
	IPC_SPOOL_FROM_AUTH, IPC_AUTH_FROM_SPOOL,
	IPC_SPOOL_FROM_WORKER, IPC_WORKER_FROM_SPOOL,
	IPC_KEYS_FROM_WORKER, IPC_WORKER_FROM_KEYS,
	IPC_KEYS_FROM_SPOOL, IPC_SPOOL_FROM_KEYS,
	IPC_HASHER_FROM_AUTH, IPC_AUTH_FROM_HASHER,
	IPC_MASTER_FROM_ADMIN, IPC_ADMIN_FROM_MASTER,
	IPC_SPOOL_FROM_ADMIN, IPC_ADMIN_FROM_SPOOL,
	IPC_RELAY_FROM_MASTER, IPC_RELAY_FROM_SPOOL, IPC_SPOOL_FROM_RELAY,
	IPC_OUTBOUND_FROM_RELAY, IPC_RELAY_FROM_OUTBOUND,	/* relay and its session processes */
	IPC_SPOOL_FROM_DELIVERY, IPC_DELIVERY_FROM_SPOOL,	/* the socket of one delivery */
	IPC_RESOLVER_FROM_RELAY, IPC_RELAY_FROM_RESOLVER,
};

/* The state of a session as its service keeps it, for the states mask of the permit table. */
enum ipc_state {
	/* in auth */
	IPC_STATE_ANONYMOUS = 1 << 0,	/* before login */
	IPC_STATE_WAITING = 1 << 1,	/* a login is being checked, or the client is not served: nothing may be sent */
	IPC_STATE_USER = 1 << 2,	/* logged in, no transaction */
	IPC_STATE_TRANSACTION = 1 << 3,	/* a sender was approved */
	/* in spool */
	IPC_STATE_GRANTED = 1 << 4,	/* no message under way */
	IPC_STATE_OPEN = 1 << 5,	/* between OPEN and COMMIT or ABORT */
	IPC_STATE_COMMITTING = 1 << 6,	/* COMMIT not yet answered: nothing may be sent */
	/* in keys */
	IPC_STATE_UNSIGNED = 1 << 7,	/* may ask for one signature */
	IPC_STATE_SIGNED = 1 << 8,	/* has had it */
	IPC_STATE_ANY = 0xffff,
};

#define IPC_FDS_MAX 3
#define IPC_SMALL_MAX (32 * 1024)		/* octets of any datagram but IPC_DATA */
#define IPC_DATA_MAX (64 * 1024)		/* message octets in one IPC_DATA */
#define IPC_DATAGRAM_MAX (IPC_DATA_MAX + 16)
#define IPC_TEXT_MAX 256			/* account names, ids, listener names; with NUL */
#define IPC_PATTERN_MAX 512			/* a sender as it is registered; with NUL */
#define IPC_REASON_MAX 1024
#define IPC_CREDENTIAL_MAX 12288		/* RFC 4954, section 4: octets of an authentication line */
#define IPC_ENVID_MAX 101			/* RFC 3461, 4.4: 100 characters; with NUL */
#define IPC_ORCPT_MAX 501			/* RFC 3461, 4.2: 500 characters; with NUL */
#define IPC_FROM_ADDRESSES_MAX 16		/* addresses in one From field that are judged; more are refused */
#define IPC_SIGN_TEXT_MAX 1024			/* the longest TLS text to sign is well below */
#define IPC_SIGNATURE_MAX 1024			/* RSA-8192 */

struct ipc_message {
	enum ipc_kind	kind;
	struct wire_in	body;		/* its fields, in the caller's buffer; give it to the ipc_get_ of the kind */
	int		fds[IPC_FDS_MAX];	/* received descriptors, close-on-exec; the caller closes or takes them */
	size_t		nfds;
};

/* A connected pair of SOCK_SEQPACKET sockets, close-on-exec, blocking, buffers large enough for IPC_DATA. ERR_SYSTEM. */
int	ipc_pair(int fds[2]);

/*
 * Sends one datagram, with nfds descriptors (copies: the caller still closes its own). With `wait` it blocks until there
 * is room, else ERR_BUSY. ERR_CLOSED when the peer has gone, ERR_TOOBIG when w overflowed, ERR_SYSTEM.
 */
int	ipc_send(int fd, const struct wire_out *w, const int *fds, size_t nfds, bool wait);

/*
 * Receives one datagram into buf (size octets; IPC_SMALL_MAX, or IPC_DATAGRAM_MAX where data may come) and checks that its kind
 * may come on this channel with this number of descriptors. Blocks if `wait`, else ERR_BUSY when there is none. ERR_CLOSED at the
 * end; ERR_TOOBIG, ERR_SHORT, ERR_DENIED (a kind that this channel does not permit) are a bad frame: end the
 * sender's session; every descriptor it brought is closed. ERR_SYSTEM.
 */
int	ipc_recv(int fd, enum ipc_channel channel, void *buf, size_t size, bool wait, struct ipc_message *m);

/* Closes the descriptors of a message that were not taken (set to -1 those that were). */
void	ipc_message_close(struct ipc_message *m);

/* Whether a session in this state may send this kind. */
bool	ipc_may(enum ipc_kind kind, enum ipc_state state);

/* "SENDER", for logs; "?" for none. */
const char *ipc_kind_name(enum ipc_kind kind);

/*
 * The messages: a struct, a put and a get each. put writes kind and fields (errors stick in w, ipc_send() tells); get checks
 * every field and that nothing is left: ERR_SHORT, ERR_TRAILING. Pointers of a got message point into the datagram.
 */

enum peer_verdict {
	PEER_SERVE,
	PEER_TOO_MANY,		/* 421: too many sessions from this address */
	PEER_OVERLOADED,	/* 421: workers.max reached */
	PEER_CLOSED,		/* 521: this listener or client address is set not to be served */
	PEER_BANNED,		/* 554: banned address */
	PEER_PAUSED,		/* 421: smtpadm pause submission */
};
struct ipc_session {
	uint64_t		session;	/* never used twice */
	struct netaddr		peer, local;
	enum listener_kind	listener;
	enum peer_verdict	verdict;
};
void	ipc_put_session(struct wire_out *w, const struct ipc_session *m);
int	ipc_get_session(struct wire_in *w, struct ipc_session *m);

enum session_end {
	SESSION_QUIT, SESSION_DISCONNECTED, SESSION_TIMEOUT, SESSION_TOO_MANY_ERRORS, SESSION_TLS_FAILED,
	SESSION_REFUSED, SESSION_SHUTDOWN, SESSION_SERVICE_LOST, SESSION_NOT_SMTP,
};
struct ipc_session_end {
	enum session_end	reason;
	uint32_t		commands, errors, messages;
	bool			tls, login;
};
void	ipc_put_session_end(struct wire_out *w, const struct ipc_session_end *m);
int	ipc_get_session_end(struct wire_in *w, struct ipc_session_end *m);

struct ipc_ready {
	uint32_t	parts;		/* enum sandbox_part bits in force */
	const uint8_t	*detail;	/* keys: a SHA-256 of the SubjectPublicKeyInfo of each key, in order; else empty */
	size_t		detail_len;
};
void	ipc_put_ready(struct wire_out *w, const struct ipc_ready *m);
int	ipc_get_ready(struct wire_in *w, struct ipc_ready *m);

struct ipc_failed {
	uint8_t	code;			/* sysexits(3) */
	char	reason[IPC_REASON_MAX];	/* a sentence that names the object and the mending command */
};
void	ipc_put_failed(struct wire_out *w, const struct ipc_failed *m);
int	ipc_get_failed(struct wire_in *w, struct ipc_failed *m);

#define IPC_BAN_FOREVER 0xffffffffU
struct ipc_ban {
	struct netmask	network;
	bool		allow;		/* spared instead of refused, also from what a crash brings on */
	uint32_t	seconds;	/* that it holds for; 0: lifted */
};
void	ipc_put_ban(struct wire_out *w, const struct ipc_ban *m);
int	ipc_get_ban(struct wire_in *w, struct ipc_ban *m);

/* IPC_LINK: who is at the other end. */
enum link_peer { LINK_AUTH, LINK_SPOOL, LINK_RELAY, LINK_KEYS };
#define LINK_PEER_MAX LINK_KEYS
void	ipc_put_link(struct wire_out *w, enum link_peer peer);
int	ipc_get_link(struct wire_in *w, enum link_peer *peer);

/* IPC_RELOAD, IPC_RESET, IPC_SPOOL, IPC_STATUS: no fields. */
void	ipc_put_empty(struct wire_out *w, enum ipc_kind kind);
int	ipc_get_empty(struct wire_in *w);

/* LOCAL: on the local socket, once, without a word of the client's: who it is auth knows from SESSION. */
enum mechanism { MECHANISM_PLAIN, MECHANISM_LOGIN, MECHANISM_LOCAL };
struct ipc_login {
	enum mechanism	mechanism;
	const uint8_t	*authzid, *user, *password;	/* may hold any octet */
	size_t		authzid_len, user_len, password_len;
};
void	ipc_put_login(struct wire_out *w, const struct ipc_login *m);
int	ipc_get_login(struct wire_in *w, struct ipc_login *m);

enum login_verdict {
	LOGIN_OK,
	LOGIN_INVALID,		/* 535 */
	LOGIN_UNAVAILABLE,	/* 454: registry or spool can't answer, or the hash queue is full */
	LOGIN_TOO_MANY,		/* 500: sessions of this account */
	LOGIN_THROTTLED,	/* 450: too many wrong passwords from this network */
};
struct ipc_login_answer {
	enum login_verdict	verdict;
	uint64_t		account;		/* its number, 0 unless OK */
	char			name[IPC_TEXT_MAX];	/* the account's name, "" unless OK */
	uint32_t		wait_seconds;		/* LOGIN_THROTTLED: until it is worth a try again */
	bool			device;			/* an old device: bare LF is passed on, for spool to mend */
	char			sender[IPC_PATTERN_MAX];	/* MECHANISM_LOCAL: whom its programs send as if they do not say; "" for none */
};
void	ipc_put_login_answer(struct wire_out *w, const struct ipc_login_answer *m);
int	ipc_get_login_answer(struct wire_in *w, struct ipc_login_answer *m);

enum body_type { BODY_7BIT, BODY_8BITMIME };
enum dsn_ret { DSN_RET_NONE, DSN_RET_FULL, DSN_RET_HDRS };
enum dsn_notify { DSN_NOTIFY_NEVER = 1, DSN_NOTIFY_SUCCESS = 2, DSN_NOTIFY_FAILURE = 4, DSN_NOTIFY_DELAY = 8 };

struct ipc_sender {
	struct addr	address;	/* the null reverse-path has len 0; got: parsed again by addr_parse() */
	uint64_t	size;		/* SIZE=, 0 when not given */
	enum body_type	body;
	bool		smtputf8;
	enum dsn_ret	ret;
	char		envid[IPC_ENVID_MAX];	/* xtext as it came, "" for none */
};
void	ipc_put_sender(struct wire_out *w, const struct ipc_sender *m);
int	ipc_get_sender(struct wire_in *w, struct ipc_sender *m);

enum sender_verdict {
	SENDER_OK,
	SENDER_NOT_ALLOWED,	/* 553 */
	SENDER_LOGIN_VOID,	/* 530: the account was disabled or removed, or its credential revoked */
	SENDER_NO_STORAGE,	/* 452 */
	SENDER_TOO_BIG,		/* 552: SIZE= over the limit */
	SENDER_UNAVAILABLE,	/* 451 */
	SENDER_THROTTLED,	/* 450 */
};
struct ipc_sender_answer {
	enum sender_verdict	verdict;
	uint32_t		t;	/* the transaction's number if OK, else 0 */
	uint32_t		wait_seconds;	/* SENDER_THROTTLED: until it is worth a try again */
	uint64_t		message_size;	/* the limit in force for this login, if OK or SENDER_TOO_BIG; else 0 */
};
void	ipc_put_sender_answer(struct wire_out *w, const struct ipc_sender_answer *m);
int	ipc_get_sender_answer(struct wire_in *w, struct ipc_sender_answer *m);

struct ipc_recipient {
	struct addr	address;
	uint8_t		notify;			/* dsn_notify bits, 0 when not given */
	char		orcpt[IPC_ORCPT_MAX];	/* "rfc822;xtext" as it came, "" for none */
};
void	ipc_put_recipient(struct wire_out *w, const struct ipc_recipient *m);
int	ipc_get_recipient(struct wire_in *w, struct ipc_recipient *m);

enum recipient_verdict {
	RECIPIENT_OK,		/* also for one that was there already: stored once */
	RECIPIENT_TOO_MANY,	/* 452 */
	RECIPIENT_DENIED,	/* 550 */
	RECIPIENT_LOGIN_VOID,	/* 530 */
	RECIPIENT_UNAVAILABLE,	/* 451 */
};
struct ipc_recipient_answer {
	enum recipient_verdict	verdict;
	uint32_t		t;	/* if OK, else 0: another one than before when the spool was told the envelope anew */
};
void	ipc_put_recipient_answer(struct wire_out *w, const struct ipc_recipient_answer *m);
int	ipc_get_recipient_answer(struct wire_in *w, struct ipc_recipient_answer *m);

struct ipc_spool_answer {
	bool	ok;		/* with the socket; false: the spool is not there yet, ask again */
};
void	ipc_put_spool_answer(struct wire_out *w, const struct ipc_spool_answer *m);
int	ipc_get_spool_answer(struct wire_in *w, struct ipc_spool_answer *m);

struct ipc_status_answer {
	bool		ok;			/* false: the login is void or the registry can't answer */
	bool		login_void;
	char		name[IPC_TEXT_MAX];	/* the account's */
	uint64_t	sessions, sessions_max;
	uint64_t	recipients, message_size;	/* the limits of a message */
	uint64_t	messages, messages_max;	/* of the last hour, and its limit, 0: there is none */
	uint64_t	queued_messages, queued_octets;	/* of this account in the spool */
};
void	ipc_put_status_answer(struct wire_out *w, const struct ipc_status_answer *m);
int	ipc_get_status_answer(struct wire_in *w, struct ipc_status_answer *m);

struct ipc_grant {
	uint64_t		session;
	uint64_t		account;
	char			name[IPC_TEXT_MAX];
	struct netaddr		peer;
	enum listener_kind	listener;
	char			credential[IPC_TEXT_MAX];	/* the name of the one it logged in with; "": the main password */
	enum mechanism		mechanism;
	uint64_t		began_us, login_us;	/* when, microseconds since 1970; for the trace */
};
void	ipc_put_grant(struct wire_out *w, const struct ipc_grant *m);
int	ipc_get_grant(struct wire_in *w, struct ipc_grant *m);

struct ipc_grant_name {
	uint64_t	session;
	char		name[IPC_TEXT_MAX];
};
void	ipc_put_grant_name(struct wire_out *w, const struct ipc_grant_name *m);
int	ipc_get_grant_name(struct wire_in *w, struct ipc_grant_name *m);

struct ipc_envelope_sender {
	uint64_t		session;
	uint32_t		t;
	struct ipc_sender	sender;
	uint64_t		message_size;	/* the limit for this message */
	bool			check_header;	/* ask IPC_FROM before the commit */
	bool			repair_lf;	/* an old device: bare LF becomes CRLF */
};
void	ipc_put_envelope_sender(struct wire_out *w, const struct ipc_envelope_sender *m);
int	ipc_get_envelope_sender(struct wire_in *w, struct ipc_envelope_sender *m);

struct ipc_envelope_recipient {
	uint64_t		session;
	uint32_t		t;
	struct ipc_recipient	recipient;
};
void	ipc_put_envelope_recipient(struct wire_out *w, const struct ipc_envelope_recipient *m);
int	ipc_get_envelope_recipient(struct wire_in *w, struct ipc_envelope_recipient *m);

struct ipc_envelope_drop {
	uint64_t	session;
	uint32_t	t;
};
void	ipc_put_envelope_drop(struct wire_out *w, const struct ipc_envelope_drop *m);
int	ipc_get_envelope_drop(struct wire_in *w, struct ipc_envelope_drop *m);

struct ipc_from {
	uint64_t	session;
	uint32_t	t;		/* 0: of no message but ETRN's; then of "*@domain" only */
	uint8_t		n;
	struct addr	addresses[IPC_FROM_ADDRESSES_MAX];
};
void	ipc_put_from(struct wire_out *w, const struct ipc_from *m);
int	ipc_get_from(struct wire_in *w, struct ipc_from *m);

enum header_verdict {
	HEADER_ALLOWED,
	HEADER_NOT_ALLOWED,
	HEADER_LOGIN_VOID,	/* the login no longer holds, whatever the addresses */
	HEADER_UNAVAILABLE,	/* the registry can't answer, no such session, or it has taken the transaction back */
};
struct ipc_from_answer {
	uint64_t		session;
	uint32_t		t;
	enum header_verdict	verdict;
};
void	ipc_put_from_answer(struct wire_out *w, const struct ipc_from_answer *m);
int	ipc_get_from_answer(struct wire_in *w, struct ipc_from_answer *m);

struct ipc_storage {
	bool	ok;
};
void	ipc_put_storage(struct wire_out *w, const struct ipc_storage *m);
int	ipc_get_storage(struct wire_in *w, struct ipc_storage *m);

struct ipc_usage {
	char		account[IPC_TEXT_MAX];
	uint64_t	messages, octets;	/* of its messages in new/, cur/ and hold/; 0 messages: none any more */
};
void	ipc_put_usage(struct wire_out *w, const struct ipc_usage *m);
int	ipc_get_usage(struct wire_in *w, struct ipc_usage *m);

/* IPC_OPEN, IPC_OUTCOME: the transaction's number. */
void	ipc_put_transaction(struct wire_out *w, enum ipc_kind kind, uint32_t t);
int	ipc_get_transaction(struct wire_in *w, uint32_t *t);

enum commit_verdict {
	COMMIT_STORED,			/* on stable storage, once and whole */
	COMMIT_NO_STORAGE,		/* 452; nothing is stored, as for all below */
	COMMIT_TOO_BIG,			/* 552 */
	COMMIT_BAD_OCTETS,		/* 554: NUL, bare CR or bare LF */
	COMMIT_MALFORMED,		/* 554: a header over 256 KiB */
	COMMIT_SENDER_NOT_ALLOWED,	/* 553: header From */
	COMMIT_NO_RECIPIENTS,		/* 554 */
	COMMIT_TWO_FROM,		/* 554 */
	COMMIT_BAD_FROM,		/* 554: no address in it can be read */
	COMMIT_LOOP,			/* 554: too many Received fields */
	COMMIT_LOGIN_VOID,		/* 530 */
	COMMIT_ERROR,			/* 451 */
};
struct ipc_commit_answer {
	uint32_t		t;
	enum commit_verdict	verdict;
	char			id[IPC_TEXT_MAX];	/* queue id if stored, else "" */
};
void	ipc_put_commit_answer(struct wire_out *w, const struct ipc_commit_answer *m);
int	ipc_get_commit_answer(struct wire_in *w, struct ipc_commit_answer *m);

struct ipc_outcome_answer {
	uint32_t	t;
	bool		stored;			/* false: it is not there and never will be */
	char		id[IPC_TEXT_MAX];
};
void	ipc_put_outcome_answer(struct wire_out *w, const struct ipc_outcome_answer *m);
int	ipc_get_outcome_answer(struct wire_in *w, struct ipc_outcome_answer *m);

#include "message_data.h"
#include "message_etrn.h"
#include "message_keys.h"

#endif
