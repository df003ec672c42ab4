#ifndef RELAY_PATIENCE_H
#define RELAY_PATIENCE_H

#include <stdint.h>

/* patience.c: how long a session process may go on, in milliseconds. */
extern const uint64_t patience_end_ms;		/* after it was told to end, or its socket with relay has ended */
extern const uint64_t patience_delivery_ms;	/* with one delivery */
extern const uint64_t patience_life_ms;		/* it gets no other delivery after that */

#endif
