#ifndef ADMIN_IMPORT_H
#define ADMIN_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "registry.h"

enum import_form { IMPORT_PASSWD, IMPORT_DOVECOT, IMPORT_CSV };

/* One entry of a file; texts point into the file's, which was cut up for them. */
struct import_row {
	unsigned	 line;
	char		*account, *credential;	/* credential "": the main one, or none when there is neither hash nor password */
	char		*hash, *password;	/* "": not given */
	char		*senders;		/* NULL: the file does not say; else patterns with blanks between */
	bool		 disabled, has_limits;
	uint64_t	 expires_us;
	bool		 device, canary, has_own_limits;
	char		*local_user;		/* "": it has a password */
	char		*scopes[SCOPE_KINDS];	/* patterns with blanks between, or NULL */
	char		*contained;		/* the reason; "": it is not */
	struct registry_limits limits, own_limits;	/* of the account, of the credential */
};

struct import {
	struct import_row	*rows;
	size_t			 n, size;
	unsigned		 line;		/* of an error */
	char			 why[512];
};

/*
 * Reads a whole file, of which text (len octets, a NUL behind) is changed. ERR_SYNTAX with line and why; ERR_NOMEM. The
 * caller frees rows. Pure.
 */
int	import_parse(struct import *im, enum import_form form, char *text, size_t len);

/* The next pattern of a list of senders: cut off, *list behind it; NULL at the end. Blanks between double quotes are its own. */
char	*import_next_sender(char **list);

#endif
