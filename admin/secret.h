#ifndef ADMIN_SECRET_H
#define ADMIN_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "admin.h"
#include "password.h"

/* A new password, or its hash, on its way into the registry. Wiped by secret_wipe(). */
struct secret {
	char	text[PASSWORD_MAX + 4];
	size_t	len;
	bool	generated;
	char	hash[REGISTRY_HASH_MAX];
};

/* From the first line of standard input; empty is refused. Exit code. */
int	secret_read(struct secret *s);
/* As the options say: --stdin, --generate, --hash-stdin, else asked twice on the terminal. Then hashed. Exit code. */
int	secret_from_options(const struct admin *a, const char *account, struct secret *s);
/* Asked twice on the terminal; made. Exit code. */
int	secret_ask(const char *account, struct secret *s);
int	secret_generate(struct secret *s);
/* Fills in hash from text. Exit code. */
int	secret_hash(struct secret *s);
void	secret_wipe(struct secret *s);

#endif
