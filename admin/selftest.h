#ifndef ADMIN_SELFTEST_H
#define ADMIN_SELFTEST_H

#include <stdbool.h>

#include "admin.h"
#include "out.h"

/* The results of a self-test, as they come. */
struct selftest {
	const struct admin	*a;
	struct table		 table;
	bool			 failed;
};

/* result is "ok" or "off", or "absent" or "fault", which fail the test. */
void	selftest_add(struct selftest *t, const char *program, const char *part, const char *result, const char *text);

/* Looks at the processes of the running instance, if it runs. Exit code: 71 when /proc can't be read. */
int	selftest_running(struct selftest *t);

#endif
