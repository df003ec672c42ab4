#ifndef ADMIN_QUEUE_H
#define ADMIN_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin.h"
#include "spool.h"

/* A message of the queue as smtpadm shows it. */
struct queue_message {
	enum spool_folder	folder;
	char			file[SPOOL_NAME_MAX];
	int			err;		/* of reading the envelope; then the envelope is empty */
	struct spool_envelope	envelope;
};

/*
 * Opens the spool and, as root, becomes its owner for good: the rest of the process can do nothing but read it.
 * Exit code.
 */
int	queue_open(const struct admin *a, struct spool_dirs *d);

/* "active", "held", "failed"; "incoming", "active", "hold", "corrupt" (Postfix's words). */
const char *queue_state(enum spool_folder f);
const char *queue_name(enum spool_folder f);

/* Reads what an entry's file says. */
void	queue_read(const struct spool_entry *e, struct queue_message *m);
void	queue_free(struct queue_message *m);
/* One JSON object. */
void	queue_put_json(const struct queue_message *m);

#endif
