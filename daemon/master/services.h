#ifndef MASTER_SERVICES_H
#define MASTER_SERVICES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc.h"
#include "loop.h"

struct master;
struct setup;

/* What sessions need, and relay, which carries mail on: without it mail is taken, and waits. */
enum service_id { SERVICE_AUTH, SERVICE_KEYS, SERVICE_SPOOL, SERVICE_RELAY, SERVICE_COUNT };

/* Those that a reload replaces by a second process on the new configuration. */
enum next_id { NEXT_KEYS, NEXT_RELAY, NEXT_COUNT };
#define SERVICES_DRAINING 16

/* One process of a service. Two of keys, or of relay, live side by side while a reload replaces the first. */
struct service_process {
	struct master		*master;
	enum service_id		 id;
	pid_t			 pid;		/* 0: not running */
	struct loop_watch	 control;
	bool			 open;		/* control.fd is open and watched */
	bool			 ready, failed;
	bool			 served;	/* was ready at some time */
	uint8_t			 code;		/* of a failure */
	char			 reason[IPC_REASON_MAX];
	uint64_t		 started_ms, retry_ms;
	unsigned		 failures;	/* one after the other */
};

struct services {
	struct service_process	 process[SERVICE_COUNT];
	struct service_process	 next[NEXT_COUNT];	/* during a reload; master NULL: none */
	pid_t			 draining[SERVICES_DRAINING];	/* old processes of keys and relay that finish what is under way */
	uint64_t		 down_since_ms;	/* 0: all there */
};

/* "auth", "keys", "spool", "relay". */
const char *service_name(enum service_id id);

/* Starts what the setup needs. A process that can't be forked counts as failed and is tried again. */
void	services_start(struct master *m);
/* Whether this configuration has work for the service. */
bool	services_needs(const struct setup *s, enum service_id id);
/* Starts a second process of keys or relay on a new configuration. ERR_SYSTEM. */
int	services_start_next(struct master *m, enum next_id next, const struct setup *s);
/* Whether all that were started are ready. */
bool	services_next_are_ready(const struct master *m);
/* Makes the second ones the first, and ends a relay that has no work any more; the old ones end when what is under way is done. */
void	services_take_next(struct master *m);
void	services_drop_next(struct master *m);

/* Whether all that the setup needs is ready; and whether all but the relay are. */
bool	services_are_ready(const struct master *m);
bool	services_can_submit(const struct master *m);
/* Whether those are ready that a session on such a listener can't do without: STARTTLS can be answered 454 without keys. */
bool	services_may_serve(const struct master *m, enum listener_kind kind);
/* The first that has failed, or NULL. */
const struct service_process *services_failed(const struct master *m);

/* Starts again what died; called every round. Returns the milliseconds until it wants to be called again, -1 for never. */
int	services_tick(struct master *m, uint64_t now_ms);

/* Takes note of a child's end; false when pid is none of them. */
bool	services_reap(struct master *m, pid_t pid, int status);

/* Sends a message with at most one descriptor, never waiting. ERR_CLOSED, ERR_BUSY, ERR_SYSTEM. */
int	services_tell(struct master *m, enum service_id id, const struct wire_out *w, const int *fd);
/* Gives auth and spool a copy of the setup's configuration. */
void	services_tell_conf(struct master *m);

/* Lets all end (their sockets close), or kills them. */
void	services_end(struct master *m);
void	services_kill(struct master *m);
/* Whether none is left; and whether none but those is left that may wait for a next hop's answer: relay, and spool beside it. */
bool	services_are_gone(const struct master *m);
bool	services_only_deliver(const struct master *m);

#endif
