#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bans.h"
#include "buf.h"
#include "conf.h"
#include "counters.h"
#include "deadlines.h"
#include "hashers.h"
#include "loop.h"
#include "registry.h"
#include "usage.h"

struct rates;
struct remember;
struct session;
struct throttle;
struct writer;

/* A configuration in use: that of new sessions, and of old ones until they end. */
struct auth_conf {
	struct conf	conf;
	size_t		users;
};

/* The socket to the spool. */
struct link {
	struct loop_watch	watch;		/* fd -1: there is none now */
	uint32_t		generation;	/* counts the sockets: a session is known on the one of its grant */
	bool			has_storage;	/* as the spool said last */
	bool			waits;		/* for room, with answers in `unsent` */
	struct buf		unsent;
};

/* A transaction that has ended and stays counted, unless the spool is still to say that no message came of it. */
struct ended {
	uint64_t	session, account, credential, counted_ms;
	uint32_t	t;
};

#define AUTH_SESSION_BUCKETS 8192
#define AUTH_ENDED 1024		/* a spool says so within milliseconds: more than end in that time */

/* postern-auth. */
struct auth {
	struct registry		*registry;
	struct remember		*remember;
	struct remember		*wrong;		/* passwords that known networks have got wrong, by account */
	struct rates		*rates;
	struct ended		 ended[AUTH_ENDED];	/* the last ones, in a ring */
	size_t			 next_ended;
	struct loop		 loop;
	struct loop_watch	 control;	/* the socket to the master; fd -1: it has ended */
	bool			 stopping;
	struct link		 link;
	struct hashers		 hashers;
	struct deadlines	 deadlines;
	struct counters		 counters;
	struct writer		*writer;
	size_t			 nrehashes;	/* under way */
	struct throttle		*networks;	/* wrong passwords, by network */
	struct throttle		*pairs;		/* the same of networks that an account has logged in from, with it */
	struct bans		 bans;
	struct usage		 usage;
	struct auth_conf	*conf;		/* for new sessions */
	struct session		*sessions[AUTH_SESSION_BUCKETS];
	size_t			 nsessions;
	char			 dummy_hash[REGISTRY_HASH_MAX];	/* what the password of nobody is compared with */
	uint64_t		 trouble_ms, full_ms;	/* when trouble with the registry, a full queue was logged last */
};

/* control.c: the master's messages. All that waits is handled; at the socket's end `stopping` is set. */
int	control_watch(struct auth *a, int fd);
void	control_drain(struct auth *a);
/* Tells the master whose session it is; for people to see only, so it may be lost. */
void	control_tell_account(struct auth *a, const struct session *s);

/* A configuration loses one user. */
void	auth_conf_release(struct auth_conf *c);

/* Logs that the registry could not answer, at most once a minute; the same for a full queue. */
void	auth_log_trouble(struct auth *a, int err);
void	auth_log_full(struct auth *a);

#endif
