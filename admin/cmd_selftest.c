/*
 * smtpadm selftest sandbox: each program proves its own sandbox in children, and the processes of a running
 * instance are looked at. Runs with the admin's rights; starts the programs of the same installation with
 * --selftest, which change nothing.
 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf.h"
#include "err.h"
#include "io.h"
#include "process.h"
#include "selftest.h"
#include "str.h"

static const char *const programs[] = { "posternd", "postern-auth", "postern-keys", "postern-spool",
    "postern-relay" };

static const struct table_column columns[] = {
	{ "PROGRAM", false, 0 }, { "PART", false, 0 }, { "RESULT", false, 0 }, { "", false, 20 },
};

void
selftest_add(struct selftest *t, const char *program, const char *part, const char *result, const char *text)
{
	struct json j;

	t->failed = t->failed || (strcmp(result, "ok") != 0 && strcmp(result, "off") != 0);
	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "program", program);
		json_put_str(&j, "part", part);
		json_put_str(&j, "result", result);
		json_put_str(&j, "text", text);
		json_end(&j, stdout);
		return;
	}
	table_add(&t->table, program);
	table_add(&t->table, part);
	table_add(&t->table, result);
	table_add(&t->table, text);
}

static pid_t
start(const char *path, const char *name, const char *root, int *from)
{
	int pipe_fds[2];
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return -1;
	fflush(NULL);
	if ((pid = fork()) == 0) {
		int null = open("/dev/null", O_RDONLY);

		if (null < 0 || dup2(null, 0) < 0 || dup2(pipe_fds[1], 1) < 0)
			_exit(EX_OSERR);
		execl(path, name, "--selftest", root[0] != 0 ? "--root" : NULL, root, (char *)NULL);
		_exit(EX_OSERR);
	}
	close(pipe_fds[1]);
	if (pid < 0)
		close(pipe_fds[0]);
	*from = pipe_fds[0];
	return pid;
}

/* "NAME PART ok|absent|off TEXT" */
static bool
take_line(struct selftest *t, char *line)
{
	char *fields[4] = { line };

	line[strcspn(line, "\n")] = 0;
	for (size_t i = 1; i < 4; i++) {
		char *blank = strchr(fields[i - 1], ' ');

		if (blank == NULL)
			return false;
		*blank = 0;
		fields[i] = blank + 1;
	}
	selftest_add(t, fields[0], fields[1], fields[2], fields[3]);
	return true;
}

static void
test_program(struct selftest *t, const char *name)
{
	char path[PATH_MAX], line[512], text[128];
	size_t lines = 0;
	int from, status;
	FILE *f;
	pid_t pid;

	if (process_find_program(name, path) != ERR_OK) {
		selftest_add(t, name, "program", "absent", "the program is not installed beside smtpadm");
		return;
	}
	if ((pid = start(path, name, t->a->in.root, &from)) < 0 || (f = fdopen(from, "r")) == NULL) {
		selftest_add(t, name, "program", "absent", "the program could not be started");
		return;
	}
	while (fgets(line, sizeof(line), f) != NULL)
		lines += take_line(t, line);
	fclose(f);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 1) && lines != 0) {
		t->failed = t->failed || WEXITSTATUS(status) != 0;
		return;
	}
	if (WIFEXITED(status))
		str_fmt(
		    text, sizeof(text), "the self-test ended with code %d after %zu lines", WEXITSTATUS(status), lines);
	else
		str_fmt(text, sizeof(text), "the self-test was ended by signal %d", WTERMSIG(status));
	selftest_add(t, name, "program", "absent", text);
}

int
cmd_selftest_sandbox(struct admin *a)
{
	struct selftest t = { .a = a };
	static struct conf c;
	int code;

	if ((code = admin_load_conf(a, &c)) != EX_OK)
		return code;
	table_open(&t.table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		test_program(&t, programs[i]);
	code = selftest_running(&t);
	table_print(&t.table);
	if (code == EX_OK && t.failed)
		code = out_fail(EX_NO, "part_absent", "a part of the sandbox is absent");
	return code;
}
