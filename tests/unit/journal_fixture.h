#ifndef UNIT_JOURNAL_FIXTURE_H
#define UNIT_JOURNAL_FIXTURE_H

#include <stddef.h>

#include "unit.h"

#include "buf.h"
#include "journal.h"
#include "name.h"

#define MIB (1u << 20)

/* A message file in memory. */
struct message {
	char		file[SPOOL_NAME_MAX];
	struct name	name;
	struct buf	octets;
};

/* The spool of the case that runs, in a folder of its own. */
extern char root[64];
extern struct spool_dirs dirs;

/* Makes the folder with an empty spool, before each case. */
int	spool_set_up(void **state);
/* Removes it, and what a case has mounted at disk/ in it. */
int	spool_tear_down(void **state);

/* A name that no other message has; no octets yet. */
void	name_message(struct message *m);
/* A whole message file of about so many octets. */
void	make_message(struct message *m, size_t size);
/* Frees the octets of n messages. */
void	free_messages(struct message *m, size_t n);

/* The record that says that the message is stored; it points into the message. */
struct journal_record stored(const struct message *m);
/* The record that says that it is gone. */
struct journal_record gone(const struct message *m);

/* Stores it in the journal, which is not to forget it before journal_settle() of *pinned; the journal's answer. */
int	store_pinned(struct journal *j, const struct message *m, unsigned *pinned);
/* The same, settled at once. */
int	store(struct journal *j, const struct message *m);

/* A file of n octets in a folder of the spool, in the place of one of this name. */
void	write_file(enum spool_folder folder, const char *name, const void *p, size_t n);
/* The folder in which a message is, whole; SPOOL_NFOLDERS: in none; fails when it is in two, or not whole. */
enum spool_folder where(const struct message *m);

/* Recovers, with so many messages of each kind, and once more: the second time there is nothing left to do. */
void	recover(size_t present, size_t restored, size_t removed);

#endif
