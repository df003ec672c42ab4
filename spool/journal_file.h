#ifndef SPOOL_JOURNAL_FILE_H
#define SPOOL_JOURNAL_FILE_H

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct spool_dirs;

/*
 * The octets of the commit journal, postern-spool(5): two files, each a row of batches from its first octet on. A batch is what one
 * fdatasync(2) brought to the disk; it begins at a multiple of JOURNAL_BLOCK, so that no later write touches its blocks.
 */
#define JOURNAL_FILES 2
#define JOURNAL_BLOCK 4096
#define JOURNAL_BATCH_MAX (2u << 20)	/* octets of a batch */
#define JOURNAL_FILE_MAX (1u << 30)	/* a file is read whole */

enum journal_kind {
	JOURNAL_STORED = 1,	/* the octets are those of the message file of that name */
	JOURNAL_GONE,		/* that message was removed: it is done with */
};

struct journal_record {
	enum journal_kind	 kind;
	const char		*name;		/* of the message file, without a folder; not ended by NUL when it was read */
	size_t			 name_len;
	const uint8_t		*data;		/* JOURNAL_STORED only */
	size_t			 n;
};

/* Where a batch stands: the file's generation, which is greater than that of anything written to the journal before, and its number there from 0. */
struct journal_place {
	uint64_t	generation;
	uint64_t	sequence;
};

/* Octets that a record takes in a batch; of a batch's head. */
size_t	journal_record_size(const struct journal_record *r);
#define JOURNAL_HEAD 64

/*
 * A batch with these records, filled up to whole blocks, in place of what b holds. sha256 is a fetched digest. ERR_NOMEM, ERR_TOOBIG.
 */
int	journal_put_batch(struct buf *b, const struct journal_place *at, const struct journal_record *const *records, size_t n,
	    const EVP_MD *sha256);

/*
 * The batch at the start of n octets: checks all of it, and calls each() for its records, which point into p; *size is what it takes with
 * its filling. A message is checked against its own first line. What each() answers but ERR_OK ends it. ERR_CORRUPT: no whole batch.
 */
int	journal_get_batch(const uint8_t *p, size_t n, struct journal_place *at, const EVP_MD *sha256,
	    int (*each)(const struct journal_record *r, void *arg), void *arg, size_t *size);

/* Opens one of the two files, 0 or 1, in the spool's folder; makes an empty one if is_to_make. ERR_NOTFOUND, ERR_DENIED, ERR_FULL, ERR_SYSTEM. */
int	journal_open_file(const struct spool_dirs *d, unsigned which, int is_to_make, int *fd);

/* Makes an open file say nothing, on stable storage. ERR_FULL, ERR_SYSTEM, with errno. */
int	journal_clear_file(int fd);

#endif
