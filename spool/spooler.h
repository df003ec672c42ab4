#ifndef SPOOL_SPOOLER_H
#define SPOOL_SPOOLER_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "folder_sync.h"
#include "id.h"
#include "ipc.h"
#include "journal.h"
#include "keys_link.h"
#include "leave.h"
#include "loop.h"
#include "outcome.h"
#include "pool.h"
#include "queue.h"
#include "service.h"
#include "spool.h"
#include "trace.h"
#include "waiting.h"

struct active;
struct delivery;
struct message;
struct session;

#define SPOOLER_SESSION_BUCKETS 4096

/* The state of the process postern-spool. */
struct spooler {
	struct service		 service;
	struct spool_dirs	 dirs;
	EVP_MD			*digest;
	struct loop		 loop;
	struct loop_watch	 control_watch, pool_watch, link_watch;
	bool			 link_is_writing;	/* waits for room in the link */
	bool			 storage_unsent;	/* an IPC_STORAGE waits for it */
	bool			 is_low;		/* too little space is left */
	struct folder_sync	 new_sync, cur_sync, state_sync;
	struct journal		 journal;	/* dirs.journal points here when there is one */
	int			 journal_error;	/* of its checkpoints, as it was logged */
	struct pool		 pool;
	struct id_source	 ids;
	struct outcomes		 outcomes;
	struct waiting		 waiting;
	struct control		 control;
	struct keys_link	 keys_link;
	struct {
		struct loop_watch	 watch;		/* fd -1: there is none */
		bool			 is_ready;	/* deliveries may go */
		bool			 is_writing;	/* waits for room in it */
		struct delivery		*first, *last;	/* the row of those that it is to be given */
	}			 relay;
	struct queue		 queue;
	struct active		*actives;		/* messages with which something is being done */
	struct delivery		*deliveries;		/* all that are under way */
	uint64_t		 next_number;		/* of deliveries and questions to keys; none is given twice, also over a restart */
	struct leaving		 leaving;
	struct trace		 trace;
	struct session		*sessions[SPOOLER_SESSION_BUCKETS];
	struct session		*dead;			/* to be freed after this round */
	struct message		*messages;		/* all that are under way */
	bool			 draining;		/* the master has gone */
	uint64_t		 draining_since_ms;
	uint8_t			 datagram[IPC_DATAGRAM_MAX];	/* from a worker */
	uint8_t			 small[IPC_SMALL_MAX];		/* from auth or the master, and to them */
};

#endif
