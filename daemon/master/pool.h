#ifndef MASTER_POOL_H
#define MASTER_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc.h"
#include "loop.h"

struct master;
struct ipc_control_session;

#define POOL_BUCKETS 1024
#define POOL_REFUSERS_MAX 64	/* workers beyond workers.max that only say why a client is refused */

/* One worker process: idle, or busy with its one session. */
struct worker_process {
	struct worker_process	*next;		/* in its bucket */
	struct worker_process	*next_idle;
	struct master		*master;
	pid_t			 pid;
	struct loop_watch	 watch;
	bool			 open, idle, ended;
	struct ipc_session	 session;	/* when busy */
	struct ipc_session_end	 end;		/* when ended */
	uint64_t		 started_ms;
	char			*account;	/* in unshared memory, or NULL */
	bool			 doomed;	/* was told to end */
	uint64_t		 kill_ms;	/* if doomed: when it is killed */
};

/* A session as it was when a list was made; it may have gone since. */
struct pool_place {
	pid_t		pid;
	uint64_t	session;
};

struct pool {
	struct worker_process	*buckets[POOL_BUCKETS];
	struct worker_process	*idle;
	unsigned		 nidle, nbusy, nrefusing;
	unsigned		 ndoomed;
	uint64_t		 starved_since_ms;	/* 0: forks succeed */
	uint64_t		 logged_ms;		/* when a failure was logged last */
	uint64_t		 fork_after_ms;		/* not before: a fork or a fresh worker has failed */
};

/* Forks idle workers up to workers.spare. */
void	pool_fill(struct master *m);
/* Whether an idle worker is there or could be made. */
bool	pool_can_serve(struct master *m);
/* Whether no worker could be made for so long that clients must be told. */
bool	pool_is_starved(const struct master *m);
/* Ends the idle ones (they hold an old configuration). */
void	pool_drop_idle(struct master *m);

/*
 * Gives the session to an idle worker. fds: client, auth, and keys if nfds is 3; the caller closes its copies.
 * ERR_NOTFOUND when there is no idle worker, ERR_CLOSED.
 */
int	pool_hand_over(struct master *m, const struct ipc_session *s, const int *fds, size_t nfds);

/* Takes note of a child's end; false when pid is no worker. */
bool	pool_reap(struct master *m, pid_t pid, int status);

/* Whose session it is, as auth says. */
void	pool_name_session(struct master *m, uint64_t session, const char *account);

/* The sessions that are served now; the caller frees *list (never NULL). ERR_NOMEM. */
int	pool_list(const struct master *m, struct pool_place **list, size_t *n);
/* One of them. ERR_NOTFOUND when it has ended. */
int	pool_describe(const struct master *m, const struct pool_place *p, struct ipc_control_session *row);

/* Has one session (number not 0), or all of an account, end with 421, or in five seconds by force. How many there are. */
unsigned pool_end_sessions(struct master *m, uint64_t session, const char *account);
/* Kills whoever has not ended in time. The milliseconds until it wants to be called again, -1 for never. */
int	pool_tick(struct master *m, uint64_t now_ms);

/* Tells all workers to finish (their socket's end), or kills them. */
void	pool_end(struct master *m);
void	pool_kill(struct master *m);
bool	pool_is_empty(const struct master *m);

#endif
