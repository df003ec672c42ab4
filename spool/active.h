#ifndef SPOOL_ACTIVE_H
#define SPOOL_ACTIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "dkim.h"
#include "pool.h"
#include "spool.h"
#include "state.h"

struct delivery;
struct destination;
struct notice;
struct part;
struct queue_entry;
struct spooler;

enum signing {
	SIGNING_UNASKED,
	SIGNING_READING,	/* a commit thread reads the message */
	SIGNING_ASKED,		/* keys has the question */
	SIGNING_DONE,
};

/* A message with which something is being done, as it was read: its envelope and state, until all that has happened is on the disk. */
struct active {
	struct active		*previous, *next;	/* all of them */
	struct active		*next_leaving;		/* leave.h */
	struct spooler		*sp;
	struct queue_entry	*entry;			/* NULL: it was taken out while it was read */
	char			 id[SPOOL_ID_TEXT];
	char			 file[SPOOL_NAME_MAX];
	bool			 is_in_cur;		/* where it stands */
	bool			 is_moved;		/* it was renamed to cur/, which new/ has not been synced for */
	int			 fd;			/* open for reading */
	struct spool_envelope	 envelope;
	struct state		 state;
	struct destination	**to;			/* of each recipient that waits, else NULL */
	bool			*is_out;		/* of each recipient: a delivery has it */
	int64_t			 expires_ms;		/* by the steady clock */
	struct delivery		*deliveries;
	bool			 is_read;
	bool			 is_dirty;		/* the state differs from what is on the disk */
	bool			 is_set_aside;		/* it leaves for failed/ */
	uint32_t		 tries;			/* of the part that had most, its last one with them */
	bool			 is_leaving;		/* all is done: its file is being removed */
	bool			 may_warn;		/* a recipient's NOTIFY does not forbid it */
	bool			 is_warning;		/* the sender is to be told of the delay */
	uint64_t		 retry_ms;		/* the disk did not take it: not before */
	struct job		 job;			/* one at a time */
	struct buf		 text;			/* of the state, while a job writes it */
	bool			 text_is_precious;
	int			 error;			/* errno of a job that failed */
	struct notice		*notice;		/* a report on its way, or NULL */
	enum signing		 signing;
	uint64_t		 signing_number;
	struct dkim_input	 dkim;
	uint8_t			*signatures;		/* DKIM-Signature fields, malloc'd */
	size_t			 signatures_len;
};

/* Reads a message of the queue, if that is not done or being done; active_step() follows. ERR_NOMEM. */
int	active_open(struct spooler *sp, struct queue_entry *e);

/* Does the next thing that can be done; whatever is waited for calls it again. It may be freed by this. */
void	active_step(struct active *a);

/* Whether an admin's change has to wait. Only being read does not count: active_detach() then. */
bool	active_is_busy(const struct active *a);
/* Its entry goes: what was read is thrown away. */
void	active_detach(struct active *a);

/* For leave.h: it is gone for good; or the disk refused. */
void	active_left(struct active *a);
void	active_stayed(struct active *a, int err, int error);

/* Every second. */
void	active_tick(struct spooler *sp, uint64_t now_ms);

/* Frees one that has no job and no delivery. */
void	active_free(struct active *a);

/* Whether something of it is given out and not done with. */
bool	active_has_taken(const struct active *a);

#endif
