/*
 * How long postern-relay lets a session process go on, beyond all deadlines that one keeps itself: it may be in the hands of a hostile
 * server. Invariant: no process that does as session.c says comes near these.
 */
#include "patience.h"

/* Its last words are QUIT, with a deadline of seconds. */
const uint64_t patience_end_ms = 60000;

/*
 * Two days. A hundred recipients at a server that answers each command of a session (RFC 5321, 4.5.3.2: five minutes), and over LMTP each
 * recipient's final reply (ten minutes), right before its deadline are 25 hours; the rest is for a message that is taken as slowly.
 */
const uint64_t patience_delivery_ms = 172800000;

const uint64_t patience_life_ms = 3600000;
