#ifndef SPOOL_CHANGE_BATCH_H
#define SPOOL_CHANGE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "change.h"
#include "message_queue.h"

struct spooler;

/* The changes that one admin has asked for and that are done together. Zero-initialise. */
struct change_batch {
	size_t	n;			/* questions, in their order */
	struct change_question {
		enum queue_change	change;
		char			text[IPC_TEXT_MAX];
		size_t			first, n;	/* its files among the items */
	}	questions[IPC_QUEUE_AHEAD];
	size_t	nitems;
	struct change_item {
		enum queue_verdict	verdict;
		bool			is_open;	/* there is work on the file; the next one of list is its */
		bool			is_taken;	/* out of the schedule meanwhile */
		char			id[SPOOL_ID_TEXT];	/* of the message, when is_open */
	}	items[IPC_QUEUE_MANY];
	size_t	nlist;
	struct spool_change list[IPC_QUEUE_MANY];
};

/* One question more (n is below IPC_QUEUE_AHEAD): does what needs no disk, and takes the rest out of the schedule. */
void	change_batch_take(struct change_batch *b, struct spooler *sp, const struct ipc_queue_change *q, uid_t by);
/* Whether it has work on a message. */
bool	change_batch_has(const struct change_batch *b, const char *id);
/* In a commit thread. */
void	change_batch_perform(struct change_batch *b, const struct spool_dirs *d);
/* Afterwards, in the loop: notes what was done; every question has its verdict then. */
void	change_batch_finish(struct change_batch *b, struct spooler *sp, uid_t by);

#endif
