#ifndef COMMON_EXHAUSTED_H
#define COMMON_EXHAUSTED_H

#include <stddef.h>

/*
 * Why a process, a thread or a descriptor could not be had, by errno: the limit that was met, its value, and what raises it. to holds
 * size octets; returns to.
 */
char	*exhausted_explain(char *to, size_t size, int error);

#endif
