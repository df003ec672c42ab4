#ifndef AUTH_LOGIN_H
#define AUTH_LOGIN_H

#include "counters.h"
#include "hashers.h"
#include "ipc.h"
#include "password.h"
#include "registry.h"

struct session;

/* A login under way. */
struct login {
	struct hash_job			 job;
	struct counter_waiter		 waiter;
	bool				 has_slot;
	uint64_t			 started_ms;
	enum mechanism			 mechanism;
	const char			*reason;	/* why it fails if nothing matches, for the log */
	bool				 is_unclear;	/* a hash could not be computed: the password may be right */
	char				 user[REGISTRY_NAME_MAX * 2];	/* as given, for the log */
	bool				 spared;	/* its network is on the list of those that are allowed */
	bool				 known;		/* its account has logged in from its network */
	struct registry_account		 account;
	struct registry_credential	*credentials;
	bool				 barred[REGISTRY_CREDENTIALS_MAX];	/* those that are compared, but never good here */
	size_t				 ncredentials, next;	/* next: the one that is compared */
	char				 password[PASSWORD_MAX + 1];
};

/* obstacle.c: why no password may be tried from the client's network now, with s->wait_seconds; or NULL. */
const char *obstacle_find(struct session *s);
/* Counts a wrong password, and says by how much its answer is slowed. */
unsigned obstacle_count_wrong(struct session *s);

/*
 * login_local.c: the account and the one credential of the user at the other end of the local socket; none when the user has none (then
 * reason says why). Errors are the registry's.
 */
int	login_local_identify(struct session *s);
/* Whom its programs send as if they do not say: an address or a pattern with '*'; "" for none. */
void	login_local_sender(struct session *s, char *to, size_t size);

#endif
