#ifndef ADMIN_CONFEDIT_H
#define ADMIN_CONFEDIT_H

#include <stddef.h>

struct buf;

/*
 * Puts the text of a configuration with one key set to a value into out; every other line, comment and blank stays
 * as it is. The value of a key that is there is replaced; else the key goes to the end of its section; else the
 * section, to the end of the file. Section "" is the part before the first section. Pure. ERR_TOOBIG, ERR_NOMEM.
 */
int confedit_set(
    struct buf *out, const char *text, size_t len, const char *section, const char *key, const char *value);

/*
 * The same without a section, however often it begins: its header and keys go, with the comments between them; comments and empty
 * lines behind its last key stay, since they belong to what follows. Pure. ERR_NOTFOUND, ERR_TOOBIG, ERR_NOMEM.
 */
int confedit_remove(struct buf *out, const char *text, size_t len, const char *section);

#endif
