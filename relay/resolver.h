#ifndef RELAY_RESOLVER_H
#define RELAY_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop.h"
#include "message_resolve.h"

struct service;

#define RESOLVER_LOOKUPS_MAX 512	/* at the same time; more wait with their callers */

/* One question that waits for its answer. */
struct resolver_lookup {
	uint64_t	number;		/* 0: free */
	uint64_t	deadline_ms;
	void		(*done)(void *owner, const struct ipc_resolve_answer *answer);
	void		*owner;
};

/* The relay's end of its resolver process, which asks the DNS: one a relay. */
struct resolver {
	struct loop		*loop;
	struct loop_watch	 watch;		/* fd -1: the process has gone */
	pid_t			 pid;
	uint64_t		 number;	/* the last one given */
	size_t			 count;
	void			(*lost)(void *owner);
	void			*owner;
	struct resolver_lookup	 lookups[RESOLVER_LOOKUPS_MAX];
};

/*
 * Forks the resolver: before the relay gives up its rights and reads a foreign octet, since the resolver reads /etc/resolv.conf,
 * /etc/hosts and the key of the DNS root, and enters a sandbox of its own. Returns when it is sealed. In the child it does not
 * return. On an error why (size octets) is a sentence for service_fail(). ERR_SYSTEM, ERR_DENIED.
 */
int	resolver_start(struct resolver *r, const struct service *s, char *why, size_t size);

/* Takes it into the loop. lost() is told once when the process has died: the relay then ends, and is started again. ERR_SYSTEM. */
int	resolver_watch(struct resolver *r, struct loop *loop, void (*lost)(void *owner), void *owner);

/*
 * Asks; done() gets the answer from the loop, later, never from within this call, and at the latest after some 40 s. The name is a
 * domain as in an address, UTF-8 too, with or without a dot at its end. An address literal is no question for the DNS.
 * ERR_BUSY: too many at once; ERR_SYNTAX: no name for the DNS; ERR_CLOSED.
 */
int	resolver_ask(struct resolver *r, enum resolve_type type, const char *name,
	    void (*done)(void *owner, const struct ipc_resolve_answer *answer), void *owner, uint64_t *number);
/* done() of that question will not be called. */
void	resolver_forget(struct resolver *r, uint64_t number);

/* Answers what has waited too long; called now and then, every second or so. */
void	resolver_tick(struct resolver *r, uint64_t now_ms);

/* Closes the socket: the process ends. */
void	resolver_end(struct resolver *r);

#endif
