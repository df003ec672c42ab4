#ifndef RELAY_UNSHARED_H
#define RELAY_UNSHARED_H

#include <stddef.h>
#include <stdint.h>

#include "ipc.h"
#include "message_relay.h"
#include "session.h"

#define UNSHARED_BLOCK 4096
#define UNSHARED_BLOCKS 16384

/* Memory that a forked session process does not get: it finds zeros. */
struct unshared {
	char		secrets[CONF_ROUTES_MAX][SESSION_SECRET_MAX];	/* by route; "" for none */
	uint8_t		datagram[IPC_SMALL_MAX];			/* what came last */
	struct ipc_deliver deliver;					/* and as what it was read */
	struct ipc_deliver_recipient recipient;
	struct ipc_finished finished;
	size_t		nused, nfree;
	uint16_t	free[UNSHARED_BLOCKS];
	_Alignas(64) uint8_t blocks[UNSHARED_BLOCKS][UNSHARED_BLOCK];
};

/* ERR_SYSTEM. */
int	unshared_open(struct unshared **u);
/* A block of zeros; NULL when all are in use. */
void	*unshared_get(struct unshared *u);
/* Gives one back; NULL is nothing. */
void	unshared_drop(struct unshared *u, void *block);

#endif
