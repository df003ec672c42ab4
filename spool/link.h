#ifndef SPOOL_LINK_H
#define SPOOL_LINK_H

#include <stdint.h>

struct message;
struct spooler;

/* The socket to auth. */

/* A new one replaces the old, of which everything that waits is read first. */
void	link_replace(struct spooler *sp, int fd);

/* Reads all that waits. */
void	link_drain(struct spooler *sp);

/* Asks about a message's header From, at once or as soon as there is room. */
void	link_ask_from(struct spooler *sp, struct message *m);

/* Asks whether a session's account has the sender *@domain, for ETRN. An error: it can't be asked now. */
int	link_ask_etrn(struct spooler *sp, uint64_t session, const char *domain);

/* Tells what waits by account, as far as it has changed. */
void	link_tell_usage(struct spooler *sp);

/* Tells that no message came of a transaction; it may be lost, which leaves it counted. */
void	link_tell_refused(struct spooler *sp, uint64_t session, uint32_t t);

/* Tells whether there is room for mail. */
void	link_tell_storage(struct spooler *sp);

#endif
