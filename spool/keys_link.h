#ifndef SPOOL_KEYS_LINK_H
#define SPOOL_KEYS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"

struct dkim_input;
struct keys_question;
struct spooler;

/*
 * The socket to postern-keys, which signs (DKIM). The loop's thread only. How a delivery uses it:
 *
 *	the message's first line says from=1?		no: unsigned, "the header From was not judged"
 *	keys_link_is_on(sp)?				no: unsigned, "no key" (no question of reading the message for it)
 *	dkim_read() in a commit thread
 *	keys_link_has(sp, in.domain)?			no: unsigned, "no key for the domain of From"
 *	keys_link_sign(sp, number, &in)			then wait for deliver_signed()
 *
 * While keys is away, or has not told its list yet, is_on and has say yes and the question waits for it: five minutes at most, then the
 * message goes out unsigned. Rather late than unsigned: where a domain's policy (DMARC) asks for a signature it would be refused.
 */
#define KEYS_LINK_PATIENCE_MS (5 * 60 * 1000)

struct keys_link {
	struct loop_watch	 watch;		/* fd -1: none */
	bool			 is_expected;	/* there was a link, and there will be one again */
	bool			 is_known;	/* the list of domains is */
	bool			 is_writing;	/* waits for room in the link */
	bool			 is_late;	/* it was said that answers do not come */
	char			**domains, **next_domains;	/* sorted; a list that is not whole yet */
	size_t			 n, next_n;
	struct keys_question	*first, *last;
};

void	keys_link_init(struct spooler *sp);

/* A new socket from the master; questions under way are asked again there. Takes fd. */
void	keys_link_replace(struct spooler *sp, int fd);

/* Whether any domain has a key. */
bool	keys_link_is_on(const struct spooler *sp);
/* Whether this one has; lower case. */
bool	keys_link_has(const struct spooler *sp, const char *domain);

/*
 * Has a message signed; number is the delivery's. The input is copied. deliver_signed() follows, never from inside this call,
 * if it answers ERR_OK. ERR_NOMEM.
 */
int	keys_link_sign(struct spooler *sp, uint64_t number, const struct dkim_input *in);

/* Forgets a question: deliver_signed() will not be called for this number. */
void	keys_link_forget(struct spooler *sp, uint64_t number);

/* Once a second: gives up what has waited too long. */
void	keys_link_tick(struct spooler *sp, uint64_t now_ms);

#endif
