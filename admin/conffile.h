#ifndef ADMIN_CONFFILE_H
#define ADMIN_CONFFILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "admin.h"
#include "buf.h"
#include "conf.h"

/* The configuration file while it is being changed: its text, and the lock that keeps two admins apart. */
struct conffile {
	const char	*path;
	int		 lock_fd;	/* the file's folder, or -1 */
	struct buf	 text;
	bool		 exists;
	mode_t		 mode;
	uid_t		 uid;
	gid_t		 gid;
};

/* Locks the folder (waits up to 5 s, then 75) and reads the text; a file that is not there is empty. Exit code. */
int	conffile_open(struct conffile *f, const struct admin *a);
void	conffile_close(struct conffile *f);

/* Sets a key in the text only. Exit code. */
int	conffile_set(struct conffile *f, const char *section, const char *key, const char *value);

/* Puts lines at the end of the text; takes a section out of it. Exit code. */
int	conffile_append(struct conffile *f, const char *lines);
int	conffile_remove(struct conffile *f, const char *section);

/* Parses the text as it now is. Exit code 78, naming file and line. */
int	conffile_parse(const struct conffile *f, struct conf *c);

/* Writes the text, with owner and mode as they were. Exit code. */
int	conffile_save(struct conffile *f);

#endif
