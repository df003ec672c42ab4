#ifndef SPOOL_SPOOL_H
#define SPOOL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "instance.h"

/*
 * libpostern-spool: reading a spool, for smtpadm and for postern-spool itself; works whether the daemon runs or not. The
 * format is postern-spool(5). Errors: ERR_NOTFOUND, ERR_CORRUPT, ERR_VERSION, ERR_NOMEM, ERR_DENIED, ERR_SYSTEM.
 */
#define SPOOL_VERSION 1
#define SPOOL_ID_TEXT 32		/* a queue id with NUL */
#define SPOOL_NAME_MAX 256		/* a file name with NUL */

enum spool_folder { SPOOL_TMP, SPOOL_NEW, SPOOL_CUR, SPOOL_HOLD, SPOOL_FAILED, SPOOL_NFOLDERS };

struct journal;

/* A spool's open folders. */
struct spool_dirs {
	int	root_fd;
	int	fds[SPOOL_NFOLDERS];
	int	state_fd;		/* of state/ (state.h); -1: a spool of before delivery, in which no reader has made it */
	struct journal *journal;	/* of a running postern-spool; NULL: every change is synced by itself */
};

/* "tmp", "new", ... */
const char *spool_folder_name(enum spool_folder f);

/* Creates what is missing: the spool, its five folders, state/ and trace/, mode 0700, owned by ids->spool_uid. */
int	spool_create(const char *path, const struct instance_ids *ids);

/* Opens an existing spool's folders. Follows no link below path. */
int	spool_open(struct spool_dirs *d, const char *path);
void	spool_close(struct spool_dirs *d);

struct spool_recipient {
	char	*address;	/* without brackets */
	char	*notify, *orcpt;	/* as given, or NULL */
};

/* What the envelope of a message says. All strings are malloc'd; spool_envelope_free() frees. */
struct spool_envelope {
	char		 id[SPOOL_ID_TEXT];
	char		*account;
	char		*credential;		/* the name of the app password that was used; or NULL */
	bool		 is_from_judged;	/* every address of its From fields is one that the account may use */
	uint64_t	 session;
	uint32_t	 transaction;
	uint64_t	 arrival_us;		/* microseconds since 1970 */
	char		*sender;		/* "" is the null reverse-path */
	char		*envid, *ret;		/* or NULL */
	bool		 body_8bit, smtputf8;
	struct spool_recipient *recipients;
	size_t		 nrecipients;
	uint64_t	 file_size;		/* octets of the whole file */
	uint64_t	 message_offset;	/* where the message starts in the file */
	uint64_t	 message_size;		/* octets from there to the end */
};

/* Reads the envelope of an open message file and checks the size (not the digest). ERR_CORRUPT, ERR_VERSION. */
int	spool_read_envelope(int fd, struct spool_envelope *e);
void	spool_envelope_free(struct spool_envelope *e);

/* Reads the whole file and compares size and digest with what its first line says. ERR_CORRUPT. */
int	spool_verify(int fd);

/* An entry met on a walk. */
struct spool_entry {
	enum spool_folder	folder;
	char			name[SPOOL_NAME_MAX];
	char			id[SPOOL_ID_TEXT];	/* from the name; "" when the name is none of ours */
	int			fd;			/* open for reading; closed after the call */
};

/*
 * Calls each() for every regular file of new, cur, hold and failed, in the order of the ids, until it returns
 * non-zero, which is then returned. A file that goes away meanwhile is passed over.
 */
int	spool_walk(const struct spool_dirs *d, int (*each)(const struct spool_entry *e, void *arg), void *arg);

/* What a walk passed over because this user may not read it: how many files, and the first one's name. */
struct spool_unread {
	size_t			n;
	enum spool_folder	folder;
	char			name[SPOOL_NAME_MAX];
};
/* The same, and *unread (if not NULL) is filled in. */
int	spool_walk_unread(const struct spool_dirs *d, int (*each)(const struct spool_entry *e, void *arg), void *arg,
	    struct spool_unread *unread);

/* One message file that is to be removed, and what became of it, which is only set. */
struct spool_removal {
	char			file[SPOOL_NAME_MAX];	/* its name, in whichever folder it stands */
	int			err;		/* ERR_OK: gone for good; ERR_NOTFOUND; ERR_SYNTAX: no file name; ERR_SYSTEM, ERR_FULL */
	int			error;		/* errno of a failure */
	bool			removed;	/* it is gone, with ERR_SYSTEM perhaps only until a crash */
	enum spool_folder	folder;		/* where it was */
	char			*account;	/* malloc'd, the caller frees; NULL when its envelope could not be read */
	uint64_t		octets;		/* of the message */
};

/*
 * Removes message files and syncs their folders. By postern-spool, or with the spool's lock (lock.h) held. What is in tmp/
 * is no message.
 */
void	spool_remove(const struct spool_dirs *d, struct spool_removal *list, size_t n);

/* Opens the entry of an id. ERR_NOTFOUND. The caller closes e->fd. */
int	spool_find(const struct spool_dirs *d, const char *id, struct spool_entry *e);

#endif
