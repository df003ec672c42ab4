/*
 * Allocation that cannot fail softly, wiping, and comparison in constant time. Runs everywhere.
 */
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static void *
checked(void *p)
{
	static const char text[] = "postern: out of memory\n";

	if (p == NULL) {
		ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

		(void)n;
		_exit(EX_OSERR);
	}
	return p;
}

void *
xmalloc(size_t size)
{
	return checked(malloc(size != 0 ? size : 1));
}

void *
xcalloc(size_t n, size_t size)
{
	return checked(calloc(n != 0 ? n : 1, size != 0 ? size : 1));
}

void
mem_wipe(void *p, size_t n)
{
	if (n != 0)
		explicit_bzero(p, n);
}

bool
mem_is_equal(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t differ = 0;

	for (size_t i = 0; i < n; i++)
		differ |= x[i] ^ y[i];
	return differ == 0;
}
