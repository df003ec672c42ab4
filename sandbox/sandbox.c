/*
 * Giving up rights, written once: the one right order, and nothing in it may fail softly. Run by workers and
 * services before they read the first foreign octet. Invariant: after sandbox_demote() the old user, groups
 * and root folder cannot be had back.
 */
#include "sandbox.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "err.h"
#include "landlock.h"
#include "seccomp_filter.h"

static const struct {
	enum sandbox_part	part;
	const char		*name;
} part_names[] = {
	{ SANDBOX_USER, "user" }, { SANDBOX_CHROOT, "chroot" }, { SANDBOX_NO_NEW_PRIVS, "no_new_privs" },
	{ SANDBOX_UNDUMPABLE, "undumpable" }, { SANDBOX_LIMITS, "limits" }, { SANDBOX_LANDLOCK, "landlock" },
	{ SANDBOX_SECCOMP, "seccomp" },
};

char *
sandbox_put_parts(char *to, uint32_t parts)
{
	size_t used = 0;

	to[0] = 0;
	for (size_t i = 0; i < sizeof(part_names) / sizeof(part_names[0]); i++)
		if ((parts & part_names[i].part) != 0)
			used += (size_t)snprintf(to + used, 128 - used, "%s%s", used != 0 ? " " : "", part_names[i].name);
	return to;
}

int
sandbox_prepare(struct sandbox *s)
{
	int err;

	if ((err = landlock_prepare(s->trees, s->ntrees, s->connects, &s->ruleset_fd)) != ERR_OK)
		return err;
	return seccomp_filter_compile(s->profile, &s->filter);
}

static int
change_identity(const struct sandbox *s)
{
	uid_t r, e, saved;

	if (fchdir(s->empty_fd) != 0 || chroot(".") != 0 || chdir("/") != 0)
		return ERR_SYSTEM;
	if (setgroups(0, NULL) != 0 || setresgid(s->gid, s->gid, s->gid) != 0 ||
	    setresuid(s->uid, s->uid, s->uid) != 0)
		return ERR_SYSTEM;
	if (getresuid(&r, &e, &saved) != 0 || r != s->uid || e != s->uid || saved != s->uid || s->uid == 0)
		return ERR_DENIED;
	if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0)
		return ERR_DENIED;
	return ERR_OK;
}

static int
set_limits(const struct sandbox_profile *p)
{
	const struct rlimit no_core = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &no_core) != 0)
		return ERR_SYSTEM;
	for (size_t i = 0; i < p->nlimits; i++) {
		struct rlimit now, wanted = { p->limits[i].value, p->limits[i].value };

		if (p->limits[i].resource == RLIMIT_DATA && !sandbox_build_limits_data)
			continue;
		/* Only ever downwards: an ordinary user may not raise a hard limit that is lower already. */
		if (getrlimit((__rlimit_resource_t)p->limits[i].resource, &now) != 0)
			return ERR_SYSTEM;
		if (now.rlim_max != RLIM_INFINITY && now.rlim_max < wanted.rlim_max)
			wanted.rlim_cur = wanted.rlim_max = now.rlim_max;
		if (setrlimit((__rlimit_resource_t)p->limits[i].resource, &wanted) != 0)
			return ERR_SYSTEM;
	}
	return ERR_OK;
}

int
sandbox_demote(const struct sandbox *s, uint32_t *parts)
{
	int err;

	*parts = 0;
	if (s->privileged) {
		if ((err = change_identity(s)) != ERR_OK)
			return err;
		*parts |= SANDBOX_USER | SANDBOX_CHROOT;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return ERR_SYSTEM;
	*parts |= SANDBOX_NO_NEW_PRIVS | SANDBOX_UNDUMPABLE;
	if ((err = set_limits(s->profile)) != ERR_OK)
		return err;
	*parts |= SANDBOX_LIMITS;
	if (s->ruleset_fd >= 0) {
		if ((err = landlock_enter(s->ruleset_fd)) != ERR_OK)
			return err;
		*parts |= SANDBOX_LANDLOCK;
	} else if (s->require) {
		return ERR_DENIED;
	}
	return ERR_OK;
}

int
sandbox_seal(const struct sandbox *s, uint32_t *parts)
{
	int err = seccomp_filter_install(s->filter);

	if (err == ERR_OK)
		*parts |= SANDBOX_SECCOMP;
	else if (!s->require && (errno == ENOSYS || errno == EINVAL))
		return ERR_OK;
	return err;
}
