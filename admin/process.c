/*
 * The processes of a running instance as /proc shows them. Runs in smtpadm with the admin's rights, reads only.
 */
#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "io.h"
#include "str.h"

#define PROC_FILE_MAX 16384

static int
read_proc(pid_t pid, const char *name, struct buf *b)
{
	char path[64];
	int err;

	buf_init(b, PROC_FILE_MAX);
	if ((err = str_fmt(path, sizeof(path), "/proc/%d/%s", (int)pid, name)) == ERR_OK &&
	    (err = io_read_file(path, b)) == ERR_OK)
		err = buf_put_nul(b);
	if (err != ERR_OK)
		buf_free(b);
	return err;
}

/* The number behind "Name:" in /proc/PID/status. */
static long
status_number(const struct buf *b, const char *name)
{
	const char *line = strstr((const char *)b->data, name);

	return line != NULL ? strtol(line + strlen(name), NULL, 10) : -1;
}

int
process_read(pid_t pid, struct process *p)
{
	char path[64], exe[PATH_MAX];
	const char *base;
	struct buf b;
	ssize_t n;

	*p = (struct process){ .pid = pid };
	if (read_proc(pid, "status", &b) != ERR_OK)
		return ERR_NOTFOUND;
	p->parent = (pid_t)status_number(&b, "\nPPid:");
	p->uid = (uid_t)status_number(&b, "\nUid:");
	p->seccomp = (int)status_number(&b, "\nSeccomp:");
	p->no_new_privs = (int)status_number(&b, "\nNoNewPrivs:");
	if (sscanf((const char *)b.data, "Name:%31s", p->program) != 1)
		p->program[0] = 0;
	buf_free(&b);
	/* The name may be chosen by the process; the program file may not, but only root is told. */
	str_fmt(path, sizeof(path), "/proc/%d/exe", (int)pid);
	if ((n = readlink(path, exe, sizeof(exe) - 1)) > 0) {
		exe[n] = 0;
		base = strrchr(exe, '/');
		str_fmt(p->program, sizeof(p->program), "%.31s", base != NULL ? base + 1 : exe);
		p->program[strcspn(p->program, " ")] = 0;
	}
	return ERR_OK;
}

bool
process_find_master(const struct admin *a, pid_t *pid)
{
	char path[PATH_MAX];
	struct process p;
	struct buf b;
	uint64_t value;
	size_t digits;
	bool found;

	buf_init(&b, 64);
	if (str_fmt(path, sizeof(path), "%s/posternd.pid", a->in.run_dir) != ERR_OK ||
	    io_read_file(path, &b) != ERR_OK || buf_put_nul(&b) != ERR_OK) {
		buf_free(&b);
		return false;
	}
	digits = strspn((const char *)b.data, "0123456789");
	found = str_parse_u64(b.data, digits, INT_MAX, &value) == ERR_OK && value > 1;
	buf_free(&b);
	if (!found)
		return false;
	*pid = (pid_t)value;
	/* The number may be another program's by now. */
	return process_read(*pid, &p) == ERR_OK && strcmp(p.program, "posternd") == 0;
}

static int
read_all(struct process **list, size_t *n)
{
	struct process *grown;
	struct dirent *entry;
	size_t size = 0;
	DIR *d = opendir("/proc");

	*list = NULL;
	*n = 0;
	if (d == NULL)
		return ERR_SYSTEM;
	while ((entry = readdir(d)) != NULL) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (*n == size) {
			size = size != 0 ? size * 2 : 256;
			if ((grown = realloc(*list, size * sizeof(**list))) == NULL) {
				free(*list);
				*list = NULL;
				closedir(d);
				return ERR_NOMEM;
			}
			*list = grown;
		}
		if (process_read((pid_t)strtol(entry->d_name, NULL, 10), &(*list)[*n]) == ERR_OK)
			(*n)++;
	}
	closedir(d);
	return ERR_OK;
}

static bool
is_below(const struct process *all, size_t n, const struct process *p, pid_t master)
{
	/* Bounded: parents may change under our eyes. */
	for (int depth = 0; depth < 16; depth++) {
		size_t i = 0;

		if (p->pid == master || p->parent == master)
			return true;
		while (i < n && all[i].pid != p->parent)
			i++;
		if (i == n)
			return false;
		p = &all[i];
	}
	return false;
}

int
process_tree(pid_t master, struct process **list, size_t *n)
{
	struct process *all, first;
	size_t kept = 0;
	int err;

	if ((err = read_all(&all, n)) != ERR_OK)
		return err;
	for (size_t i = 0; i < *n; i++) {
		if (!is_below(all, *n, &all[i], master))
			continue;
		/* Later parents are looked for among what is kept or not yet looked at: a swap loses none. */
		first = all[kept];
		all[kept] = all[i];
		all[i] = first;
		if (all[kept].pid == master && kept != 0) {
			first = all[0];
			all[0] = all[kept];
			all[kept] = first;
		}
		kept++;
	}
	for (size_t i = 0; i < kept; i++)
		all[i].is_worker = all[i].pid != master && strcmp(all[i].program, "posternd") == 0;
	*n = kept;
	*list = all;
	return ERR_OK;
}

int
process_find_program(const char *name, char path[PATH_MAX])
{
	static const char *const folders[] = { LIBEXECDIR, "/usr/sbin", "/usr/local/sbin" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n > 0) {
		self[n] = 0;
		if ((slash = strrchr(self, '/')) != NULL) {
			*slash = 0;
			if (str_fmt(path, PATH_MAX, "%s/%s", self, name) == ERR_OK && access(path, X_OK) == 0)
				return ERR_OK;
		}
	}
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (str_fmt(path, PATH_MAX, "%s/%s", folders[i], name) == ERR_OK && access(path, X_OK) == 0)
			return ERR_OK;
	return ERR_NOTFOUND;
}
