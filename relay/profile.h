#ifndef RELAY_PROFILE_H
#define RELAY_PROFILE_H

#include "sandbox.h"

extern const struct sandbox_profile profile_relay;
extern const struct sandbox_profile profile_outbound;

#endif
