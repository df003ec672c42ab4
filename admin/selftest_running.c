/*
 * What /proc says of a running instance's sandboxes: every process but the master has its filter, its user, its
 * empty root. Runs in smtpadm with the admin's rights, reads only. What only root may see is "off" for others.
 */
#include "selftest.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "process.h"
#include "str.h"

/* A process that was forked a moment ago is not in its sandbox yet: it gets this many looks, 50 ms apart. */
#define LOOKS 40

/* Whether its root is an empty folder; ERR_DENIED when that can't be seen. */
static int
check_root(pid_t pid)
{
	const struct dirent *entry;
	char path[64];
	int err = ERR_OK;
	DIR *d;

	str_fmt(path, sizeof(path), "/proc/%d/root/", (int)pid);
	if ((d = opendir(path)) == NULL)
		return errno == ENOENT ? ERR_NOTFOUND : ERR_DENIED;
	while ((entry = readdir(d)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			err = ERR_EXISTS;
	closedir(d);
	return err;
}

static bool
is_closed(const struct process *p, bool as_root)
{
	return p->seccomp == 2 && p->no_new_privs == 1 && (!as_root || (p->uid != 0 && check_root(p->pid) == ERR_OK));
}

static const char *
kind_of(const struct process *p)
{
	return p->is_worker ? "worker" : p->program;
}

static void
add(struct selftest *t, const struct process *p, const char *part, bool ok, const char *text)
{
	char name[64];

	str_fmt(name, sizeof(name), "%s[%d]", kind_of(p), (int)p->pid);
	selftest_add(t, name, part, ok ? "ok" : "absent", text);
}

static void
check_process(struct selftest *t, struct process *p, bool as_root)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	struct process now = *p;
	char text[64];
	int root;

	for (int look = 0; look < LOOKS && !is_closed(&now, as_root); look++) {
		nanosleep(&pause, NULL);
		if (process_read(p->pid, &now) != ERR_OK)
			return;
		now.is_worker = p->is_worker;
	}
	*p = now;
	add(t, p, "seccomp", p->seccomp == 2, p->seccomp == 2 ? "running with its filter" : "running without a filter");
	add(t, p, "no_new_privs", p->no_new_privs == 1, p->no_new_privs == 1 ? "set" : "not set");
	if (!as_root) {
		selftest_add(t, kind_of(p), "user", "off", "not seen without root");
		return;
	}
	str_fmt(text, sizeof(text), "runs as user %u", (unsigned)p->uid);
	add(t, p, "user", p->uid != 0, text);
	root = check_root(p->pid);
	if (root != ERR_NOTFOUND)
		add(t, p, "chroot", root == ERR_OK,
		    root == ERR_OK ? "its root is an empty folder" : "its root is not empty");
}

/* Two kinds of program with one user could reach into each other. */
static void
check_users(struct selftest *t, const struct process *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (list[i].uid == list[j].uid && strcmp(kind_of(&list[i]), kind_of(&list[j])) != 0)
				add(t, &list[i], "separate", false, "shares its user with another kind of program");
}

int
selftest_running(struct selftest *t)
{
	bool as_root = geteuid() == 0;
	struct process *list, *others;
	size_t n;
	pid_t master;

	if (!process_find_master(t->a, &master))
		return EX_OK;
	if (process_tree(master, &list, &n) != ERR_OK)
		return out_fail(EX_OSERR, "system", "/proc can't be read");
	others = list;
	while (n > 0 && others->pid == master) {
		others++;
		n--;
	}
	for (size_t i = 0; i < n; i++)
		check_process(t, &others[i], as_root);
	if (as_root)
		check_users(t, others, n);
	free(list);
	return EX_OK;
}
