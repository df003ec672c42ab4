#ifndef KEYS_DKIM_MANAGE_H
#define KEYS_DKIM_MANAGE_H

#include <stddef.h>

#include "dkim_key.h"

/*
 * What an admin does with keys; why (size octets) gets a sentence on every error. A change is on stable storage when it answers ERR_OK. All
 * take the folder's lock, so that one goes on at a time.
 */

enum dkim_begin { DKIM_BEGIN_AUTO, DKIM_BEGIN_ACTIVE, DKIM_BEGIN_WAITING };	/* auto: active if the domain has none of its kind yet */

/* Makes a key; name->domain, name->algorithm and name->selector ("": one is found) are given, all of it is known then. ERR_EXISTS, ERR_SYNTAX,
 * ERR_FULL, ERR_SYSTEM, ERR_TOOBIG. */
int	dkim_manage_add(const struct dkim_folder *f, struct dkim_name *name, enum dkim_begin begin, char *why, size_t size);

/* Signs with this key from now on, and retires the one of its kind that did. ERR_NOTFOUND. */
int	dkim_manage_activate(const struct dkim_folder *f, const char *domain, const char *selector, char *why, size_t size);
/* Stops signing with it. */
int	dkim_manage_retire(const struct dkim_folder *f, const char *domain, const char *selector, char *why, size_t size);
/* Removes a key for good. ERR_BUSY: it is active. */
int	dkim_manage_remove(const struct dkim_folder *f, const char *domain, const char *selector, char *why, size_t size);

#endif
