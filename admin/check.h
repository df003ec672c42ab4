#ifndef ADMIN_CHECK_H
#define ADMIN_CHECK_H

#include "admin.h"
#include "conf.h"

/*
 * Looks at what a configuration relies on: certificate and key (they match; the key is readable by its owner
 * only), the folders with their owners and modes. Says each fault and returns 0, 78, or 77 when the admin may not
 * look.
 */
int	check_instance(const struct admin *a, const struct conf *c);
/* Certificate and key alone. */
int	check_certificate(const struct admin *a, const struct conf *c);

#endif
