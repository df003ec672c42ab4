/*
 * The configuration's file and memory file: reading them whole for the parser in conf.c. Runs in the master and smtpadm with the
 * rights of their caller; in services on the descriptor that the master gave.
 */
#include "conf.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "io.h"

static int
explain(struct conf_error *error, const char *what, int err)
{
	*error = (struct conf_error){ .line = 0 };
	snprintf(error->text, sizeof(error->text), "%s: %s", what, err == ERR_NOTFOUND ? "no such file" : err_text(err));
	return err;
}

int
conf_load(struct conf *c, const char *path, char **text, size_t *len, struct conf_error *error)
{
	struct buf b;
	int err;

	buf_init(&b, CONF_FILE_MAX);
	if ((err = io_read_file(path, &b)) != ERR_OK || (err = buf_put_nul(&b)) != ERR_OK) {
		bool is_denied = err == ERR_SYSTEM && errno == EACCES;

		err = explain(error, "the configuration can't be read", err);
		buf_free(&b);
		return is_denied ? ERR_DENIED : err;
	}
	err = conf_parse(c, (const char *)b.data, b.len, error);
	if (text != NULL && err == ERR_OK) {
		*text = (char *)b.data;
		*len = b.len;
		return ERR_OK;
	}
	buf_free(&b);
	return err;
}

int
conf_load_fd(struct conf *c, int fd, struct conf_error *error)
{
	struct buf b;
	int err;

	buf_init(&b, CONF_FILE_MAX);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return explain(error, "the configuration can't be read", ERR_SYSTEM);
	if ((err = io_read_all(fd, &b)) != ERR_OK)
		err = explain(error, "the configuration can't be read", err);
	else
		err = conf_parse(c, (const char *)b.data, b.len, error);
	buf_free(&b);
	return err;
}
