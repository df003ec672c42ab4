#ifndef WORKER_REQUEST_H
#define WORKER_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "ipc.h"

struct session;

/*
 * The worker's half of each question: plain blocking calls. ERR_OK with the answer, ERR_CLOSED when the service has gone (or
 * answered nonsense). Time spent here is the service's, never counted against the client.
 */

/* *answer; on LOGIN_OK s->spool_fd is the socket to the spool. */
int	request_login(struct session *s, const struct ipc_login *m, struct ipc_login_answer *answer);
int	request_sender(struct session *s, const struct ipc_sender *m, struct ipc_sender_answer *answer);
int	request_recipient(struct session *s, const struct ipc_recipient *m, struct ipc_recipient_answer *answer);
void	request_reset(struct session *s);

int	request_status(struct session *s, struct ipc_status_answer *answer);

/* A new socket to a spool that was started again; waits at most wait_ms for it. ERR_TIMEOUT. */
int	request_spool(struct session *s, uint64_t wait_ms);

/* Begins the message of transaction s->t; appends octets (1 to IPC_DATA_MAX); gives it up. */
int	request_open(struct session *s);
int	request_data(struct session *s, const uint8_t *p, size_t n);
void	request_abort(struct session *s, enum abort_reason reason);

/* Asks for the promise. ERR_CLOSED before the question was sent (nothing is or will be stored): *asked is false. */
int	request_commit(struct session *s, uint64_t size, struct ipc_commit_answer *answer, bool *asked);

/* Asks the spool to start what waits for a domain. */
int	request_etrn(struct session *s, const struct ipc_etrn *m, struct ipc_etrn_answer *answer);

/* What became of a commit whose answer was lost. */
int	request_outcome(struct session *s, struct ipc_outcome_answer *answer);

#endif
