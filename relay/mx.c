/*
 * The order of mail exchangers. Run by postern-relay; pure. Invariant: what is left is strictly better than ourselves.
 */
#include "mx.h"

static void
swap(struct mx_host *a, struct mx_host *b)
{
	struct mx_host kept = *a;

	*a = *b;
	*b = kept;
}

static void
sort(struct mx_host *hosts, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t j = i; j > 0 && hosts[j - 1].preference > hosts[j].preference; j--)
			swap(&hosts[j - 1], &hosts[j]);
}

/* Shuffles all, so that equals come out of the stable sort in a random order. */
static void
shuffle(struct mx_host *hosts, size_t n, uint32_t (*pick)(void))
{
	for (size_t i = n; i > 1; i--) {
		size_t j = pick() % i;

		if (j != i - 1)
			swap(&hosts[j], &hosts[i - 1]);
	}
}

/* How many are better than host i. */
static size_t
count_better(const struct mx_host *hosts, size_t i)
{
	uint16_t preference = hosts[i].preference;

	while (i > 0 && hosts[i - 1].preference == preference)
		i--;
	return i;
}

enum mx_verdict
mx_order(struct mx_host *hosts, size_t *n, uint32_t (*pick)(void))
{
	size_t kept = 0;

	/* RFC 7505, section 3: alone; beside others a host without a name is only nonsense. */
	if (*n == 1 && hosts[0].name[0] == 0)
		return MX_NULL;
	shuffle(hosts, *n, pick);
	sort(hosts, *n);
	for (size_t i = 0; i < *n; i++)
		if (hosts[i].is_self)
			*n = count_better(hosts, i);
	for (size_t i = 0; i < *n; i++)
		if (hosts[i].name[0] != 0)
			hosts[kept++] = hosts[i];
	*n = kept;
	return kept != 0 ? MX_USE : MX_LOOP;
}
