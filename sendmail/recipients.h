#ifndef SENDMAIL_RECIPIENTS_H
#define SENDMAIL_RECIPIENTS_H

#include <stddef.h>

#define RECIPIENTS_MAX 10000

/* Addresses, each once, in the order in which they came. */
struct recipients {
	char	**list;
	size_t	  n, size;
};

/* ERR_NOMEM, ERR_TOOBIG: more than RECIPIENTS_MAX. */
int	recipients_add(struct recipients *r, const char *address);
void	recipients_free(struct recipients *r);

#endif
