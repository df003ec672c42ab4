#ifndef MASTER_LISTENERS_H
#define MASTER_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "loop.h"

struct master;

struct listener {
	struct master		*master;
	struct conf_listener	 conf;
	struct loop_watch	 watch;
	bool			 watched;
};

struct listeners {
	struct listener	*list[CONF_LISTENERS_MAX];
	size_t		 n;
	struct listener	*local;		/* the local socket; NULL: off */
	bool		 paused;
};

/*
 * Makes the set that a configuration asks for: addresses that are open already stay open. On failure nothing changes and why
 * names the address and what to do. ERR_EXISTS (in use), ERR_DENIED (privileged port), ERR_SYSTEM, ERR_NOMEM.
 */
int	listeners_switch(struct master *m, const struct conf *c, char *why, size_t size);

/* Accepts what waits at a listener; owner is it. */
void	listeners_accept(void *owner, uint32_t events);

/* Stops and starts accepting; connections wait in the kernel meanwhile. */
void	listeners_pause(struct master *m);
void	listeners_resume(struct master *m);
void	listeners_close(struct master *m);

#endif
