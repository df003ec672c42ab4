#ifndef RELAY_RESOLVER_PROFILE_H
#define RELAY_RESOLVER_PROFILE_H

struct sandbox_profile;

extern const struct sandbox_profile resolver_profile;

#endif
