#ifndef SPOOL_JOURNAL_H
#define SPOOL_JOURNAL_H

#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "journal_file.h"

struct journal_waiter;

/*
 * The commit journal of a running postern-spool: what must be on stable storage is appended to one file, with one fdatasync(2) for all
 * the threads that wait at the same time; the message files beside it are synced later, many at once. While one of the two
 * files is synced away (a checkpoint) the other one is written.
 */
struct journal {
	const struct spool_dirs	*dirs;
	int			 root_fd;	/* the spool, for syncfs(2) */
	const EVP_MD		*sha256;
	size_t			 size_max;	/* octets to which each file may grow */
	pthread_mutex_t		 mutex;
	pthread_cond_t		 written, wanted, cleaned;
	struct {
		int		 fd;
		size_t		 size, at;	/* octets allocated; written */
		bool		 is_spent;	/* takes no more until it was synced away */
		bool		 is_filled;	/* it was the room that came to an end */
		bool		 is_doubtful;	/* of its message files the disk may have lost what it was given */
		size_t		 pins;		/* journal_settle() is to come so many times before a checkpoint */
	}			 files[JOURNAL_FILES];
	unsigned		 current;
	struct journal_place	 place;		/* of the next batch */
	uint64_t		 begun_ms;	/* when the current file got its first batch */
	struct journal_waiter	*first, *last;
	bool			 is_writing;	/* a thread leads a round */
	bool			 is_running, is_ending;	/* its thread; journal_stop() */
	int			 error;		/* errno of the last checkpoint, 0 when it went well */
	struct buf		 batch;		/* of the thread that leads */
};

/*
 * Makes or opens the files, which say nothing (journal_recover()), and starts the thread of the checkpoints. Before the system call
 * filter, as the spool's user. ERR_FULL, ERR_SYSTEM, ERR_DENIED, with errno: there is no journal.
 */
int	journal_start(struct journal *j, const struct spool_dirs *d, size_t size_max, const EVP_MD *sha256);

/* Whether a journal (NULL: there is none) takes a message file of so many octets: a longer one is written once, to its own file. */
bool	journal_takes(const struct journal *j, size_t octets);

/* Records that the journal takes at once, and octets of their files: they fit into one of its files, however short that is. */
#define JOURNAL_ROUND 64
#define JOURNAL_ROUND_OCTETS (512u << 10)

/*
 * Whole message files that it takes, of which the caller has made each in tmp/; at most JOURNAL_ROUND of them, and JOURNAL_ROUND_OCTETS. ERR_OK:
 * all are on stable storage, and *pinned is for journal_settle(). ERR_FULL: there is no room, none is in the journal. ERR_SYSTEM with
 * errno: they may be in it. Blocks.
 */
int	journal_store(struct journal *j, const struct journal_record *records, size_t n, unsigned *pinned);

/*
 * What journal_store() stored is where it belongs: only from now on a checkpoint brings that to the disk and may forget it. To be
 * called once for each ERR_OK, and before anything that waits for the journal.
 */
void	journal_settle(struct journal *j, unsigned pinned);

/*
 * These messages were removed. ERR_OK: no crash brings them back. Waits for room. ERR_SYSTEM with errno; ERR_FULL: a checkpoint that would
 * make room fails.
 */
int	journal_forget(struct journal *j, const char *const *names, size_t n);

/* errno of the last checkpoint when it failed, else 0. It is tried again each second. */
int	journal_error(struct journal *j);

/* Ends with an empty journal, if that is done within so many milliseconds; no other thread uses it any more. */
void	journal_stop(struct journal *j, unsigned wait_ms);

/* What recovery did with the journal. */
struct journal_recovered {
	size_t	restored;	/* messages that were missing, or not whole */
	size_t	present;	/* messages that were there */
	size_t	removed;	/* files that came back though their messages were done with */
};

/*
 * Brings the message files to where the journal says, and empties it. By postern-spool before it serves, or with the spool's lock held by
 * whoever changes a stopped spool. ERR_FULL, ERR_SYSTEM, ERR_NOMEM, ERR_DENIED: the journal is as it was, and nothing may be changed.
 */
int	journal_recover(const struct spool_dirs *d, struct journal_recovered *r);

/*
 * Writes the octets of each message that an open journal file stores over the same octets of its message file: after a write that
 * failed the kernel takes for written what the disk has not. ERR_SYSTEM, ERR_FULL, ERR_NOMEM, with errno.
 */
int	journal_rewrite(const struct spool_dirs *d, int fd);

#endif
