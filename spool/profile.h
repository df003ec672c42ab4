#ifndef SPOOL_PROFILE_H
#define SPOOL_PROFILE_H

struct sandbox_profile;

/* What postern-spool may do once it is sealed. */
extern const struct sandbox_profile profile_spool;

#endif
