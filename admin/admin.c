/*
 * What all commands share: the configuration, asking on the terminal, and exit codes for errors of the libraries.
 * Runs in smtpadm with the admin's rights.
 */
#include "admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "conf.h"
#include "err.h"
#include "io.h"
#include "mem.h"
#include "out.h"

static const struct {
	int		 err, code;
	const char	*name;
} codes[] = {
	{ ERR_OK, EX_OK, "ok" },
	{ ERR_NOTFOUND, EX_NOINPUT, "not_found" },
	{ ERR_EXISTS, EX_CANTCREAT, "exists" },
	{ ERR_BUSY, EX_TEMPFAIL, "locked" },
	{ ERR_DENIED, EX_NOPERM, "not_allowed" },
	{ ERR_CORRUPT, EX_DATAERR, "corrupt" },
	{ ERR_SYNTAX, EX_DATAERR, "bad_data" },
	{ ERR_TOOBIG, EX_DATAERR, "too_big" },
	{ ERR_VERSION, EX_DATAERR, "newer_version" },
	{ ERR_FULL, EX_IOERR, "disk_full" },
	{ ERR_NOMEM, EX_OSERR, "no_memory" },
};

int
admin_code(int err)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].err == err)
			return codes[i].code;
	if (err == ERR_SYSTEM && (errno == EACCES || errno == EPERM || errno == ELOOP))
		return EX_NOPERM;
	return err == ERR_SYSTEM && errno == EIO ? EX_IOERR : EX_OSERR;
}

const char *
admin_name(int err)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].err == err)
			return codes[i].name;
	return admin_code(err) == EX_NOPERM ? "not_allowed" : "system";
}

int
admin_load_conf(const struct admin *a, struct conf *c)
{
	struct conf_error error;
	int err = conf_load(c, a->in.conf_file, NULL, NULL, &error);

	if (err == ERR_OK)
		return EX_OK;
	if (err == ERR_SYNTAX) {
		out_fix("smtpadm config set KEY VALUE, or an editor");
		return out_fail(EX_CONFIG, "configuration", "%s:%u: %s", a->in.conf_file, error.line, error.text);
	}
	if (err == ERR_NOTFOUND) {
		out_fix("smtpadm setup");
		return out_fail(EX_NOINPUT, "no_instance", "there is no %s", a->in.conf_file);
	}
	return out_fail(admin_code(err), admin_name(err), "%s: %s", a->in.conf_file, error.text);
}

bool
admin_has_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool
admin_ask(const char *prompt, bool echo, char *to, size_t size)
{
	struct termios before, silent;
	bool changed = false, whole = false;
	char clean[512], c;
	size_t n = 0;

	fflush(stdout);
	fputs(out_clean(clean, sizeof(clean), prompt), stderr);
	if (!echo && tcgetattr(STDIN_FILENO, &before) == 0) {
		silent = before;
		silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ISIG);
		changed = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
	}
	/* Octet by octet: nothing of it stays in a buffer of the library. */
	while (read(STDIN_FILENO, &c, 1) == 1) {
		whole = c == '\n';
		if (whole || c == 3 || n + 1 >= size)
			break;
		to[n++] = c;
	}
	to[n] = 0;
	if (changed) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		fputc('\n', stderr);
	}
	if (!whole)
		mem_wipe(to, size);
	return whole;
}

int
admin_confirm(const struct admin *a, const char *what, const char *nouns, const char *const *samples, size_t count)
{
	char answer[16], question[2048], clean[2048];

	if (a->yes || a->dry_run || (count < 2 && !admin_has_terminal()))
		return EX_OK;
	snprintf(question, sizeof(question), "%s: %s%s%s%s%s%s", what, samples[0], count > 1 ? ", " : "", count > 1 ? samples[1] : "",
	    count > 2 ? ", " : "", count > 2 ? samples[2] : "", count > 3 ? ", ..." : "");
	/* -q silences messages, not what the question is about. */
	if (admin_has(a, OPT_QUIET) && admin_has_terminal())
		fprintf(stderr, "smtpadm: %s\n", out_clean(clean, sizeof(clean), question));
	out_warn("%s", question);
	if (!admin_has_terminal()) {
		out_fix("the same command with --yes");
		return out_fail(
		    EX_USAGE, "needs_yes", "%zu %s: without a terminal to ask on this needs --yes", count, nouns);
	}
	if (!admin_ask("Go on? [y/N] ", true, answer, sizeof(answer)) || (answer[0] != 'y' && answer[0] != 'Y'))
		return out_fail(EX_NO, "declined", "nothing was changed");
	return EX_OK;
}
