#ifndef AUTH_RATES_H
#define AUTH_RATES_H

#include <stdint.h>

/* Messages of the last hour, of accounts and of credentials. In memory: a service that starts anew begins at nothing. */
struct rates;

enum rate_of { RATE_OF_ACCOUNT, RATE_OF_CREDENTIAL };

/* ERR_NOMEM */
int	rates_open(struct rates **r);

/* Milliseconds until one more is within the limit; 0: it is now. */
uint64_t rates_wait(const struct rates *r, enum rate_of of, uint64_t id, uint64_t limit, uint64_t now_ms);
/* How many count now. */
uint64_t rates_count(const struct rates *r, enum rate_of of, uint64_t id, uint64_t now_ms);
/* Counts one; ERR_NOMEM. Takes back one that was counted at at_ms. */
int	rates_take(struct rates *r, enum rate_of of, uint64_t id, uint64_t now_ms);
void	rates_give_back(struct rates *r, enum rate_of of, uint64_t id, uint64_t at_ms, uint64_t now_ms);

/* Frees those of which nothing counts any more. */
void	rates_sweep(struct rates *r, uint64_t now_ms);

#endif
