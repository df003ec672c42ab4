#ifndef ADMIN_PEOPLE_H
#define ADMIN_PEOPLE_H

#include <stdbool.h>

#include "admin.h"
#include "registry.h"

struct json;

/* Opens the instance's registry. Exit code, having said why; *r is then NULL. */
int	people_open(const struct admin *a, bool writable, struct registry **r);
/* The same with owners that are known already. */
int	people_open_as(const struct admin *a, const struct instance_ids *ids, bool writable, struct registry **r);
/* An account by its name; 67 when there is none. */
int	people_find(struct registry *r, const char *name, struct registry_account *account);
/* Says why a call on the registry failed and returns the exit code. */
int	people_fail(struct registry *r, int err, const char *doing);
/* Whether this may be the name of an account; 65 when not. */
int	people_check_name(const char *name);
/* Opens the registry for a change and begins its transaction; ends it, which a dry run does as if it had failed, but with code 0. */
int	people_begin(const struct admin *a, struct registry **r);
int	people_finish(const struct admin *a, struct registry *r, int code);
/* Commits, or rolls back when code is not 0; returns code, or why the commit failed. */
int	people_end(struct registry *r, int code);

/* "yescrypt" and the like, by a hash's prefix. */
const char *people_method(const char *hash);
/* What is known of a credential but its hash (errors are the registry's); its kind for people; the limits that somebody has. */
int	people_put_credential(struct json *j, struct registry *r, const struct registry_credential *c);
const char *people_kind(const struct registry_credential *c);
void	people_put_limits(struct json *j, const struct registry_limits *l);

#endif
