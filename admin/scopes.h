#ifndef ADMIN_SCOPES_H
#define ADMIN_SCOPES_H

#include "admin.h"
#include "registry.h"

struct json;

/* What the options of `credential add` and `change` say beside the password. */
struct scopes {
	const struct admin	*a;
	bool			 has_limits;
	struct registry_limits	 limits;
};

/* Whether any of them stands. */
bool	scopes_are_given(const struct admin *a);
/* Reads --limit into what is there. Exit code. */
int	scopes_read(struct scopes *s, const struct admin *a, const struct registry_limits *there);
/*
 * Puts them into a credential, inside a change; patterns replace all of their kind, "any" takes them away. Exit code, having
 * said why.
 */
int	scopes_put(const struct scopes *s, struct registry *r, const struct registry_account *account, const char *name);

/* For people, a line each; in JSON: "senders", "recipients", "networks", "limits". Errors are the registry's. */
int	scopes_print(struct registry *r, const struct registry_credential *c);
int	scopes_put_json(struct json *j, struct registry *r, const struct registry_credential *c);
/* "senders, recipients" for a table; to holds 64 octets; returns to. */
char	*scopes_name(char *to, const struct registry_credential *c);

#endif
