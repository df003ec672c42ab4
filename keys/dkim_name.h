#ifndef KEYS_DKIM_NAME_H
#define KEYS_DKIM_NAME_H

#include <limits.h>
#include <stdbool.h>

#include "dkim_text.h"

/* What is done with a key; it stands in the name of its file. */
enum dkim_state {
	DKIM_WAITING,	/* its record is to be published first */
	DKIM_ACTIVE,
	DKIM_RETIRED,	/* its record stays until mail that it signed has arrived */
};

#define DKIM_SELECTOR_MAX 64	/* octets with NUL */
#define DKIM_DATE 9		/* "20261122" with NUL */

/*
 * A file of the folder dkim: the name of the key's record in DNS, its algorithm and its state,
 * SELECTOR._domainkey.DOMAIN.ALGORITHM.STATE.pem, where a retired key's state is "retired-" and the day. All lower case.
 */
struct dkim_name {
	char			domain[256];
	char			selector[DKIM_SELECTOR_MAX];
	enum dkim_algorithm	algorithm;
	enum dkim_state		state;
	char			retired[DKIM_DATE];	/* the day, UTC; "" unless retired */
};

/* "rsa", "ed25519"; "waiting", "active", "retired". */
const char *dkim_algorithm_name(enum dkim_algorithm algorithm);
const char *dkim_state_name(enum dkim_state state);
/* ERR_NOTFOUND. */
int	dkim_find_algorithm(const char *word, enum dkim_algorithm *algorithm);

/* Whether these can stand in DNS and in a file's name: lower case letters, digits, '-', '_', and '.' between them. */
bool	dkim_is_domain(const char *domain);
bool	dkim_is_selector(const char *selector);

/* ERR_TOOBIG. */
int	dkim_name_put(char to[NAME_MAX + 1], const struct dkim_name *n);
/* The inverse. ERR_SYNTAX: this is not the name of a key. */
int	dkim_name_get(const char *file, struct dkim_name *n);

#endif
