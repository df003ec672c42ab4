#ifndef AUTH_REMEMBER_H
#define AUTH_REMEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Passwords that were checked a while ago, as keyed digests. */
struct remember;

/* Makes the key and the table. ERR_NOMEM, ERR_SYSTEM. */
int	remember_open(struct remember **r);

/* Remembers that this password matched this credential as it was changed at changed_us. */
void	remember_put(struct remember *r, uint64_t credential, uint64_t changed_us, const char *password, size_t len,
	    uint64_t now_ms, uint64_t lifetime_ms);

/* Whether exactly this is remembered and not too old. */
bool	remember_has(struct remember *r, uint64_t credential, uint64_t changed_us, const char *password, size_t len,
	    uint64_t now_ms);

/* Wipes all that is too old. */
void	remember_sweep(struct remember *r, uint64_t now_ms);

#endif
