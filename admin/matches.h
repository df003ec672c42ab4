#ifndef ADMIN_MATCHES_H
#define ADMIN_MATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin.h"
#include "filter.h"
#include "queue.h"

/*
 * The messages that a queue command's filters match, in the order of their ids or of --sort, --limit of them. Set keep, verify
 * or each before.
 */
struct matches {
	bool			 keep;		/* in list */
	bool			 verify;	/* read each file whole; corrupt ones are complained of in failed/, too */
	bool			 silent;	/* about corrupt ones */
	bool			 ordered;	/* the list is by age, the oldest first, unless --sort says otherwise */
	int			(*each)(const struct queue_message *m, void *arg);	/* what a walk may say, or NULL */
	void			*arg;
	struct filter		 filter;
	const struct spool_dirs	*dirs;		/* while it is walked */
	struct queue_message	*list;
	size_t			 n, size;
	int			(*compare)(const void *, const void *);	/* as --sort says */
	uint64_t		 limit;
	bool			 narrowed;	/* by --sort or --limit: messages are complained of and visited in order, after the walk */
	size_t			 corrupt, unread;
};

/* Reads the command's filters. Exit code. */
int	matches_open(struct matches *ms, const struct admin *a);
/* Walks an open spool. Exit code. */
int	matches_read(struct matches *ms, const struct spool_dirs *d);
/* Both, with a spool that is opened for it. */
int	matches_find(struct matches *ms, const struct admin *a);
void	matches_free(struct matches *ms);

/* 0, 1 when filters matched nothing, 65 when something is corrupt, 77 when verify could not read all. */
int	matches_verdict(const struct matches *ms);

#endif
