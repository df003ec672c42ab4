/*
 * Reading, locking and replacing the configuration file. Runs in smtpadm as the file's owner or root. Invariant:
 * the file is always the old text or the new one, whole, and never one that was not parsed before.
 */
#include "conffile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "confedit.h"
#include "err.h"
#include "io.h"
#include "out.h"
#include "str.h"

#define LOCK_WAIT 5000	/* ms that another smtpadm may hold the lock */

static int
lock(struct conffile *f)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	uint64_t deadline = io_now_ms() + LOCK_WAIT;
	char folder[PATH_MAX];

	if (str_fmt(folder, sizeof(folder), "%s", f->path) != ERR_OK)
		return ERR_TOOBIG;
	if ((f->lock_fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return io_error();
	while (flock(f->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return ERR_SYSTEM;
		if (io_now_ms() > deadline)
			return ERR_BUSY;
		nanosleep(&pause, NULL);
	}
	return ERR_OK;
}

static int
read_text(struct conffile *f)
{
	struct stat st;
	int fd, err;

	if ((fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) < 0)
		return io_error();
	if (fstat(fd, &st) != 0) {
		err = ERR_SYSTEM;
	} else if (!S_ISREG(st.st_mode)) {
		err = ERR_DENIED;
	} else {
		f->exists = true;
		f->mode = st.st_mode & 0777;
		f->uid = st.st_uid;
		f->gid = st.st_gid;
		err = io_read_all(fd, &f->text);
	}
	io_close(&fd);
	return err;
}

int
conffile_open(struct conffile *f, const struct admin *a)
{
	int err;

	*f =
	    (struct conffile){.path = a->in.conf_file, .lock_fd = -1, .mode = 0644, .uid = geteuid(), .gid = getegid()};
	buf_init(&f->text, CONF_FILE_MAX);
	if ((err = lock(f)) == ERR_OK)
		err = read_text(f);
	if (err == ERR_OK || err == ERR_NOTFOUND)
		return EX_OK;
	if (err == ERR_BUSY) {
		out_fix("the same command again, when the other one is done");
		err = out_fail(EX_TEMPFAIL, "locked", "%s is being changed by another smtpadm", f->path);
	} else {
		err = out_fail(admin_code(err), admin_name(err), "%s: %s", f->path, err_text(err));
	}
	conffile_close(f);
	return err;
}

void
conffile_close(struct conffile *f)
{
	buf_free(&f->text);
	io_close(&f->lock_fd);
}

int
conffile_set(struct conffile *f, const char *section, const char *key, const char *value)
{
	struct buf b;
	int err;

	buf_init(&b, CONF_FILE_MAX);
	err =
	    confedit_set(&b, f->text.data != NULL ? (const char *)f->text.data : "", f->text.len, section, key, value);
	if (err != ERR_OK) {
		buf_free(&b);
		return out_fail(admin_code(err), admin_name(err), "%s: %s", f->path, err_text(err));
	}
	buf_free(&f->text);
	f->text = b;
	return EX_OK;
}

int
conffile_append(struct conffile *f, const char *lines)
{
	int err = ERR_OK;

	if (f->text.len != 0 && f->text.data[f->text.len - 1] != '\n')
		err = buf_put(&f->text, "\n", 1);
	if (err == ERR_OK && f->text.len != 0)
		err = buf_put(&f->text, "\n", 1);
	if (err == ERR_OK)
		err = buf_put(&f->text, lines, strlen(lines));
	return err == ERR_OK ? EX_OK : out_fail(admin_code(err), admin_name(err), "%s: %s", f->path, err_text(err));
}

int
conffile_remove(struct conffile *f, const char *section)
{
	struct buf b;
	int err;

	buf_init(&b, CONF_FILE_MAX);
	err = confedit_remove(&b, f->text.data != NULL ? (const char *)f->text.data : "", f->text.len, section);
	if (err != ERR_OK) {
		buf_free(&b);
		return out_fail(admin_code(err), admin_name(err), "%s: there is no [%s]", f->path, section);
	}
	buf_free(&f->text);
	f->text = b;
	return EX_OK;
}

int
conffile_parse(const struct conffile *f, struct conf *c)
{
	struct conf_error error;

	if (conf_parse(c, f->text.data != NULL ? (const char *)f->text.data : "", f->text.len, &error) == ERR_OK)
		return EX_OK;
	return out_fail(EX_CONFIG, "configuration", "%s:%u: %s; nothing was changed", f->path, error.line, error.text);
}

int
conffile_save(struct conffile *f)
{
	bool is_owner = f->uid == geteuid() && f->gid == getegid();
	char folder[PATH_MAX];
	int err;

	/* The folder of a first setup was not there yet to be locked. */
	if (f->lock_fd < 0 && (str_fmt(folder, sizeof(folder), "%s", f->path) != ERR_OK ||
	    (f->lock_fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0))
		err = ERR_SYSTEM;
	else
		/* In the folder that was opened, whoever may have moved its name since. */
		err = io_replace_at(f->lock_fd, strrchr(f->path, '/') + 1, f->text.data, f->text.len, f->mode,
		    is_owner ? (uid_t)-1 : f->uid, f->gid);
	return err == ERR_OK ? EX_OK : out_fail(admin_code(err), admin_name(err), "%s: %s", f->path, err_text(err));
}
