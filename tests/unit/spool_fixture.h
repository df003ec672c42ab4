#ifndef UNIT_SPOOL_FIXTURE_H
#define UNIT_SPOOL_FIXTURE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "instance.h"
#include "ipc.h"
#include "spool.h"

/* A real postern-spool in a folder of its own, driven as master, auth and workers drive it. */
struct fixture {
	char		 root[64];
	char		 spool[PATH_MAX];
	const char	*settings;	/* lines of [spool] in the configuration, or NULL */
	unsigned	 descriptors;	/* its limit of open files, 0: as it is */
	pid_t		 pid;
	int		 control;	/* the master's end */
	int		 link;		/* auth's end */
	struct ipc_usage usage;		/* as spool said last */
	char		 failed[IPC_REASON_MAX];	/* what it said when it did not start */
};

/* Makes the folder. */
void	fixture_open(struct fixture *f, const char *settings);
/* Removes everything. */
void	fixture_close(struct fixture *f);

/* Starts the program and waits for READY (true) or its failure; makes the link and reads IPC_STORAGE. */
bool	fixture_start(struct fixture *f);
/* Closes the master's end; returns the exit status as waitpid tells it. */
int	fixture_stop(struct fixture *f);
void	fixture_kill(struct fixture *f);
/* A new link, as after a restart of auth. */
void	fixture_link(struct fixture *f);
/* What spool says next on the link, but for IPC_USAGE, whose last one is kept. */
void	fixture_recv(struct fixture *f, void *data, size_t size, struct ipc_message *m);
/* Waits until spool has said this of alice's account. */
bool	fixture_usage_is(struct fixture *f, uint64_t messages, uint64_t octets);

/* As auth. */
int	fixture_grant(struct fixture *f, uint64_t session);
void	fixture_sender(struct fixture *f, uint64_t session, uint32_t t, const char *address, uint64_t limit, bool check_header);
void	fixture_recipient(struct fixture *f, uint64_t session, uint32_t t, const char *address);
/* A sender, one recipient, 1 MiB, no check of the header. */
void	fixture_envelope(struct fixture *f, uint64_t session, uint32_t t);

/* As a worker. The answers: what ipc_recv() answers. */
int	worker_send_transaction(int fd, enum ipc_kind kind, uint32_t t);
int	worker_send_data(int fd, const void *p, size_t n);
int	worker_send_commit(int fd, uint32_t t, uint64_t size);
int	worker_send_raw(int fd, const void *p, size_t n);
int	worker_get_commit(int fd, struct ipc_commit_answer *a);
int	worker_get_outcome(int fd, struct ipc_outcome_answer *a);
/* OPEN, DATA in pieces, COMMIT, the answer. */
enum commit_verdict worker_submit(int fd, uint32_t t, const void *p, size_t n, char id[IPC_TEXT_MAX]);

/* Entries of a folder of the spool. */
size_t	fixture_count(const struct fixture *f, enum spool_folder folder);
/* The message of an id as it stands in the spool (malloc'd, NUL behind); NULL: none. Fails if it is not whole. */
char	*fixture_message(const struct fixture *f, const char *id, struct spool_envelope *e);
/* Whether the log holds a text. */
bool	fixture_log_has(const struct fixture *f, const char *text);

#endif
