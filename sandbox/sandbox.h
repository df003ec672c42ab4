#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct sock_fprog;

/* The parts of a sandbox, as bits. */
enum sandbox_part {
	SANDBOX_USER = 1 << 0,		/* a user of its own, no groups */
	SANDBOX_CHROOT = 1 << 1,	/* an empty folder as root */
	SANDBOX_NO_NEW_PRIVS = 1 << 2,
	SANDBOX_UNDUMPABLE = 1 << 3,
	SANDBOX_LIMITS = 1 << 4,	/* rlimits */
	SANDBOX_LANDLOCK = 1 << 5,
	SANDBOX_SECCOMP = 1 << 6,
};
#define SANDBOX_PARTS_UNPRIVILEGED (SANDBOX_NO_NEW_PRIVS | SANDBOX_UNDUMPABLE | SANDBOX_LIMITS | SANDBOX_LANDLOCK | SANDBOX_SECCOMP)
#define SANDBOX_PARTS_ALL (SANDBOX_PARTS_UNPRIVILEGED | SANDBOX_USER | SANDBOX_CHROOT)

/* One permitted system call. With mask != 0 only when (argument & mask) == value. */
struct sandbox_call {
	int		number;		/* __NR_... */
	const char	*reason;
	unsigned	argument;
	uint64_t	mask, value;
};

struct sandbox_limit {
	int	resource;	/* RLIMIT_... */
	rlim_t	value;
};

/* What one program may do: a table of its own, beside its code. */
struct sandbox_profile {
	const char			*name;		/* "worker" */
	const struct sandbox_call	*calls;
	size_t				 ncalls;
	const struct sandbox_limit	*limits;
	size_t				 nlimits;
};

/* A folder that stays usable, through descriptors opened before, when Landlock is closed. */
struct sandbox_tree {
	int	fd;		/* O_PATH or open folder */
	bool	writable;	/* create, write, rename, remove; else read only */
};

/* A profile with the identity to take: sandbox_prepare() once, then demote and seal in the process itself. */
struct sandbox {
	const struct sandbox_profile	*profile;
	bool				 privileged;	/* started as root: take uid, gid and chroot */
	uid_t				 uid;
	gid_t				 gid;
	int				 empty_fd;	/* the empty folder, O_PATH|O_DIRECTORY; unused if not privileged */
	bool				 require;	/* a part that the kernel lacks is an error */
	bool				 connects;	/* Landlock leaves it TCP connections to elsewhere (relay, its resolver) */
	struct sandbox_tree		 trees[2];
	size_t				 ntrees;
	/* set by sandbox_prepare() */
	int				 ruleset_fd;	/* Landlock, -1: the kernel has none */
	struct sock_fprog		*filter;
};

/* Compiles the filter and makes the Landlock ruleset, before a fork where many children share them. ERR_SYSTEM, ERR_NOMEM. */
int	sandbox_prepare(struct sandbox *s);

/*
 * Gives up what was inherited, in the one right order: empty folder as root, groups, gid, uid (checked that they can't be had
 * back), no_new_privs, not dumpable, rlimits, Landlock. Threads may be started after this. *parts gets the parts in force.
 * ERR_SYSTEM; ERR_DENIED when a part is missing and s->require. On error the process must end.
 */
int	sandbox_demote(const struct sandbox *s, uint32_t *parts);

/* Installs the system call filter for all threads. From here on only the profile's calls work. Errors as above. */
int	sandbox_seal(const struct sandbox *s, uint32_t *parts);

/* "user chroot no_new_privs ..." of the bits; to holds 128 octets; returns to. */
char	*sandbox_put_parts(char *to, uint32_t parts);

/*
 * Proves each part in child processes that try what it forbids, and prints a line each to standard output:
 *   NAME PART ok|absent|off TEXT     (off: not started as root)
 * Returns ERR_OK when no part is absent, else ERR_DENIED.
 */
int	sandbox_selftest(struct sandbox *s);

/* The build's own part: which build this is ("release" or "asan"), calls that its runtime needs beyond each profile, and what an
 * unknown call gets (a libseccomp action). The asan build's handler names the call on standard error first. */
extern const char sandbox_build_name[];
extern const struct sandbox_call sandbox_build_calls[];
extern const size_t sandbox_build_ncalls;
extern const bool sandbox_build_keeps_stderr;
extern const bool sandbox_build_limits_data;	/* RLIMIT_DATA can be had: no shadow memory */
uint32_t sandbox_build_unknown_action(void);
void	sandbox_build_install(void);

#endif
