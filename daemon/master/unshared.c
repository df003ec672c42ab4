/*
 * Memory that forked workers do not share with the master: the accounts of sessions, and everything that they pass through.
 * Run by the master. Invariant: an account's name stands nowhere else in the master's memory.
 */
#include "unshared.h"

#include <string.h>
#include <sys/mman.h>

#include "err.h"
#include "mem.h"

int
unshared_open(struct unshared **u)
{
	void *p = mmap(NULL, sizeof(**u), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return ERR_SYSTEM;
	if (madvise(p, sizeof(**u), MADV_WIPEONFORK) != 0) {
		munmap(p, sizeof(**u));
		return ERR_SYSTEM;
	}
	*u = p;
	return ERR_OK;
}

char *
unshared_put(struct unshared *u, const char *name)
{
	size_t i, len = strlen(name);

	if (u->nfree != 0)
		i = u->free[--u->nfree];
	else if (u->nused < UNSHARED_NAMES)
		i = u->nused++;
	else
		return NULL;
	if (len >= IPC_TEXT_MAX)
		len = IPC_TEXT_MAX - 1;
	memcpy(u->names[i], name, len);
	u->names[i][len] = 0;
	return u->names[i];
}

void
unshared_drop(struct unshared *u, char *name)
{
	if (name == NULL)
		return;
	mem_wipe(name, IPC_TEXT_MAX);
	u->free[u->nfree++] = (uint32_t)((size_t)(name - u->names[0]) / IPC_TEXT_MAX);
}
