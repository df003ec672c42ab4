#ifndef ADMIN_SHOW_H
#define ADMIN_SHOW_H

#include <stdint.h>

#include "admin.h"

/*
 * A time for a person, as --time says (default: local); an age such as 3m, 2h, 4d, of what is to come "in 3m"; octets such as 812, 2.1K.
 * to holds 40 octets; each returns to.
 */
char	*show_time(char *to, enum time_style style, uint64_t us);
char	*show_age(char *to, uint64_t us);
char	*show_size(char *to, uint64_t octets);

#endif
