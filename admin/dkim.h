#ifndef ADMIN_DKIM_H
#define ADMIN_DKIM_H

#include <stdint.h>

#include "admin.h"

/* A key as postern-keys --dkim names it: its public part. */
struct dkim_row {
	char		domain[256], selector[64];
	char		algorithm[16], state[16];	/* "rsa", "ed25519"; "waiting", "active", "retired" */
	char		retired[9];			/* the day, "20261122"; "" unless retired */
	uint64_t	created_s;
	char		public_key[1024];		/* base64 */
};

struct dkim_rows {
	struct dkim_row	*rows;
	size_t		 n;
};

#define DKIM_RECORD_TEXT 1200

/*
 * Starts postern-keys --dkim with these words (ended by NULL) and reads the keys that it names, to be freed by dkim_rows_free() also
 * after an error. Exit code; what it said on standard error was said again.
 */
int	dkim_run(const struct admin *a, const char *const *words, struct dkim_rows *rows);
/* All keys. */
int	dkim_list(const struct admin *a, struct dkim_rows *rows);
void	dkim_rows_free(struct dkim_rows *rows);

/* Has a running posternd take the keys anew, so that a change is in force. Exit code; silent when it does not run. */
int	dkim_tell(const struct admin *a);

/* A domain as the admin wrote it, in lower case and without a last dot. 65 when it is none. */
int	dkim_get_domain(const char *word, char to[256]);

/* The text of the key's record; to holds DKIM_RECORD_TEXT. */
void	dkim_put_record(char *to, const struct dkim_row *k);
/* "selector._domainkey.domain"; to holds 400 octets. */
void	dkim_put_name(char *to, const struct dkim_row *k);
/* A TXT record for a zone file on standard output, its text in strings of 255 octets at most (RFC 1035, 3.3.14). */
void	dkim_print_txt(const char *name, const char *text);

#endif
