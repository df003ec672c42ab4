#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop.h"
#include "mx.h"
#include "resolver.h"
#include "sandbox.h"
#include "service.h"
#include "session.h"
#include "unshared.h"

/*
 * The parent's own things. All that follow live in blocks of unshared memory; lists are chained through `next`.
 */
#define RELAY_HOSTS_MAX 8		/* mail exchangers that are looked at */
#define RELAY_HOST_ADDRESSES_MAX 5	/* addresses of one host that are tried */
#define RELAY_CANDIDATES_MAX 10		/* addresses that are tried in all */
#define RELAY_IDLE_MS 2000		/* how long a session without work is kept */
#define RELAY_SESSION_DELIVERIES 100	/* how many it carries at most */
#define RELAY_STOP_MS 15000		/* how long sessions may finish when the master has gone */

struct relay;
struct destination;
struct outbound;

/* Encoded datagrams of one delivery. */
struct piece {
	struct piece	*next;
	size_t		 used;
	uint8_t		 data[UNSHARED_BLOCK - sizeof(void *) - sizeof(size_t)];
};

/* What the spool gave, until a session process says that it is done. */
struct delivery {
	struct delivery	*next;
	uint64_t	 number;
	char		 id[32];
	uint16_t	 n, come;	/* recipients: in all, and those that have come */
	uint16_t	 indexes[RELAY_RECIPIENTS_MAX];
	int		 file_fd, result_fd;	/* -1: handed over */
	struct piece	*first, *last;
};

/* A way to a session with a destination: names, addresses, a connection, a process that greets. */
struct attempt {
	struct attempt		*next;
	struct destination	*destination;
	size_t			 nhosts, nopen;	/* hosts; lookups that are not answered yet */
	struct mx_host		 hosts[RELAY_HOSTS_MAX];
	struct attempt_lookup {
		struct attempt	*attempt;
		uint64_t	 number;	/* 0: none */
		size_t		 host;
		uint8_t		 status;	/* enum resolve_status */
	}			 lookups[RELAY_HOSTS_MAX];
	size_t			 naddresses[RELAY_HOSTS_MAX];
	struct netaddr		 addresses[RELAY_HOSTS_MAX][RELAY_HOST_ADDRESSES_MAX];
	size_t			 host, address;	/* that is tried now */
	size_t			 ntried;
	bool			 is_clear;	/* once more without TLS */
	struct loop_watch	 watch;		/* the connection that is being made; fd -1: none */
	uint64_t		 deadline_ms;
	struct outbound		*outbound;	/* the process that greets */
	bool			 has_reason;
};
_Static_assert(sizeof(struct attempt) <= UNSHARED_BLOCK, "an attempt fits into a block");

/* A route, and for mx: a domain; there while anything waits for it or is connected to it. */
struct destination {
	struct destination	*next;
	struct relay		*relay;
	size_t			 route;		/* its index */
	char			 domain[256];
	struct delivery		*first, *last;	/* that wait */
	size_t			 nwaiting, nsessions, nattempts;
	uint64_t		 open_ms;	/* when another session may be opened: those that there are may have become free */
	struct ipc_finished	 reason;	/* why the last attempt failed */
};
_Static_assert(sizeof(struct destination) <= UNSHARED_BLOCK, "a destination fits into a block");

enum outbound_state { OUTBOUND_STARTING, OUTBOUND_IDLE, OUTBOUND_BUSY, OUTBOUND_CLOSING, OUTBOUND_GONE };

/* A session process. */
struct outbound {
	struct outbound		*next;
	struct destination	*destination;	/* NULL: it failed to become one of its sessions */
	struct attempt		*attempt;	/* while it is starting */
	struct delivery		*delivery;	/* that it has */
	struct loop_watch	 watch;		/* its control socket */
	enum outbound_state	 state;
	pid_t			 pid;
	bool			 is_counted;	/* among the sessions of its destination */
	bool			 is_killed;
	unsigned		 deliveries;
	uint64_t		 began_ms;
	uint64_t		 since_ms;	/* that it has its delivery, or was told to end, or that its socket has ended */
	uint64_t		 idle_ms;	/* since when it is idle, or starting */
	char			 host[256];
};

struct relay {
	struct loop		 loop;
	struct service		*service;
	struct unshared		*unshared;
	struct resolver		 resolver;
	struct sandbox		 outbound_sandbox;
	struct tls_client	*clients[CONF_ROUTES_MAX];	/* by route */
	int			 root_fd;	/* the system's root, to connect to local sockets from; -1: no route needs it */
	struct loop_watch	 control;	/* the master */
	struct loop_watch	 spool;		/* fd -1: no link */
	struct delivery		*assembling;	/* its recipients are still coming */
	bool			 is_skipping;	/* and those of one that was given back, whose number this is: */
	uint64_t		 skipped;
	struct destination	*destinations;
	struct attempt		*attempts;
	struct outbound		*outbounds;
	size_t			 nsessions, nattempts;
	bool			 is_stopping, is_lost;
	uint64_t		 stop_ms;
};

/* serve.c: the loop. ERR_SYSTEM; ERR_CLOSED: the resolver died. */
int	serve_open(struct relay *r);
int	serve_run(struct relay *r);

/* delivery.c */
/* The first datagram of a delivery is in unshared->deliver and datagram (n octets). NULL: no room; the descriptors stay the caller's. */
struct delivery *delivery_begin(struct relay *r, size_t n, int file_fd, int result_fd);
/* Another one. ERR_NOMEM. */
int	delivery_add(struct relay *r, struct delivery *d, size_t n);
/* Hands it to a session process. ERR_CLOSED, ERR_BUSY, ERR_SYSTEM. */
int	delivery_forward(struct relay *r, struct delivery *d, int fd);
/* Tells the spool the end of a delivery that no session process has, and frees it. */
void	delivery_finish(struct relay *r, struct delivery *d, const struct ipc_finished *m);
void	delivery_return(struct relay *r, struct delivery *d);
/* The same for one that could not be begun; the descriptor stays the caller's. */
void	delivery_refuse(struct relay *r, uint64_t number, int result_fd);
void	delivery_free(struct relay *r, struct delivery *d);

/* destination.c */
/* Puts a whole delivery where it waits, and sees to it that it gets a session. */
void	destination_take(struct relay *r, struct delivery *d, size_t route, const char *domain);
/* Gives what waits to idle sessions, and opens others; frees a destination that nobody needs. */
void	destination_pump(struct relay *r, struct destination *t);
void	destination_pump_all(struct relay *r);
/* An attempt has failed; the reason is in t->reason. */
void	destination_failed(struct relay *r, struct destination *t);
/* Returns all that wait. A spool that has ended does not hear it; one that has another relay now gives them to that. */
void	destination_empty_all(struct relay *r);
const struct conf_route *destination_route(const struct relay *r, const struct destination *t);

/* attempt.c */
/* Begins one. ERR_NOMEM, ERR_BUSY. */
int	attempt_start(struct relay *r, struct destination *t);
/* Goes on with the next address, or ends in destination_failed(). */
void	attempt_next(struct attempt *a);
/* Why the address that is tried now is of no use. */
void	attempt_blame(struct attempt *a, enum delivery_verdict verdict, enum delivery_stage stage, const char *enhanced, const char *text);
void	attempt_blame_session(struct attempt *a, const struct ipc_finished *m);
/* "192.0.2.1", "[192.0.2.1]", "[IPv6:2001:db8::1]". */
bool	attempt_parse_literal(const char *text, struct netaddr *to);
/* Has led to a session, or is no longer wanted. */
void	attempt_end(struct relay *r, struct attempt *a);

/* connect.c: begins to connect to the address of an attempt; goes on with outbound_start() or attempt_next(). */
void	connect_begin(struct relay *r, struct attempt *a);
/* Begins to connect a socket to a local one. -1 with errno. */
int	connect_local(const struct relay *r, const char *path, int fd);
void	connect_tick(struct relay *r, uint64_t now_ms);
/* Whether an address is one of our own listeners. */
bool	connect_is_self(const struct relay *r, const struct netaddr *a);

/* outbound.c */
/* A connection was made: forks its session process. Takes fd. ERR_SYSTEM, ERR_NOMEM. */
int	outbound_start(struct relay *r, struct attempt *a, int fd);
/* The child's part; does not return. */
void	outbound_run(struct relay *r, const struct session_facts *facts, int fd, int control_fd) __attribute__((noreturn));
/* Its first steps: keeps these two and the standard descriptors, and closes its sandbox. */
int	outbound_narrow(struct relay *r, int fd, int control_fd);
struct outbound *outbound_find_idle(struct relay *r, const struct destination *t);
/* Gives it a delivery. Errors: it is of no use any more, the delivery is still the caller's. */
int	outbound_give(struct relay *r, struct outbound *o, struct delivery *d);
/* Closes the one that is idle for longest, to make room. False: none is. */
bool	outbound_evict(struct relay *r);
/* Tells it to end. */
void	outbound_close(struct outbound *o);
void	outbound_tick(struct relay *r, uint64_t now_ms);
/* When it is killed unless it has ended or done something by then; UINT64_MAX: not as it is. */
uint64_t outbound_end_ms(const struct outbound *o);
/* Tells a new spool what is under way. */
void	outbound_tell_underway(struct relay *r);
/* The relay that a watch's owner belongs to: there is one. */
extern struct relay relay;

#endif
