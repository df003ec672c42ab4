#ifndef WORKER_SANDBOX_TABLE_H
#define WORKER_SANDBOX_TABLE_H

#include "sandbox.h"

extern const struct sandbox_profile worker_profile;

#endif
