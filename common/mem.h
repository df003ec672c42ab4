#ifndef COMMON_MEM_H
#define COMMON_MEM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Allocation for programs that are starting and for workers: these end the process (exit 71,
 * EX_OSERR) when memory is out. Services call malloc(3) themselves and return ERR_NOMEM.
 * The caller frees with free(3).
 */
void	*xmalloc(size_t size);
void	*xcalloc(size_t n, size_t size);

/* Overwrites n octets so that the compiler can't leave it out. p may be NULL when n is 0. */
void	 mem_wipe(void *p, size_t n);

/* Compares n octets in a time that depends on n only. */
bool	 mem_is_equal(const void *a, const void *b, size_t n);

#endif
