#ifndef KEYS_PROFILE_H
#define KEYS_PROFILE_H

struct sandbox_profile;

extern const struct sandbox_profile keys_profile;

#endif
