#ifndef ADMIN_OUT_H
#define ADMIN_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "buf.h"

/* How everything is said; set once. */
struct out_style {
	bool		 json, quiet, verbose, bold;
	const char	*root;		/* goes into the commands that are advised; "" for none */
};

void	out_open(const struct out_style *style);
bool	out_is_json(void);

/* The advice that the next out_fail() gives; where it starts with "smtpadm", the --root in use is put in. */
void	out_fix(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* An error on standard error, in words or JSON; returns code. */
int	out_fail(int code, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Messages on standard error: silent with -q and, but for warnings, with --json. */
void	out_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	out_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Foreign text for a terminal: control characters and broken UTF-8 become '?'. to holds size octets; returns to. */
char	*out_clean(char *to, size_t size, const char *text);
/* Whether the character of n octets is one that a terminal obeys instead of showing it. */
bool	out_is_control(const char *text, size_t n);
/* printf to standard output with nothing of a terminal's control left in it but the line ends of the format, which has 1000 octets at most. */
void	out_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "smtpadm --root DIR " or "smtpadm ": how this instance is named on a command line. */
const char *out_program(void);
/* " --root DIR" or "": the same behind another program's name. */
const char *out_root(void);
/* Octets as they stand, to standard output; on a terminal without its controls. */
void	out_octets(const char *p, size_t n);

/* One JSON object a line. Values without a name (NULL) are an array's. */
struct json {
	struct buf	buf;
	bool		comma;
};

void	json_begin(struct json *j);			/* {"v":1 */
void	json_put_str(struct json *j, const char *name, const char *value);	/* value NULL: null */
void	json_put_u64(struct json *j, const char *name, uint64_t value);
void	json_put_bool(struct json *j, const char *name, bool value);
void	json_open(struct json *j, const char *name, char bracket);	/* '{' or '[' */
void	json_close(struct json *j, char bracket);	/* '}' or ']' */
void	json_end(struct json *j, FILE *to);		/* } and the end of the line; frees */

struct table_column {
	const char	*title;
	bool		 right;		/* to be set at the right */
	unsigned	 least;		/* may be cut to this width, so that a line has 80 columns; 0: never */
};

/* A table is collected, then printed. Add cells from left to right. */
struct table {
	const struct table_column	*columns;
	size_t				 ncolumns;
	char				**cells;
	size_t				 n, size;
};

void	table_open(struct table *t, const struct table_column *columns, size_t ncolumns);
void	table_add(struct table *t, const char *cell);
void	table_print(struct table *t);			/* frees */

#endif
