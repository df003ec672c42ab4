/*
 * What the release build adds to each program's profile: nothing. An unknown system call answers ENOSYS.
 */
#include "sandbox.h"

#include <errno.h>
#include <seccomp.h>

const char sandbox_build_name[] = "release";
const struct sandbox_call sandbox_build_calls[] = { { 0, NULL, 0, 0, 0 } };
const size_t sandbox_build_ncalls = 0;
const bool sandbox_build_limits_data = true;
const bool sandbox_build_keeps_stderr = false;

uint32_t
sandbox_build_unknown_action(void)
{
	return SCMP_ACT_ERRNO(ENOSYS);
}

void
sandbox_build_install(void)
{
}
