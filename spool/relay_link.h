#ifndef SPOOL_RELAY_LINK_H
#define SPOOL_RELAY_LINK_H

#include <stdbool.h>

struct delivery;
struct spooler;

/* The socket to relay. */

/* A new one replaces the old: what the old one has goes on, what it had not been given is given back. Takes fd. */
void	relay_link_replace(struct spooler *sp, int fd);

/* Whether relay is there and has told what its session processes have from an earlier spool. */
bool	relay_link_is_ready(const struct spooler *sp);

/* Puts a delivery into the row; its message stays open until relay has it. */
void	relay_link_send(struct spooler *sp, struct delivery *d);
/* Takes it out again, if it is there. */
void	relay_link_forget(struct spooler *sp, struct delivery *d);

/* Gives relay what it takes of the row. After each round. */
void	relay_link_flush(struct spooler *sp);

#endif
