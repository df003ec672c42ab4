#ifndef AUTH_WRITER_H
#define AUTH_WRITER_H

#include <stdint.h>

#include "registry.h"

/* The thread that writes what postern-auth itself has to note in the registry. */
struct writer;

/* Starts it; the registry, open for writing, is its own from now on. ERR_NOMEM, ERR_SYSTEM. */
int	writer_open(struct writer **w, struct registry *r);

/* Queue a note. What finds no room, or the registry locked, is dropped: the next login notes it again. */
void	writer_note_use(struct writer *w, uint64_t credential, uint64_t time_us, const char *network);
void	writer_rehash(struct writer *w, const struct registry_credential *c, const char *hash);

/* Waits at most ms for all that is queued. */
void	writer_drain(struct writer *w, unsigned ms);

#endif
