/*
 * DKIM keys as smtpadm sees them: what postern-keys --dkim, started for it, says of their public parts. Runs with the admin's rights. Invariant:
 * no private key is ever in this process.
 */
#include "dkim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "addr.h"
#include "buf.h"
#include "control.h"
#include "err.h"
#include "io.h"
#include "out.h"
#include "process.h"
#include "str.h"

#define OUTPUT_MAX (4 << 20)
#define WORDS_MAX 8
#define STRING_MAX 255

static const char program[] = "postern-keys";

static pid_t
start(const char *path, const char *root, const char *const *words, int *out, int *err)
{
	const char *argv[WORDS_MAX + 6] = { program };
	int outs[2], errs[2];
	size_t n = 1;
	pid_t pid;

	if (root[0] != 0) {
		argv[n++] = "--root";
		argv[n++] = root;
	}
	argv[n++] = "--dkim";
	for (size_t i = 0; words[i] != NULL && i < WORDS_MAX; i++)
		argv[n++] = words[i];
	if (pipe2(outs, O_CLOEXEC) != 0)
		return -1;
	if (pipe2(errs, O_CLOEXEC) != 0) {
		close(outs[0]);
		close(outs[1]);
		return -1;
	}
	fflush(NULL);
	if ((pid = fork()) == 0) {
		int null = open("/dev/null", O_RDONLY);

		if (null < 0 || dup2(null, 0) < 0 || dup2(outs[1], 1) < 0 || dup2(errs[1], 2) < 0)
			_exit(EX_OSERR);
		execv(path, (char *const *)(size_t)argv);
		_exit(EX_UNAVAILABLE);
	}
	close(outs[1]);
	close(errs[1]);
	*out = outs[0];
	*err = errs[0];
	if (pid < 0) {
		close(outs[0]);
		close(errs[0]);
	}
	return pid;
}

static int
take_rows(char *text, struct dkim_rows *rows)
{
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n")) != NULL && *line != 0) {
		struct dkim_row k = { .created_s = 0 }, *grown;
		unsigned long long created;

		if (sscanf(line, "%255s %63s %15s %15s %8s %llu %1023s", k.domain, k.selector, k.algorithm, k.state, k.retired, &created,
		    k.public_key) != 7)
			return ERR_SYNTAX;
		k.created_s = created;
		if (k.retired[0] == '-')
			k.retired[0] = 0;
		if ((grown = realloc(rows->rows, (rows->n + 1) * sizeof(*grown))) == NULL)
			return ERR_NOMEM;
		rows->rows = grown;
		rows->rows[rows->n++] = k;
	}
	return ERR_OK;
}

static const char *
name_of(int code)
{
	return code == EX_CANTCREAT ? "exists" : code == EX_NOUSER ? "no_key" : code == EX_NOPERM ? "not_allowed" :
	    code == EX_CONFIG ? "configuration" : code == EX_DATAERR ? "bad_key" : "system";
}

static int
end(pid_t pid, const char *said)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return out_fail(EX_OSERR, "system", "%s: %s", program, strerror(errno));
	if (WIFSIGNALED(status))
		return out_fail(EX_SOFTWARE, "system", "%s was ended by signal %d", program, WTERMSIG(status));
	if (WEXITSTATUS(status) == 0)
		return EX_OK;
	out_fix("smtpadm dkim list");
	return out_fail(WEXITSTATUS(status), name_of(WEXITSTATUS(status)), "%.*s", (int)strcspn(said, "\n"),
	    said[0] != 0 ? said : "postern-keys could not be started");
}

int
dkim_run(const struct admin *a, const char *const *words, struct dkim_rows *rows)
{
	char path[PATH_MAX];
	struct buf out, err;
	int out_fd, err_fd, code;
	pid_t pid;

	*rows = (struct dkim_rows){ .n = 0 };
	if (process_find_program(program, path) != ERR_OK)
		return out_fail(EX_UNAVAILABLE, "not_installed", "%s is not installed beside smtpadm", program);
	if ((pid = start(path, a->in.root, words, &out_fd, &err_fd)) < 0)
		return out_fail(EX_OSERR, "system", "%s could not be started: %s", program, strerror(errno));
	buf_init(&out, OUTPUT_MAX);
	buf_init(&err, OUTPUT_MAX);
	/* It says one sentence at most on standard error, which the pipe holds. */
	if (io_read_all(out_fd, &out) != ERR_OK || io_read_all(err_fd, &err) != ERR_OK || buf_put_nul(&out) != ERR_OK ||
	    buf_put_nul(&err) != ERR_OK)
		code = out_fail(EX_OSERR, "system", "%s could not be heard", program);
	else
		code = EX_OK;
	io_close(&out_fd);
	io_close(&err_fd);
	if (code == EX_OK && (code = end(pid, (const char *)err.data)) == EX_OK && take_rows((char *)out.data, rows) != ERR_OK)
		code = out_fail(EX_SOFTWARE, "system", "%s said what can't be understood: are it and smtpadm of one version?", program);
	buf_free(&out);
	buf_free(&err);
	return code;
}

int
dkim_list(const struct admin *a, struct dkim_rows *rows)
{
	static const char *const words[] = { "list", NULL };

	return dkim_run(a, words, rows);
}

void
dkim_rows_free(struct dkim_rows *rows)
{
	free(rows->rows);
	*rows = (struct dkim_rows){ .n = 0 };
}

int
dkim_tell(const struct admin *a)
{
	struct ipc_control_done d;
	uint8_t data[16];
	struct wire_out w;
	pid_t pid;
	int code;

	if (!process_find_master(a, &pid)) {
		out_say("posternd does not run: it will find the keys when it starts");
		return EX_OK;
	}
	wire_out_init(&w, data, sizeof(data));
	ipc_put_empty(&w, IPC_CONTROL_RELOAD);
	if ((code = control_order(a, &w, IPC_CONTROL_RELOAD_ANSWER, &d)) != EX_OK)
		return code;
	if (d.code == EX_OK)
		return EX_OK;
	out_fix("smtpadm reload, once that is mended");
	return out_fail(d.code, "configuration", "the keys are changed, but posternd still signs as before: %s", d.reason);
}

int
dkim_get_domain(const char *word, char to[256])
{
	size_t n = strlen(word);

	if (n > 1 && word[n - 1] == '.')
		n--;
	if (n < 256 && addr_is_domain(word, n, false) && word[0] != '[') {
		for (size_t i = 0; i < n; i++)
			to[i] = (char)(word[i] >= 'A' && word[i] <= 'Z' ? word[i] | 0x20 : word[i]);
		to[n] = 0;
		return EX_OK;
	}
	out_fix("a domain such as example.org; one with other letters in its form with xn--");
	return out_fail(EX_DATAERR, "bad_domain", "'%s' is no domain", word);
}

void
dkim_put_record(char *to, const struct dkim_row *k)
{
	snprintf(to, DKIM_RECORD_TEXT, "v=DKIM1; k=%s; p=%s", k->algorithm, k->public_key);
}

void
dkim_put_name(char *to, const struct dkim_row *k)
{
	snprintf(to, 400, "%s._domainkey.%s", k->selector, k->domain);
}

void
dkim_print_txt(const char *name, const char *text)
{
	size_t n = strlen(text);

	if (n <= STRING_MAX) {
		out_print("%s. IN TXT \"%s\"\n", name, text);
		return;
	}
	out_print("%s. IN TXT (", name);
	for (size_t at = 0; at < n; at += STRING_MAX)
		out_print("\n    \"%.*s\"", (int)(n - at < STRING_MAX ? n - at : STRING_MAX), text + at);
	out_print(" )\n");
}
