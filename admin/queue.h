#ifndef ADMIN_QUEUE_H
#define ADMIN_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin.h"
#include "spool.h"
#include "state.h"

/* A message of the queue as smtpadm shows it. */
struct queue_message {
	enum spool_folder	folder;
	char			file[SPOOL_NAME_MAX];
	int			err;		/* of reading the envelope; then the envelope is empty */
	struct spool_envelope	envelope;
	struct state		state;		/* of its delivery, with as many recipients; empty when err is set */
};

/*
 * Opens the spool and, as root, becomes its owner for good: the rest of the process can do nothing but read it.
 * Exit code.
 */
int	queue_open(const struct admin *a, struct spool_dirs *d);

/* "active", "deferred" (something was tried), "held", "failed"; "incoming", "active", "deferred", "hold", "corrupt" (Postfix's words). */
const char *queue_state(const struct queue_message *m);
const char *queue_name(const struct queue_message *m);

/* The route of a recipient: what an admin said, else by the rules of the configuration that queue_open() read; "" for none. */
const char *queue_route(const struct queue_message *m, size_t recipient);
/* Why a recipient still waits, or has failed and nobody was told; NULL: nothing was tried, or it is settled. */
const char *queue_reason_of(const struct queue_message *m, size_t recipient);
/* Why the message is where it is: the reason of its hold, else that of the first recipient which has one; or NULL. */
const char *queue_reason(const struct queue_message *m);

/* Reads what an entry's file and its state say. */
void	queue_read(const struct spool_dirs *d, const struct spool_entry *e, struct queue_message *m);
void	queue_free(struct queue_message *m);
/* One JSON object. */
void	queue_put_json(const struct queue_message *m);

#endif
