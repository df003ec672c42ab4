#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "conf.h"
#include "sandbox.h"

struct tls_shared;

/* What a worker inherits from the master; nothing in it is secret. */
struct worker {
	const struct conf	*conf;
	struct tls_shared	*tls;		/* NULL when no listener has TLS */
	const struct sandbox	*sandbox;	/* prepared */
};

/*
 * The life of a worker, in a child that the master has just forked: gives up every right, waits on master_fd for its one session
 * (IPC_SESSION), serves it, says how it ended, and exits: 0, or 71 (EX_OSERR) when the sandbox could not be entered.
 */
void	worker_run(const struct worker *w, int master_fd) __attribute__((noreturn));

#endif
