#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "clients.h"
#include "conf.h"
#include "instance.h"
#include "ipc.h"
#include "listeners.h"
#include "loop.h"
#include "pool.h"
#include "sandbox.h"
#include "services.h"
#include "worker.h"

struct tls_shared;

/* A configuration in force, with what was made from it. */
struct setup {
	struct conf		 conf;
	char			*text;		/* the file as it was checked; services get this */
	size_t			 len;
	struct tls_shared	*tls;		/* NULL without a TLS listener */
	uint8_t			 tls_digest[32];
};

/* The master: one a process. */
struct master {
	struct instance		 in;
	struct instance_ids	 ids;
	struct setup		 setup;
	struct setup		 next;		/* while a reload waits for its keys process */
	bool			 reloading;
	struct loop		 loop;
	struct sandbox		 sandbox;	/* of workers */
	struct services		 services;
	struct pool		 pool;
	struct clients		 clients;
	struct listeners	 listeners;
	uint64_t		 session;	/* the last number given */
	bool			 stopping;
};

/* Loads file, certificate chain and digest. ERR_SYNTAX, ERR_NOTFOUND, ERR_SYSTEM; why (size octets) says file:line and what. */
int	setup_load(const struct instance *in, struct setup *s, char *why, size_t size);
void	setup_free(struct setup *s);
bool	setup_needs_tls(const struct setup *s);
/* Raises the limit of open files as far as it goes; fewer workers when that is not enough for workers.max. ERR_DENIED, with why. */
int	setup_fit_limits(struct setup *s, char *why, size_t size);

/* HUP: checks everything new, then switches; on any failure the old state stays and the log says why. */
void	reload_begin(struct master *m);
/* The new keys process is ready (its digest checked), or has failed for this reason. */
void	reload_commit(struct master *m);
void	reload_abort(struct master *m, const char *why);

/* Hands a client to a worker. */
void	dispatch_client(struct master *m, const struct listener *l, int client_fd, const struct netaddr *peer,
	    const struct netaddr *local);

#endif
