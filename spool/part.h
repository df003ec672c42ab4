#ifndef SPOOL_PART_H
#define SPOOL_PART_H

#include <stddef.h>
#include <stdint.h>

#include "settle.h"

struct active;
struct conf;
struct part;

/*
 * Gives every waiting recipient of a message its destination by the routes in force, and the message a part for each of them; parts
 * that are of no use any more go. ERR_NOMEM.
 */
int	part_route(struct active *a);

/* The next recipient of a part, from an index on, that waits and is in no delivery; or as many as the message has. */
size_t	part_next_recipient(const struct active *a, const struct part *p, size_t from);

/* Writes an outcome into the state, and when the next attempt is due into the part (NULL: into that which the recipient belongs to). */
enum settled part_settle(struct active *a, struct part *p, size_t index, const struct ipc_outcome_of *o, const struct ipc_finished *f);

/* Recipients for whom there is no route wait; their state says so. */
void	part_settle_no_route(struct active *a, struct part *p);

/* The results of a part that was taken are on the disk: its next recipients follow, or it waits for its time, or it goes. */
void	part_end(struct active *a, struct part *p);

/* It is of no use any more. */
void	part_drop(struct active *a, struct part *p);

/* Reports are due, or were not possible: the message is to be looked at again then. */
void	part_want_report(struct active *a, uint64_t due_ms);

/* How long a destination is left in peace after so many failures. */
uint64_t part_rest_ms(const struct conf *c, unsigned failures);

#endif
