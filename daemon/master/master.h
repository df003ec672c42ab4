#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "clients.h"
#include "conf.h"
#include "control.h"
#include "instance.h"
#include "ipc.h"
#include "listeners.h"
#include "loop.h"
#include "metric.h"
#include "pool.h"
#include "sandbox.h"
#include "services.h"
#include "unshared.h"
#include "watch.h"
#include "worker.h"

struct tls_shared;

/* A configuration in force, with what was made from it. */
struct setup {
	struct conf		 conf;
	char			*text;		/* the file as it was checked; services get this */
	size_t			 len;
	struct tls_shared	*tls;		/* NULL without a TLS listener */
	uint8_t			 tls_digests[CONF_PAIRS_MAX][32];	/* of the pairs, in order */
	size_t			 ntls;
	bool			 has_dkim;	/* there are keys to sign mail with */
	uint64_t		 files;		/* the state of the pairs' files before they were read: setup_files() */
};

/* The master: one a process. */
struct master {
	struct instance		 in;
	struct instance_ids	 ids;
	struct setup		 setup;
	struct setup		 next;		/* while a reload waits for its keys process */
	bool			 reloading;
	bool			 reload_is_ours;	/* for changed files, not for HUP */
	bool			 reload_again;		/* HUP came meanwhile */
	struct watch		 watch;
	struct loop		 loop;
	struct sandbox		 sandbox;	/* of workers */
	struct services		 services;
	struct pool		 pool;
	struct clients		 clients;
	struct listeners	 listeners;
	uint64_t		 session;	/* the last number given */
	bool			 stopping;
	bool			 paused;	/* new sessions are told 421, by smtpadm pause; forgotten at the end */
	bool			 draining;	/* no new sessions; the end comes with the last one */
	uint64_t		 started_ms, loaded_ms;
	uint64_t		 metrics[METRIC_COUNT];
	struct control		 control;
	struct unshared		*unshared;
};

/* Loads file, certificate chain and digest. ERR_SYNTAX, ERR_NOTFOUND, ERR_SYSTEM; why (size octets) says file:line and what. */
int	setup_load(const struct instance *in, struct setup *s, char *why, size_t size);
/* The same from the text of another one: only the files that it names are read. Also ERR_NOMEM. */
int	setup_load_again(const struct instance *in, const struct setup *from, struct setup *s, char *why, size_t size);
/* A number that changes when one of the files of certificates and keys does, or what a link of that name leads to; never 0. */
uint64_t setup_files(const struct instance *in, const struct conf *c);
void	setup_free(struct setup *s);
bool	setup_needs_tls(const struct setup *s);
/* Whether postern-keys has work. */
bool	setup_needs_keys(const struct setup *s);
/* Raises the limit of open files as far as it goes; fewer workers when that is not enough for workers.max. ERR_DENIED, with why. */
int	setup_fit_limits(struct setup *s, char *why, size_t size);

/* HUP: checks everything new, then switches; on any failure the old state stays and the log says why. */
void	reload_begin(struct master *m);
/* Begins the reload that HUP asked for during another; called every round. */
void	reload_continue(struct master *m);
/* For changed files of certificates and keys: the same, with the configuration that is in force. */
void	reload_certificates(struct master *m);
/* The new keys process is ready (its digest checked), or has failed for this reason. */
void	reload_commit(struct master *m);
void	reload_abort(struct master *m, const char *why);

/* Hands a client to a worker. */
void	dispatch_client(struct master *m, const struct listener *l, int client_fd, const struct netaddr *peer,
	    const struct netaddr *local);

#endif
