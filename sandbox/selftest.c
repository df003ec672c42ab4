/*
 * Proof of a sandbox: children take it and try what each part forbids. Run by each program's --selftest, as
 * called by smtpadm selftest sandbox; changes nothing.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "io.h"

/* The ways in which a proof's child ends. */
#define PROVED 0
#define ABSENT 1
#define UNUSABLE 2

struct proof {
	const char		*part;
	enum sandbox_part	needs;
	bool			seal;		/* with the system call filter on */
	int			(*attempt)(const struct sandbox *s, int root_fd);
	int			dies_of;	/* a signal that proves it, or 0 */
	const char		*text;
};

static int
attempt_user(const struct sandbox *s, int root_fd)
{
	(void)root_fd;
	return getuid() == s->uid && geteuid() == s->uid && getgroups(0, NULL) == 0 && setuid(0) != 0 ? PROVED : ABSENT;
}

static int
attempt_chroot(const struct sandbox *s, int root_fd)
{
	(void)s;
	(void)root_fd;
	return access("/etc", F_OK) != 0 && access("/proc", F_OK) != 0 ? PROVED : ABSENT;
}

static int
attempt_no_new_privs(const struct sandbox *s, int root_fd)
{
	(void)s;
	(void)root_fd;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? PROVED : ABSENT;
}

static int
attempt_undumpable(const struct sandbox *s, int root_fd)
{
	(void)s;
	(void)root_fd;
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? PROVED : ABSENT;
}

static int
attempt_limits(const struct sandbox *s, int root_fd)
{
	struct rlimit r;

	(void)s;
	(void)root_fd;
	return getrlimit(RLIMIT_CORE, &r) == 0 && r.rlim_max == 0 ? PROVED : ABSENT;
}

/* Landlock alone must stop this: the descriptor was opened outside, and /etc/passwd is readable for everybody. */
static int
attempt_file(const struct sandbox *s, int root_fd)
{
	(void)s;
	return openat(root_fd, "etc/passwd", O_RDONLY) < 0 && errno == EACCES ? PROVED : ABSENT;
}

/* A program that connects has socket(), but serves nobody. */
static int
attempt_socket(const struct sandbox *s, int root_fd)
{
	(void)root_fd;
	if (s->connects)
		syscall(__NR_listen, -1, 0);
	else
		syscall(__NR_socket, AF_INET, SOCK_STREAM, 0);
	return ABSENT;
}

static int
attempt_exec(const struct sandbox *s, int root_fd)
{
	(void)s;
	(void)root_fd;
	syscall(__NR_execve, "/bin/true", NULL, NULL);
	return ABSENT;
}

static const struct proof proofs[] = {
	{ "user", SANDBOX_USER, false, attempt_user, 0, "runs as a user of its own, without groups, with no way back" },
	{ "chroot", SANDBOX_CHROOT, false, attempt_chroot, 0, "sees an empty folder as the root" },
	{ "no_new_privs", 0, false, attempt_no_new_privs, 0, "no program it could start would gain rights" },
	{ "undumpable", 0, false, attempt_undumpable, 0, "leaves no core file, and others of its user can't trace it" },
	{ "limits", 0, false, attempt_limits, 0, "is bounded by rlimits" },
	{ "landlock", 0, false, attempt_file, 0, "a file is refused even through a descriptor from outside" },
	{ "seccomp", 0, true, attempt_socket, SIGSYS, "making a socket ends the process, or serving on one" },
	{ "seccomp-exec", 0, true, attempt_exec, SIGSYS, "execve() ends the process" },
};

static int
run(const struct sandbox *s, const struct proof *p, int root_fd)
{
	uint32_t parts;
	int status;
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) < 0)
		return UNUSABLE;
	if (pid == 0) {
		if (sandbox_demote(s, &parts) != ERR_OK || (p->seal && sandbox_seal(s, &parts) != ERR_OK))
			_exit(UNUSABLE);
		if (p->seal && (parts & SANDBOX_SECCOMP) == 0)
			_exit(ABSENT);
		_exit(p->attempt(s, root_fd));
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFSIGNALED(status))
		return p->dies_of != 0 && WTERMSIG(status) == p->dies_of ? PROVED : UNUSABLE;
	return WEXITSTATUS(status);
}

int
sandbox_selftest(struct sandbox *s)
{
	struct sandbox trial = *s;
	int err = ERR_OK, root_fd;

	trial.require = false;
	if ((root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return ERR_SYSTEM;
	for (size_t i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
		const struct proof *p = &proofs[i];
		const char *word = "ok";
		int result;

		if (!s->privileged && p->needs != 0) {
			printf("%s %s off not started as root\n", s->profile->name, p->part);
			continue;
		}
		result = run(&trial, p, root_fd);
		if (result != PROVED) {
			word = "absent";
			err = ERR_DENIED;
		}
		printf("%s %s %s %s\n", s->profile->name, p->part, word, result == UNUSABLE ?
		    "the sandbox could not be entered" : result == ABSENT ? "what it forbids was possible" : p->text);
	}
	io_close(&root_fd);
	return err;
}
