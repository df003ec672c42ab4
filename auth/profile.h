#ifndef AUTH_PROFILE_H
#define AUTH_PROFILE_H

#include "sandbox.h"

extern const struct sandbox_profile profile_auth;
extern const struct sandbox_profile profile_hasher;

#endif
