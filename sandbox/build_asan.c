/*
 * The named profile of the sanitizer build, "asan": the calls that AddressSanitizer's and UBSan's runtimes make beyond a
 * program's own, standard error kept open for their reports, and a handler that names an unknown call before it
 * answers ENOSYS. Never part of a release build.
 */
#include "sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char sandbox_build_name[] = "asan";
const struct sandbox_call sandbox_build_calls[] = {
	{ __NR_mmap, "shadow and heap", 0, 0, 0 },
	{ __NR_mprotect, "guard pages", 0, 0, 0 },
	{ __NR_sigaltstack, "a stack for reports of overflows", 0, 0, 0 },
	{ __NR_rt_sigaction, "handlers", 0, 0, 0 },
	{ __NR_rt_sigprocmask, "handlers", 0, 0, 0 },
	{ __NR_rt_sigreturn, "return from the handler below", 0, 0, 0 },
	{ __NR_write, "reports", 0, 0, 0 },
	{ __NR_gettid, "reports", 0, 0, 0 },
	{ __NR_sched_yield, "spin locks", 0, 0, 0 },
	{ __NR_getrlimit, "stack bounds", 0, 0, 0 },
	{ __NR_prlimit64, "stack bounds", 0, 0, 0 },
	{ __NR_sched_getaffinity, "stack bounds", 0, 0, 0 },
	{ __NR_tgkill, "abort after a report", 0, 0, 0 },
	{ __NR_exit_group, "end after a report", 0, 0, 0 },
};
const size_t sandbox_build_ncalls = sizeof(sandbox_build_calls) / sizeof(sandbox_build_calls[0]);
const bool sandbox_build_limits_data = false;
const bool sandbox_build_keeps_stderr = true;

/* Leak checks at exit trace the process, which the sandbox forbids; the unit tests look for leaks. */
const char *
__asan_default_options(void)
{
	return "detect_leaks=0:exitcode=99:handle_abort=1:allocator_may_return_null=1";
}

const char *
__ubsan_default_options(void)
{
	return "print_stacktrace=1:halt_on_error=1:exitcode=99";
}

static void
name_unknown_call(int number, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	char text[80];
	int n = snprintf(text, sizeof(text), "sandbox: unknown system call %d answered ENOSYS\n", info->si_syscall);
	ssize_t done = write(STDERR_FILENO, text, (size_t)n);

	(void)number;
	(void)done;
	u->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
}

uint32_t
sandbox_build_unknown_action(void)
{
	return SCMP_ACT_TRAP;
}

void
sandbox_build_install(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = name_unknown_call;
	sa.sa_flags = SA_SIGINFO | SA_NODEFER;
	sigaction(SIGSYS, &sa, NULL);
}
