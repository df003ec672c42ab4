#ifndef ADMIN_FILTER_H
#define ADMIN_FILTER_H

#include <stdbool.h>

#include "admin.h"
#include "queue.h"

/* The filters of a queue command, checked. */
struct filter {
	const struct admin	*a;
	uint64_t		 now_us, older_us, newer_us;	/* 0: not asked for */
	uint64_t		 larger, smaller;		/* 0, UINT64_MAX: not asked for */
	bool			 reason_is_text;	/* --reason is no filter of this command; to be set before */
	bool			 any;		/* at least one filter beside --all; words are exact ids */
};

/* Reads the options. Exit code 64 when there is no filter and no --all, or a value is wrong. */
int	filter_open(struct filter *f, const struct admin *a);
bool	filter_matches(const struct filter *f, const struct queue_message *m);

#endif
