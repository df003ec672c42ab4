/*
 * System call filters: a profile's rows are allowed, what only an attacker calls kills the process, the rest
 * answers ENOSYS so that a new libc does not end mail. Compiled once, installed by each process.
 */
#include "sandbox.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "seccomp_filter.h"

/* Calls that no program of ours makes once it is sealed, unless its profile has a row for it. */
static const int forbidden[] = {
	__NR_execve, __NR_execveat, __NR_fork, __NR_vfork, __NR_ptrace, __NR_process_vm_readv, __NR_process_vm_writev,
	__NR_pidfd_getfd, __NR_kcmp, __NR_socket, __NR_socketpair, __NR_connect, __NR_bind, __NR_listen,
	__NR_accept, __NR_accept4, __NR_mount, __NR_umount2, __NR_pivot_root, __NR_chroot, __NR_open_tree,
	__NR_move_mount, __NR_fsopen, __NR_fsconfig, __NR_fsmount, __NR_unshare, __NR_setns,
	__NR_setuid, __NR_setgid, __NR_setreuid, __NR_setregid, __NR_setresuid, __NR_setresgid, __NR_setgroups,
	__NR_setfsuid, __NR_setfsgid, __NR_capset, __NR_personality, __NR_init_module, __NR_finit_module,
	__NR_delete_module, __NR_kexec_load, __NR_kexec_file_load, __NR_bpf, __NR_perf_event_open,
	__NR_userfaultfd, __NR_keyctl, __NR_add_key, __NR_request_key, __NR_open_by_handle_at,
	__NR_name_to_handle_at, __NR_io_uring_setup, __NR_io_uring_enter, __NR_io_uring_register, __NR_mknod,
	__NR_mknodat, __NR_reboot, __NR_swapon, __NR_swapoff, __NR_acct, __NR_quotactl, __NR_syslog,
	__NR_settimeofday, __NR_clock_settime, __NR_adjtimex, __NR_iopl, __NR_ioperm, __NR_kill, __NR_tkill,
	__NR_pidfd_send_signal, __NR_pidfd_open,
};

static bool
has_row(const struct sandbox_call *calls, size_t n, int number)
{
	for (size_t i = 0; i < n; i++)
		if (calls[i].number == number)
			return true;
	return false;
}

static int
allow(scmp_filter_ctx ctx, const struct sandbox_call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct sandbox_call *c = &calls[i];
		struct scmp_arg_cmp compare = SCMP_CMP(c->argument, SCMP_CMP_MASKED_EQ, c->mask, c->value);

		if (seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, c->number, c->mask != 0 ? 1 : 0, &compare) != 0)
			return ERR_SYSTEM;
	}
	return ERR_OK;
}

static int
fill(scmp_filter_ctx ctx, const struct sandbox_profile *p)
{
	/* A binary tree over the call numbers: the filter's cost no longer grows with its rows. */
	if (seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) != 0 ||
	    seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0)
		return ERR_SYSTEM;
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		if (has_row(p->calls, p->ncalls, forbidden[i]) ||
		    has_row(sandbox_build_calls, sandbox_build_ncalls, forbidden[i]))
			continue;
		if (seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, forbidden[i], 0) != 0)
			return ERR_SYSTEM;
	}
	if (allow(ctx, p->calls, p->ncalls) != ERR_OK)
		return ERR_SYSTEM;
	return allow(ctx, sandbox_build_calls, sandbox_build_ncalls);
}

static int
export(scmp_filter_ctx ctx, struct sock_fprog **filter)
{
	struct sock_fprog *f = calloc(1, sizeof(*f));
	struct stat st;
	int fd, err = ERR_SYSTEM;

	if (f == NULL)
		return ERR_NOMEM;
	if ((fd = memfd_create("filter", MFD_CLOEXEC)) >= 0 && seccomp_export_bpf(ctx, fd) == 0 && fstat(fd, &st) == 0 &&
	    (f->filter = malloc((size_t)st.st_size)) != NULL &&
	    pread(fd, f->filter, (size_t)st.st_size, 0) == st.st_size) {
		f->len = (unsigned short)((size_t)st.st_size / sizeof(struct sock_filter));
		*filter = f;
		err = ERR_OK;
	} else {
		free(f->filter);
		free(f);
	}
	io_close(&fd);
	return err;
}

int
seccomp_filter_compile(const struct sandbox_profile *p, struct sock_fprog **filter)
{
	scmp_filter_ctx ctx = seccomp_init(sandbox_build_unknown_action());
	int err;

	if (ctx == NULL)
		return ERR_NOMEM;
	if ((err = fill(ctx, p)) == ERR_OK)
		err = export(ctx, filter);
	seccomp_release(ctx);
	return err;
}

int
seccomp_filter_install(const struct sock_fprog *filter)
{
	sandbox_build_install();
	if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, filter) != 0)
		return ERR_SYSTEM;
	return ERR_OK;
}
