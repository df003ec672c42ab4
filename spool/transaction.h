#ifndef SPOOL_TRANSACTION_H
#define SPOOL_TRANSACTION_H

#include <openssl/evp.h>
#include <stdint.h>

#include "spool.h"

struct buf;
struct folder_sync;

/* One message's way to the disk. Its functions block: they run in a commit thread, one at a time for a message. */
struct transaction {
	const struct spool_dirs	*dirs;
	struct folder_sync	*sync;		/* of new/ */
	char			 name[SPOOL_NAME_MAX];
	int			 fd;		/* in tmp/, -1 while there is none */
	EVP_MD_CTX		*digest;	/* of what was written behind the first line */
	uint64_t		 size;		/* octets written */
	bool			 is_left_out;	/* transaction_commit_many() left it to transaction_commit() */
	bool			 is_in_journal;	/* or may be: it has to be forgotten there when it is refused */
	bool			 is_from_judged;	/* for the first line; to be set before the commit */
	int			 error;		/* errno of what failed */
	const char		*failed;	/* which call failed, for the log */
	bool			 stuck;		/* an error was met and the entry of new/ could not be removed again */
};

/* ERR_NOMEM. digest is a fetched SHA-256. */
int	transaction_begin(struct transaction *t, const struct spool_dirs *dirs, struct folder_sync *sync, const EVP_MD *digest,
	    const char *name);

/*
 * Appends what the buffer holds (at first the placeholder of the first line) to the file in tmp/, and empties it. ERR_FULL,
 * ERR_SYSTEM; after an error only transaction_discard() may follow.
 */
int	transaction_write(struct transaction *t, struct buf *b);

/*
 * Appends the rest, fills in the first line and brings the message to stable storage: when it answers ERR_OK, the message is in
 * new/, once and whole, whatever happens to the machine; else it is nowhere. ERR_FULL, ERR_SYSTEM.
 */
int	transaction_commit(struct transaction *t, struct buf *b);

/* Whether transaction_commit_many() can take it: b holds all of it, and the journal takes that. */
bool	transaction_fits_journal(const struct transaction *t, const struct buf *b);

/* One of many that are committed together. */
struct transaction_commit {
	struct transaction	*t;
	struct buf		*b;
	int			 err;	/* set: as transaction_commit() answers, or ERR_BUSY: that is to be called for it */
};

/* The same for many that fit, by one round of the journal: n and the octets in its bounds. */
void	transaction_commit_many(struct transaction_commit *list, size_t n);

/* One state file of many that are replaced together. */
struct transaction_state {
	char		id[SPOOL_ID_TEXT];
	const void	*p;
	size_t		n;
	int		err, error;	/* set: as transaction_replace_state() answers, and errno */
};

/* The same for many, synced at once: what has ERR_OK is on stable storage. */
void	transaction_replace_states(const struct spool_dirs *d, struct transaction_state *list, size_t n);

/* Removes what is in tmp/. */
void	transaction_discard(struct transaction *t);

/* Frees the memory; the file was committed or discarded before. */
void	transaction_end(struct transaction *t);

/* Moves a file between open folders, replacing nothing. ERR_EXISTS; ERR_SYSTEM with errno, the file is where it was. */
int	transaction_move(int from, const char *name, int to, const char *new_name);

/*
 * Replaces the state file of a message (state.h), by way of tmp/. With is_precious it is on stable storage when it answers ERR_OK; sync is
 * of state/, or NULL. ERR_FULL, ERR_SYSTEM, with errno: the old one stands.
 */
int	transaction_replace_state(const struct spool_dirs *d, const char *id, const void *p, size_t n, bool is_precious,
	    struct folder_sync *sync);

/* Brings a folder's names to the disk. ERR_FULL, ERR_SYSTEM, with errno. */
int	transaction_sync_folder(int fd);

#endif
