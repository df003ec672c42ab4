#ifndef SPOOL_ETRN_H
#define SPOOL_ETRN_H

#include <stdint.h>

#include "ipc.h"

struct session;
struct spooler;

/* A worker asks to start what waits for a domain (checked already): auth is asked whether its account may, then it is
 * answered. */
void	etrn_ask(struct session *s, const struct ipc_etrn *m);

/* auth's word about a session's question. */
void	etrn_judge(struct spooler *sp, uint64_t session, enum header_verdict verdict);

/* The link to auth has ended, and with it all questions on it. */
void	etrn_lose_link(struct spooler *sp);

#endif
