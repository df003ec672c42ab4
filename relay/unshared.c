/*
 * Memory that forked session processes do not share with postern-relay: passwords, envelopes that wait, who is written to. Invariant:
 * a process that a hostile server took over finds nothing in its memory but its own route and what it was given since.
 */
#include "unshared.h"

#include <string.h>
#include <sys/mman.h>

#include "err.h"

int
unshared_open(struct unshared **u)
{
	void *p = mmap(NULL, sizeof(**u), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return ERR_SYSTEM;
	if (madvise(p, sizeof(**u), MADV_WIPEONFORK) != 0) {
		munmap(p, sizeof(**u));
		return ERR_SYSTEM;
	}
	*u = p;
	return ERR_OK;
}

void *
unshared_get(struct unshared *u)
{
	if (u->nfree != 0)
		return memset(u->blocks[u->free[--u->nfree]], 0, UNSHARED_BLOCK);
	return u->nused < UNSHARED_BLOCKS ? u->blocks[u->nused++] : NULL;
}

void
unshared_drop(struct unshared *u, void *block)
{
	if (block != NULL)
		u->free[u->nfree++] = (uint16_t)((size_t)((uint8_t *)block - u->blocks[0]) / UNSHARED_BLOCK);
}
