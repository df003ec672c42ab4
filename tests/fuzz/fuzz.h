#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* One input, as libFuzzer or main.c gives it. */
int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/*
 * The i-th input that an entry makes for itself where the tests' tables hold none: its length, 0 behind the last. An entry
 * without any does not define it.
 */
size_t	fuzz_seed(size_t i, uint8_t *to, size_t size);

/* What must be true of every input. */
#define must(expression) do {							\
	if (!(expression)) {							\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #expression);	\
		abort();							\
	}									\
} while (0)

#endif
