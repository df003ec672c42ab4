#ifndef UNIT_UNIT_H
#define UNIT_UNIT_H

/* What every unit test includes: cmocka with the headers that it needs before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* In a table of cases: says which row failed, on standard error, and goes to the failure. */
#define check_row(row, expression) do {							\
	if (!(expression)) {								\
		print_error("row %zu: %s\n", (size_t)(row), #expression);		\
		fail();									\
	}										\
} while (0)

/* A string literal with its length, NULs inside counted. */
#define TEXT(s) (s), sizeof(s) - 1

#endif
