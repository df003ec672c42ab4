/*
 * smtpadm queue export: copies of messages, as they would be delivered, in an mbox file (RFC 4155, with mboxrd's quoting) or a file each.
 * The file or folder is made with the admin's rights, the messages are read as the owner of the spool. Invariant: nothing that
 * is there already is written over.
 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "err.h"
#include "io.h"
#include "matches.h"
#include "out.h"
#include "str.h"

struct exporting {
	const struct spool_dirs	*d;
	FILE			*mbox;		/* or NULL */
	int			 folder;	/* or -1 */
	int			 error;		/* errno of what could not be written */
	uint64_t		 n;
};

static int
open_target(const char *path, struct exporting *x, const struct instance_ids *ids)
{
	size_t n = strlen(path);
	struct stat st;
	int fd;

	x->folder = -1;
	if (strcmp(path, "-") == 0) {
		x->mbox = stdout;
		return EX_OK;
	}
	if ((n != 0 && path[n - 1] == '/') || (stat(path, &st) == 0 && S_ISDIR(st.st_mode))) {
		bool is_new = mkdir(path, 0700) == 0;
		char name[PATH_MAX];

		/* Without the slash a link at the end is seen: what stands where a folder was just made may be somebody else's. */
		while (n > 1 && path[n - 1] == '/')
			n--;
		if (str_copy(name, sizeof(name), path, n) == ERR_OK)
			x->folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (is_new ? O_NOFOLLOW : 0));
		/* So that the spool's owner, who reads the messages, may write here. */
		if (x->folder >= 0 && is_new && geteuid() == 0 && fchown(x->folder, ids->spool_uid, ids->spool_gid) != 0)
			io_close(&x->folder);
		if (x->folder >= 0)
			return EX_OK;
	} else {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0 && (x->mbox = fdopen(fd, "w")) != NULL)
			return EX_OK;
		io_close(&fd);
	}
	out_fix("a name that is not there yet; with a slash at its end it becomes a folder");
	return out_fail(EX_CANTCREAT, "cant_create", "'%s' can't be made: %s", path, strerror(errno));
}

/* CRLF becomes LF; "From " at the start of a line, perhaps behind '>', gets one '>' more. */
static int
put_mbox(struct exporting *x, FILE *from, const struct spool_envelope *e)
{
	time_t arrival = (time_t)(e->arrival_us / 1000000);
	char *line = NULL, when[40];
	size_t size = 0;
	struct tm tm;
	ssize_t n;

	if (gmtime_r(&arrival, &tm) == NULL || strftime(when, sizeof(when), "%a %b %e %H:%M:%S %Y", &tm) == 0)
		when[0] = 0;
	fprintf(x->mbox, "From %s %s\n", e->sender[0] != 0 ? e->sender : "MAILER-DAEMON", when);
	while ((n = getline(&line, &size, from)) > 0) {
		if (n >= 2 && line[n - 2] == '\r' && line[n - 1] == '\n')
			line[--n - 1] = '\n';
		if (strncmp(line + strspn(line, ">"), "From ", 5) == 0)
			fputc('>', x->mbox);
		fwrite(line, 1, (size_t)n, x->mbox);
	}
	fputc('\n', x->mbox);
	free(line);
	return ferror(x->mbox) != 0 || fflush(x->mbox) != 0 ? ERR_SYSTEM : ERR_OK;
}

static int
put_file(struct exporting *x, FILE *from, const char *id)
{
	char name[64], chunk[65536];
	size_t n;
	int fd, err;

	if ((err = str_fmt(name, sizeof(name), "%s.eml", id)) != ERR_OK)
		return err;
	if ((fd = openat(x->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0)
		return ERR_SYSTEM;
	while (err == ERR_OK && (n = fread(chunk, 1, sizeof(chunk), from)) != 0)
		err = io_write_all(fd, chunk, n);
	io_close(&fd);
	return err;
}

static int
export_one(const struct queue_message *m, void *arg)
{
	struct exporting *x = arg;
	FILE *from = NULL;
	int fd, err = ERR_OK;

	if (m->err != ERR_OK)
		return ERR_OK;
	/* One that has just left is not there to be copied. */
	fd = openat(x->d->fds[m->folder], m->file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || (from = fdopen(fd, "r")) == NULL) {
		io_close(&fd);
		return ERR_OK;
	}
	if (fseeko(from, (off_t)m->envelope.message_offset, SEEK_SET) != 0)
		err = ERR_SYSTEM;
	else
		err = x->mbox != NULL ? put_mbox(x, from, &m->envelope) : put_file(x, from, m->envelope.id);
	x->error = errno;
	x->n += err == ERR_OK;
	fclose(from);
	return err;
}

int
cmd_queue_export(struct admin *a)
{
	struct exporting x = { .folder = -1 };
	struct matches ms = { .each = export_one, .arg = &x };
	const char *path = a->words[0];
	struct instance_ids ids;
	static struct conf c;
	struct spool_dirs d;
	struct json j;
	int code;

	/* The word is the file's name, no id. */
	a->nwords = 0;
	if ((code = matches_open(&ms, a)) != EX_OK || (code = admin_load_conf(a, &c)) != EX_OK)
		return code;
	instance_ids(&a->in, &c, &ids);
	if (a->dry_run)
		ms.each = NULL;
	else if ((code = open_target(path, &x, &ids)) != EX_OK)
		return code;
	if ((code = queue_open(a, &d)) != EX_OK)
		goto out;
	x.d = &d;
	code = matches_read(&ms, &d);
	spool_close(&d);
	if (code != EX_OK && x.error != 0)
		code = out_fail(EX_IOERR, "io_error", "'%s' can't be written: %s", path, strerror(x.error));
	if (code != EX_OK)
		goto out;
	if (out_is_json() && x.mbox != stdout) {
		json_begin(&j);
		json_put_u64(&j, "count", a->dry_run ? ms.n : x.n);
		json_put_str(&j, "path", path);
		json_put_bool(&j, "dry_run", a->dry_run);
		json_end(&j, stdout);
	}
	out_say("%llu message%s %s", (unsigned long long)(a->dry_run ? ms.n : x.n), (a->dry_run ? ms.n : x.n) == 1 ? "" : "s",
	    a->dry_run ? "would be copied" : "copied");
	code = matches_verdict(&ms);
out:
	if (x.mbox != NULL && x.mbox != stdout)
		fclose(x.mbox);
	io_close(&x.folder);
	return code;
}
